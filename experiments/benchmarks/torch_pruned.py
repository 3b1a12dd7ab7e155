"""The same cuts by Torch-Pruning (Fang et al. 2023). Needs torch and torch-pruning.

python -m experiments.benchmarks.torch_pruned resnet56 0.5
"""

import importlib.util
import json
import sys
import time
from typing import Any

import torch
import torch_pruning
from torch import nn

from experiments.benchmarks.torch_nets import ResNetCifar

CLASSES = {"resnet50": 1000, "resnet56": 10, "resnet20": 10}
SIDES = {"resnet50": 224, "resnet56": 32, "resnet20": 32}


def knows(name: str) -> bool:
    """Whether there is such a net in PyTorch here; ResNet-50 is torchvision's."""
    if name == "resnet50":
        return importlib.util.find_spec("torchvision") is not None
    return name in CLASSES


def cut(name: str, budget: float) -> dict[str, Any]:
    """Groups, seconds and the MACs that are left, at least L2 norm, global ranking.

    It asks for a fraction of channels, so the one that meets the budget is searched for
    step by step, as its iterative pruning does.
    """
    model, images = _net(name), torch.zeros(1, 3, SIDES[name], SIDES[name])
    whole, _ = torch_pruning.utils.count_ops_and_params(model, images)
    start = time.perf_counter()
    heads = [m for m in model.modules() if isinstance(m, nn.Linear)]
    pruner = torch_pruning.pruner.MetaPruner(
        model,
        images,
        importance=torch_pruning.importance.MagnitudeImportance(p=2),
        global_pruning=True,
        pruning_ratio=0.9,
        max_pruning_ratio=0.9,
        iterative_steps=20,
        ignored_layers=heads,
    )
    groups = sum(1 for _ in pruner.DG.get_all_groups(ignored_layers=heads))
    left = whole
    while left > budget * whole:
        pruner.step()
        left, _ = torch_pruning.utils.count_ops_and_params(model, images)
    seconds = time.perf_counter() - start
    return {"groups": groups, "seconds": seconds, "macs_left": left / whole}


def _net(name):
    torch.manual_seed(0)
    if name == "resnet50":
        from torchvision.models import resnet50

        return resnet50(weights=None).eval()
    return ResNetCifar(3, CLASSES[name], depth=int(name[-2:])).eval()


if __name__ == "__main__":
    NAME, LEFT = sys.argv[1], float(sys.argv[2])
    print(json.dumps(cut(NAME, LEFT) if knows(NAME) else None))
