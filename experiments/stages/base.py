"""What every stage of an experiment is: all that one may declare stands here.

A stage is a frozen record of settings, and `run` that follows them. It writes into the
folder that it is given, which `experiments.runs` lets appear whole.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import keras

from compression.export.litert import CALIBRATED, PRECISIONS
from compression.export.saved_model import WEIGHTS
from compression.quantization import is_quantized
from experiments.data import Data
from experiments.data.augment import Augment
from experiments.runs.layout import MEASURE, PARTIAL, StageFolder
from experiments.stages.application import Application
from experiments.stages.file import File
from experiments.stages.net import Net
from experiments.value_types import check_types

if TYPE_CHECKING:
    import tensorflow as tf

# A stage's name is that of its folder, and a part of RUN:STAGE[seed2] and of A,B.
NAME = re.compile(r"[^./\\:,\[\]\s][^/\\:,\[\]\x00-\x1f]*")
FORMATS = {"litert": PRECISIONS, "saved_model": WEIGHTS, "archive": ("float32",)}


@dataclass(frozen=True)
class Export:
    """A form in which a model is written.

    Attributes:
        format: "litert" (a file), "saved_model" (a folder) or "archive" (a file that
            holds the weights as they are, entropy-coded).
        precision: as `export.litert` takes it, or of a SavedModel its weights; of an
            archive always "float32".

    Raises:
        ValueError: there is no such form.
    """

    format: str
    precision: str = "float32"

    def __post_init__(self):
        _require_known("format", self.format, FORMATS)
        _require_known("precision", self.precision, FORMATS[self.format])


def _require_known(name, value, known):
    if value not in known:
        raise ValueError(
            f"no {name} of exports called {value!r}; choose from {', '.join(known)}"
        )


FLOAT_EXPORTS = (Export("litert"), Export("saved_model"))


@dataclass(frozen=True)
class Logged:
    """What a stage logs every epoch beside losses and accuracies.

    Attributes:
        key: in the logs and the history.
        title: of its curve, with the unit.
        factor: from the logged value to that unit.
    """

    key: str
    title: str
    factor: float = 1.0


@dataclass(frozen=True)
class Fact:
    """What a stage's row holds beside measurements.

    Attributes:
        key: in the row.
        title: of the number in a report.
        format: of the number, as Python's `format` takes it.
    """

    key: str
    title: str
    format: str = "g"


@dataclass(frozen=True)
class Job:
    """What `run` gets beside the settings.

    Attributes:
        data: the dataset, or the stage's own.
        augment: what training images go through.
        seed: of the run; all randomness derives from it.
        folder: where to write.
        stages: all of the recipe.
        cache: where teacher outputs are kept for later stages and runs.
        load: function of a stage's name that gives its finished model.
        facts_of: likewise, that gives what the stage has found, see `Stage.run`.
        strategy: of TensorFlow, by which devices train together; None: one trains.
    """

    data: Data
    augment: Augment
    seed: int
    folder: StageFolder
    stages: tuple["Stage", ...]
    cache: Path
    load: Callable[[str], keras.Model]
    facts_of: Callable[[str], Mapping[str, Any]] = {}.__getitem__
    strategy: "tf.distribute.Strategy | None" = None

    def scope(self) -> AbstractContextManager:
        """In which what trains is made and trained: on all devices."""
        return nullcontext() if self.strategy is None else self.strategy.scope()


@dataclass(frozen=True)
class Stage:
    """A step of an experiment: it starts from a model and writes one.

    Attributes:
        name: of the stage, and of the folder that it writes.
        start: a net to build, a file to load, a net that Keras ships, or the name of
            an earlier stage.
        exports: forms in which its model is written; the first one stands for the
            stage in the main table. A stage without any is not measured: it is a step
            on the way.
        once: whether all seeds share the model that seed 0 makes.
    """

    name: str
    start: Net | File | Application | str
    exports: tuple[Export, ...] = field(default=FLOAT_EXPORTS, kw_only=True)
    once: bool = field(default=False, kw_only=True)

    # Whether files in integers are calibrated on train images.
    calibrates: ClassVar[bool] = False
    # Whether it finds a factor for others' losses, see `Teaching.weighed_by`.
    weighs: ClassVar[bool] = False
    logs: ClassVar[tuple[Logged, ...]] = ()
    facts: ClassVar[tuple[Fact, ...]] = ()
    # Who teaches it, and the name of its own dataset: settings of `TrainingStage`.
    # (Annotated, these fields would come first among those there.)
    teaching = None
    data = None

    def __post_init__(self):
        check_types(self, f"stage {self.name!r}: ")
        own = self.name == MEASURE or self.name.endswith(PARTIAL)
        if own or not NAME.fullmatch(self.name):
            raise ValueError(
                "a stage's name is that of a folder, without any of / \\ : , [ ], and "
                f"not {MEASURE!r}, got {self.name!r}"
            )

    @contextmanager
    def named_in_errors(self) -> Iterator[None]:
        """A ValueError of the block says which stage it is about."""
        try:
            yield
        except ValueError as error:
            raise ValueError(f"stage {self.name!r}: {error}") from error

    @property
    def what(self) -> str:
        """What this stage does, in words."""
        raise NotImplementedError

    def run(self, job: Job) -> dict[str, Any]:
        """Do it, write the model and its exports; returns facts for the row."""
        raise NotImplementedError

    def check(self, data: Data, models: Mapping[str, keras.Model]) -> keras.Model:
        """Can it run? Better known now than after an hour of other stages.

        Args:
            data: the dataset.
            models: of earlier stages, as their `check` returned them.

        Returns:
            The model that the stage will write, before any training.

        Raises:
            ValueError: a net cannot take such images, or a setting does not suit it.
        """
        return self.started(data, models.__getitem__)

    def check_exports(self, model: keras.Model) -> None:
        """Can what `check` returned be written in these forms?

        Raises:
            ValueError: integers need ranges of activations, and nothing gives any.
        """
        for form in self.exports:
            if form.format != "litert" or form.precision not in CALIBRATED:
                continue
            carried = form.precision == "int8" and is_quantized(model)
            if not self.calibrates and not carried:
                raise ValueError(
                    f"stage {self.name!r}: nothing calibrates its {form.precision} "
                    "file: let a Quantize stage write it"
                )

    def started(self, data: Data, load: Callable[[str], keras.Model]) -> keras.Model:
        """The model that it starts from; `load` gives that of an earlier stage."""
        if isinstance(self.start, str):
            return load(self.start)
        return self.start.built(data)

    def source_model(
        self, data: Data, load: Callable[[str], keras.Model]
    ) -> keras.Model:
        """Likewise, whatever classes it knows: its head will be replaced."""
        if isinstance(self.start, str):
            return load(self.start)
        return self.start.source(data)

    def check_images(self, data: Data, augment: Augment) -> None:
        """Can it be shown such train images?

        Args:
            data: the dataset.
            augment: the recipe's.

        Raises:
            ValueError: a setting does not suit them.
        """

    def shortened(self, epochs: int) -> "Stage":
        """The same stage, for a trial of that many epochs; itself if it has none."""
        del epochs
        return self

    @property
    def teacher(self) -> str | None:
        """The stage whose model teaches this one."""
        return None if self.teaching is None else self.teaching.teacher

    @property
    def weighed_by(self) -> str | None:
        """The stage that has found how much its teacher's losses weigh."""
        return None if self.teaching is None else self.teaching.weighed_by

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the stages whose models this one reads."""
        started = self.start if isinstance(self.start, str) else None
        return tuple(n for n in (started, self.teacher, self.weighed_by) if n)

    @property
    def source(self) -> str:
        """What it starts from, in words: "resnet20", "the distill net"."""
        return (
            f"the {self.start} net"
            if isinstance(self.start, str)
            else (self.start.name)
        )

    def declaration(self) -> dict[str, Any]:
        """What whoever shows a run must know of the stage, as JSON has it."""
        return {
            "what": self.what,
            "start": self.start if isinstance(self.start, str) else None,
            "teacher": self.teacher,
            "measured": bool(self.exports),
            "logs": [asdict(logged) for logged in self.logs],
            "facts": [asdict(fact) for fact in self.facts],
        }


def listed(classes: tuple[int, ...]) -> str:
    """Labels in words, "class 3" or "classes 7, 8"."""
    return f"class{'es' * (len(classes) > 1)} {', '.join(map(str, classes))}"
