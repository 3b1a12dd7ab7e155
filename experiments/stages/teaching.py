"""Who teaches a stage's net, and how."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from compression import distillation
from compression.distillation import DistillationLoss, SoftTargets, check_parts
from compression.distillation.losses.batch import require_weight


@dataclass(frozen=True)
class Teaching:
    """How a student learns from its teacher.

    Attributes:
        teacher: name of the stage whose model teaches.
        temperature: T of Hinton et al. (2015).
        soft_weight: factor of the soft targets' loss; 0: without them.
        label_weight: factor of the label loss.
        views: augmented views of each image that are shown in turn, one an epoch, the
            teacher's outputs for them computed once; None: a new view every epoch,
            and the teacher runs in every step.
        view_seed: of the views' augmentation; None: the run's seed. A fixed one lets
            all seeds share a cache.
        parts: more losses of `compression.distillation`: class -> its options. The
            number of train images is filled in where a class takes `images`.
        weighed_by: name of the `ChooseWeight` stage whose factor multiplies the weights
            of all losses but the labels'; None: they are as they stand here.

    Raises:
        ValueError: there is no such loss, it does not take such options, or a number
            is out of its range.
    """

    teacher: str
    temperature: float = 4.0
    soft_weight: float = 0.9
    label_weight: float = 0.1
    views: int | None = 8
    view_seed: int | None = None
    parts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)
    weighed_by: str | None = None

    def __post_init__(self):
        if self.views is not None and self.views < 1:
            raise ValueError(
                f"views must be at least 1 (or None: a new one every epoch), got "
                f"{self.views}"
            )
        require_weight(self.soft_weight, "soft_weight")
        # Now, not after the teacher has been trained.
        check_parts(self.losses(images=1), self.label_weight)

    def losses(self, images: int) -> list[DistillationLoss]:
        """The parts of the distiller's loss, for a train split of `images`.

        Raises:
            ValueError: there is no such class, or it does not take such options.
        """
        losses = []
        if self.soft_weight:
            losses.append(SoftTargets(self.temperature, weight=self.soft_weight))
        return losses + [_part(*part, images) for part in self.parts.items()]

    def weighed(self, factor: float) -> "Teaching":
        """The same, the weights of all losses but the labels' times `factor`."""
        parts = {
            kind: {**options, "weight": factor * options.get("weight", 1.0)}
            for kind, options in self.parts.items()
        }
        soft = factor * self.soft_weight
        return replace(self, soft_weight=soft, parts=parts, weighed_by=None)

    def check_mixing(self, stage: str) -> None:
        """Raises ValueError unless `stage` can be taught on mixed images."""
        if self.views is not None:
            raise ValueError(
                f"stage {stage!r}: mixup and cutmix make new images in every batch, "
                "for which no teacher's outputs are kept: set teaching.views=None, and "
                "the teacher runs in every step"
            )
        for loss in self.losses(images=1):
            if loss.needs_classes:
                raise ValueError(
                    f"stage {stage!r}: {type(loss).__name__} compares whole images of "
                    "one class each, not those of mixup and cutmix"
                )


def _part(kind, options, images):
    found = getattr(distillation, kind, None)
    if not (isinstance(found, type) and issubclass(found, DistillationLoss)):
        raise ValueError(f"no loss called {kind!r} in compression.distillation")
    parameters = inspect.signature(found).parameters
    if unknown := options.keys() - parameters.keys():
        raise ValueError(
            f"{kind} has no option {', '.join(sorted(unknown))}; it takes "
            f"{', '.join(parameters)}"
        )
    counted = {"images": images} if "images" in parameters else {}
    try:
        return found(**counted | options)
    except TypeError as error:  # an option is missing or of another type
        raise ValueError(f"{kind}: {error}") from error
