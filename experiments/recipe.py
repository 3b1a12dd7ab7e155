"""What an experiment is: frozen dataclasses, plain Python, no code hidden in text."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from compression.nearest import did_you_mean
from experiments.data import normalisation
from experiments.data.augment import Augment
from experiments.stages.base import Stage
from experiments.value_types import check_types


@dataclass(frozen=True)
class Recipe:
    """An experiment: data, and stages that each read models and write one.

    Attributes:
        name: of the recipe.
        data: name of the dataset, as `experiments.data.load` takes it.
        stages: in the order in which they run; a stage may use earlier ones.
        augment: what training images go through.
        image_size: side in pixels to which images are resized; None: as they are.
        normalisation: what nets are given for a pixel, as `data/normalisation.py` has
            it: a name, "0..255", or (mean, std) of pixels from 0 to 1, a channel each,
            as published weights expect them; None: those of the train split.
        skip_bad_images: leave unreadable images of a folder out, instead of stopping.
        train_images: how many of the train images there are, each class with its part,
            and as large a part of the validation images, see `data/fewer.py`; None:
            all.
        deterministic: TensorFlow's deterministic kernels: the same numbers, bit for
            bit, on the same machine with the same settings.
    """

    name: str
    data: str
    stages: tuple[Stage, ...]
    augment: Augment = field(default_factory=Augment)
    image_size: int | None = None
    normalisation: tuple[tuple[float, ...], tuple[float, ...]] | None | str = None
    skip_bad_images: bool = False
    train_images: int | None = None
    deterministic: bool = True

    def __post_init__(self):
        if not self.stages:
            raise ValueError(f"the recipe {self.name!r} has no stages")
        known = {}
        for stage in self.stages:
            for needed in stage.inputs:
                if needed not in known:
                    raise ValueError(
                        f"stage {stage.name!r} needs {needed!r}, which no earlier "
                        "stage makes"
                    )
            if stage.name in known:
                raise ValueError(f"two stages are called {stage.name!r}")
            if stage.weighed_by and not known[stage.weighed_by].weighs:
                raise ValueError(
                    f"stage {stage.name!r}: teaching.weighed_by must name a "
                    f"ChooseWeight stage, and {stage.weighed_by!r} is a "
                    f"{type(known[stage.weighed_by]).__name__}"
                )
            known[stage.name] = stage
        check_types(self)
        if isinstance(self.normalisation, str):
            normalisation.check(self.normalisation)

    def stage(self, name: str) -> Stage:
        """The stage of that name.

        Raises:
            ValueError: there is none; lists the stages.
        """
        for stage in self.stages:
            if stage.name == name:
                return stage
        names = [stage.name for stage in self.stages]
        raise ValueError(
            f"no stage called {name!r}{did_you_mean(name, names)}; choose from "
            f"{', '.join(names)}"
        )

    def as_dict(self) -> dict[str, Any]:
        """The recipe as JSON has it; a stage's class stands under "kind"."""
        plain = {
            f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)
        }
        plain["stages"] = [
            {"kind": type(stage).__name__} | _plain(stage) for stage in self.stages
        ]
        return plain


def _plain(value):
    if dataclasses.is_dataclass(value):
        return {
            f.name: _plain(getattr(value, f.name))
            for f in dataclasses.fields(value)
            if f.metadata.get("recorded", True)
        }
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
