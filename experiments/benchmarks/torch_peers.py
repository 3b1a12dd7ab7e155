"""Our nets' twins in PyTorch, channels last. Needs the extra `parity`."""

from collections.abc import Callable

import keras
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from experiments.benchmarks.keras_peers import LEARNING_RATE, MOMENTUM
from experiments.benchmarks.torch_nets import (
    AlexNet,
    AlexNetSmall,
    GoogLeNet,
    Net,
    ResNetCifar,
    VggCifar,
)


def twin(model: keras.Model, device: str) -> nn.Module:
    """The PyTorch net of the same name with the weights of `model`, channels last.

    Raises:
        ValueError: there is no such net.
    """
    channels, classes = model.input_shape[-1], model.output_shape[-1]
    if model.name in ("resnet20", "resnet56"):
        net = ResNetCifar(channels, classes, depth=int(model.name[-2:]))
    elif model.name == "vgg16_cifar":
        net = VggCifar(model, depth=16)
    elif model.name == "alexnet_small":
        net = AlexNetSmall(model)
    elif model.name in ("alexnet", "alexnet_owt"):
        flat = model.get_layer("flatten").output.shape[-1]
        net = AlexNet(channels, classes, towers=model.name == "alexnet", flat=flat)
    elif model.name in ("googlenet", "googlenet_bn"):
        net = GoogLeNet(channels, classes, batch_norm=model.name == "googlenet_bn")
    else:
        raise ValueError(f"there is no PyTorch twin of {model.name!r}")
    copy_weights(model, net)
    return net.to(device, memory_format=torch.channels_last)


@torch.no_grad()
def copy_weights(model: keras.Model, net: Net) -> None:
    """Copy the weights of our model into `net`, in place."""
    for name, module in net.parts.items():
        layer = model.get_layer(name)
        if isinstance(module, nn.BatchNorm2d):
            pairs = (
                (module.weight, layer.gamma),
                (module.bias, layer.beta),
                (module.running_mean, layer.moving_mean),
                (module.running_var, layer.moving_variance),
            )
            for theirs, ours in pairs:
                theirs.copy_(_tensor(ours))
            continue
        kernel = _tensor(layer.kernel)
        if isinstance(module, nn.Conv2d):
            kernel = kernel.permute(3, 2, 0, 1)
        else:
            if name == "fc6":  # PyTorch flattens channels first
                height, width, depth = model.get_layer("flatten").input.shape[1:]
                kernel = kernel.reshape(height, width, depth, -1).permute(2, 0, 1, 3)
                kernel = kernel.reshape(height * width * depth, -1)
            kernel = kernel.T
        module.weight.copy_(kernel)
        if module.bias is not None:
            module.bias.copy_(_tensor(layer.bias))


def _tensor(variable):
    return torch.from_numpy(np.array(variable))


def inference(
    net: nn.Module, images: np.ndarray, device: str
) -> Callable[[], np.ndarray]:
    """A call that gives the logits of `images` (batch, height, width, channels)."""
    net.eval()
    images = channels_last(images, device)

    @torch.inference_mode()
    def call():
        return net(images).cpu().numpy()

    return call


def training(
    net: nn.Module,
    images: np.ndarray,
    labels: np.ndarray,
    device: str,
    *,
    bfloat16: bool = False,
) -> Callable[[], float]:
    """A call that does one step on the batch and gives its loss.

    With `bfloat16` the net's layers compute in it, by autocast.
    """
    net.train()
    images = channels_last(images, device)
    labels = torch.from_numpy(labels).long().to(device)
    optimizer = torch.optim.SGD(net.parameters(), LEARNING_RATE, momentum=MOMENTUM)

    def call():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device, dtype=torch.bfloat16, enabled=bfloat16):
            loss = F.cross_entropy(net(images), labels)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return call


def channels_last(images: np.ndarray, device: str) -> torch.Tensor:
    """(batch, height, width, channels) as (batch, channels, height, width)."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).to(device)


def compiled(net: nn.Module) -> nn.Module:
    """The net as `torch.compile` makes it in its first call, which takes minutes.

    Where it cannot, that call raises an error.
    """
    return torch.compile(net)


def with_threads(
    call: Callable[[], np.ndarray], threads: int
) -> Callable[[], np.ndarray]:
    """`call` with that many of PyTorch's threads."""

    def run():
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        return call()

    return run
