"""Every loss of a teacher, two pairs of nets: which is best, and can it be told?

    limbeck reproduce distill_ranks           # two CPU cores
    limbeck reproduce distill_ranks --full    # 200 epochs: for a GPU

Protocol. Two teachers: a ResNet-56 with published weights, tuned on the JPEG images,
and a VGG-13 with batch norm, a quarter as wide, trained here. Each teaches a small
student by every method of `methods.py`, alike but for the losses. How much a method's
losses weigh is chosen on validation in as many trials for each: the first has the
published weight, Optuna proposes the others. The trials have a seed of their own and
are shorter; the test images are looked at by the three seeds that are reported.
Distilled students see a few fixed views of each image in turn, so that a teacher runs
once for all; those that learn from labels alone see a new view in every epoch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from experiments.recipe import Recipe
from experiments.recipes.distill_methods.recipe import TEACHER
from experiments.recipes.distill_ranks.methods import Method, methods
from experiments.recipes.on_cifar10 import on_cifar10
from experiments.stages.base import Export
from experiments.stages.choose_weight import ChooseWeight
from experiments.stages.distill import Distill
from experiments.stages.net import Net
from experiments.stages.teaching import Teaching
from experiments.stages.train import Train
from experiments.training.settings import Training

LITERT = (Export("litert"),)
ALONE = "alone"


@dataclass(frozen=True)
class Pair:
    """A teacher, and the student that all methods teach.

    Attributes:
        teacher: the stage that makes it.
        student: the net.
        maps: stages of both nets whose maps are compared, the deeper one last.
        channels: of ReviewKD's fused maps.
    """

    teacher: Train
    student: Net
    maps: tuple[str, str]
    channels: int

    @property
    def methods(self) -> Mapping[str, Method]:
        return methods(self.maps, self.channels)


@dataclass(frozen=True)
class Lengths:
    """Epochs of a student, of a trial of weights, and of the VGG that teaches.

    Attributes:
        student: those that are reported.
        trial: one of `trials`.
        trials: for each method.
        vgg: the teacher.
        views: of each image, that a teacher has seen; None: it runs in every step.
    """

    student: int
    trial: int
    trials: int
    vgg: int
    views: int | None


def _pairs(lengths: Lengths) -> dict[str, Pair]:
    vgg = Train(
        "vgg13",
        Net("vgg13_cifar", {"width": 0.25}),
        Training(
            lengths.vgg,
            batch_size=128,
            optimizer="sgd",
            learning_rate=0.05,
            weight_decay=5e-4,
            warmup_epochs=1,
        ),
        exports=LITERT,
        once=True,
    )
    return {
        "alexnet": Pair(
            replace(TEACHER, name="resnet56"),
            Net("alexnet_small", {"width": 0.125, "dropout": 0.1}),
            ("stage2", "stage3"),
            channels=24,
        ),
        "vgg": Pair(
            vgg,
            Net("vgg11_cifar", {"width": 0.125}),
            ("stage3", "stage4"),
            channels=32,
        ),
    }


def _stages(name: str, pair: Pair, lengths: Lengths) -> list:
    training = Training(
        lengths.student, batch_size=128, learning_rate=3e-3, weight_decay=0.01
    )
    trial = replace(training, epochs=lengths.trial)
    found: list[Any] = [
        pair.teacher,
        Train(f"{name}_{ALONE}", pair.student, training, exports=LITERT),
    ]
    for method, settings in pair.methods.items():
        taught, weight = f"{name}_{method}", f"{name}_{method}_weight"
        teaching = Teaching(
            pair.teacher.name,
            soft_weight=0.0,
            label_weight=settings.label_weight,
            views=lengths.views,
            view_seed=0,
            parts=settings.parts,
        )
        found += [
            ChooseWeight(weight, pair.student, trial, teaching, trials=lengths.trials),
            Distill(
                taught,
                pair.student,
                training,
                replace(teaching, weighed_by=weight),
                exports=LITERT,
            ),
        ]
    return found


def _recipe(name: str, lengths: Lengths) -> Recipe:
    pairs = _pairs(lengths)
    return on_cifar10(
        name,
        [
            stage
            for each, pair in pairs.items()
            for stage in _stages(each, pair, lengths)
        ],
    )


RECIPE = _recipe("distill_ranks", Lengths(student=5, trial=2, trials=3, vgg=8, views=2))
FULL = _recipe(
    "distill_ranks_full", Lengths(student=200, trial=20, trials=8, vgg=200, views=None)
)
