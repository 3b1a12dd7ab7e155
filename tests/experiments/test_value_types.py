"""What is of another type than a setting, or no finite number, is refused by name."""

import numpy as np
import pytest

from experiments.recipe import Recipe
from experiments.stages.net import Net
from experiments.stages.prune import Prune
from experiments.stages.train import Train
from experiments.training.settings import Training

NAN = float("nan")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"epochs": NAN}, "epochs must be a whole number, got nan"),
        ({"epochs": 1.5}, "epochs must be a whole number, got 1.5"),
        ({"epochs": True}, "epochs must be a whole number, got True"),
        ({"epochs": "3"}, "epochs must be a whole number, got '3'"),
        ({"epochs": np.int64(3)}, "epochs must be a whole number"),
        ({"learning_rate": NAN}, "learning_rate must be a finite number, got nan"),
        ({"learning_rate": np.float32(0.1)}, "learning_rate must be a finite number"),
        ({"momentum": 1}, r"momentum must be in \[0, 1\), got 1"),
        ({"weight_decay": -0.1}, "weight_decay must be 0 or more, got -0.1"),
        ({"warmup_epochs": -1}, "warmup_epochs must be 0 or more, got -1"),
        ({"clip_norm": 0.0}, "clip_norm must be positive, got 0"),
        ({"clip_norm": "1"}, "clip_norm must be a finite number or None, got '1'"),
        ({"patience": 0}, "patience must be positive, got 0"),
        ({"drops": (0.5, 1.5)}, r"drops must be in \(0, 1\], got \(0.5, 1.5\)"),
        ({"drops": 0.5}, "drops must be a tuple, each a finite number, got 0.5"),
    ],
)
def test_settings_of_a_training(setting, message):
    with pytest.raises(ValueError, match=message):
        Training(**{"epochs": 3} | setting)
    Training(3, clip_norm=1, drops=(), momentum=0)  # whole numbers are numbers, too


def recipe(**options):
    net = Train("net", Net("lenet5"), Training(3))
    pruned = Prune("pruned", "net", Training(3), **options)
    return Recipe("toy", "digits", (net, pruned))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"scored_on": NAN}, "stage 'pruned': scored_on must be a whole number, got n"),
        (
            {"labels": "1"},
            "stage 'pruned': labels must be a whole number or a finite n",
        ),
        ({"labels": 1.5}, "labels must be a whole number, or a share below 1, got 1.5"),
        ({"labels": 0}, "labels must be a whole number, or a share below 1, got 0"),
        (
            {"labels": NAN},
            "labels must be a whole number or a finite number or None, g",
        ),
        ({"until": True}, "stage 'pruned': until must be a finite number, got True"),
        ({"exempt": ["a"]}, "stage 'pruned': exempt must be a tuple, each a text"),
        ({"once": 1}, "stage 'pruned': once must be True or False, got 1"),
    ],
)
def test_settings_of_a_stage_when_the_recipe_is_made(setting, message):
    recipe()
    with pytest.raises(ValueError, match=message):
        recipe(**setting)
