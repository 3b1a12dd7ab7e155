"""Stages that tfmot trains: pruning, clustering, quantization, as it does them.

The same jobs as `Prune`, `Cluster` and `QuantizeAware`, by TensorFlow's own toolkit: a
recipe names one or the other. tfmot works in tf_keras, where a net learns from labels
alone, in float32, and begins anew where it was interrupted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np

from compression import measure, tfmot
from compression.tfmot.clustering import require_biases, require_sharing
from compression.tfmot.pruning import kernel_layers, pattern_options, require_matrices
from compression.tfmot.quantizing import require_names
from compression.weights import kernels
from experiments.data import Data, pipeline
from experiments.stages import fitting, writing
from experiments.stages.base import Export, Job
from experiments.stages.cluster import WHOSE, value_facts
from experiments.stages.cluster import Cluster as OurCluster
from experiments.stages.prune import Prune as OurPrune
from experiments.stages.prune import zeros
from experiments.stages.training_stage import TrainingStage
from experiments.training import in_tf_keras

INT8 = Export("litert", "int8")
CALIBRATION = 256  # train images
# A kernel has few values that has no more of them, and of so many weights each one.
MOST_VALUES, SHARED_BY = 256, 4


@dataclass(frozen=True)
class Tfmot(TrainingStage):
    """What its stages share; a kind of stage gives the `engine`.

    Attributes:
        exempt: layers that are left alone: patterns of names; where kernels are
            pruned or clustered, also "first" and "last".

    Raises:
        ValueError: it has `teaching`, or a setting is out of its range or not known to
            tf_keras.
    """

    exempt: tuple[str, ...] = field(default=(), kw_only=True)
    exports: tuple[Export, ...] = field(default=(Export("litert"), INT8), kw_only=True)

    calibrates = True
    trains_int8: ClassVar[bool] = False  # and the engine writes it

    def __post_init__(self):
        super().__post_init__()
        with self.named_in_errors():
            if self.teaching is not None:
                raise ValueError(
                    "tfmot trains on the labels alone: leave teaching out, or use "
                    "limbeck's own stage"
                )
            in_tf_keras.require_known(self.training)
            self.require_settings()

    def require_settings(self) -> None:
        """Raises ValueError where tfmot does not take the stage's own settings."""

    def require_layers(self, model: keras.Model) -> None:
        """Raises ValueError where tfmot does not take the layers of `model`."""
        raise NotImplementedError

    def engine(self, model: keras.Model, steps: int, int8: Path) -> partial:
        """A function of `compression.tfmot` with all but its data.

        Args:
            model: that it starts from.
            steps: of an epoch.
            int8: where it writes the int8 file if `trains_int8`.
        """
        raise NotImplementedError

    def facts_of(self, model: keras.Model) -> dict[str, Any]:
        """Facts for the row."""
        del model
        return {}

    def check(self, data: Data, models: Mapping[str, keras.Model]) -> keras.Model:
        model = super().check(data, models)
        with self.named_in_errors():
            self.require_layers(model)
            tfmot.to_tf_keras(model)
        return model

    def run(self, job: Job) -> dict[str, Any]:
        own = self._with_own_images(job)
        model = self.started(own.data, own.load)
        batches = pipeline.training_batches(
            own.data,
            batch_size=self.training.batch_size,
            seed=own.seed,
            augment=own.augment,
            balanced=self.training.sampling == "balanced",
        )
        mixed = own.augment.mixes
        int8 = job.folder.exported(INT8.format, INT8.precision)
        smaller, trained = in_tf_keras.fit(
            self.engine(model, batches.steps_per_epoch, int8),
            batches,
            pipeline.evaluation_batches(own.data, "validation", as_distributions=mixed),
            self.training,
            loss=fitting.label_loss(self, own),
            title=self.name,
            best_from=self.best_from(batches.steps_per_epoch),
        )
        images = writing.train_images(job.data, CALIBRATION)
        about = writing.finish(
            self,
            smaller,
            job,
            trained,
            calibration=images,
            written=[int8] if self.trains_int8 else [],
        )
        return about | self.facts_of(smaller)


@dataclass(frozen=True)
class TfmotPrune(Tfmot):
    """Weights of least magnitude become zero, in every kernel the same fraction.

    Attributes:
        sparsity: fraction of zeros of each kernel in the end.
        until: fraction of the training after which that is reached; 0: at once.
        pattern: "element"; "2:4" or any n:m, at a sparsity of 1 - n/m; "block(rows,
            columns)" of dense layers.
        pooling: what stands for a block, the "mean" of its magnitudes or the "max".
    """

    sparsity: float = field(default=0.8, kw_only=True)
    until: float = field(default=0.6, kw_only=True)
    pattern: str = field(default="element", kw_only=True)
    pooling: str = field(default="mean", kw_only=True)

    def require_settings(self) -> None:
        pattern_options(self.pattern, self.pooling)
        self._ours()  # refuses what there is not

    def require_layers(self, model: keras.Model) -> None:
        chosen = kernel_layers(model, self.exempt)
        if self.pattern.startswith("block"):
            require_matrices(model, chosen)

    @property
    def what(self) -> str:
        pattern = "" if self.pattern == "element" else f" in a pattern, {self.pattern}"
        return (
            f"{self.source} pruned to {zeros(self.sparsity)} zeros{pattern} by tfmot, "
            f"trained {self.lesson}"
        )

    def engine(self, model: keras.Model, steps: int, int8: Path) -> partial:
        return partial(
            tfmot.prune,
            model,
            schedule=self._ours().schedule(steps),
            pattern=self.pattern,
            pooling=self.pooling,
            exempt=self.exempt,
        )

    def best_from(self, steps: int) -> int:
        return self._ours().best_from(steps)

    def _ours(self) -> OurPrune:
        """The stage that does the same without tfmot."""
        return OurPrune(
            self.name,
            self.start,
            self.training,
            sparsity=self.sparsity,
            until=self.until,
            scope="layer",
            pattern=self.pattern,
            exempt=self.exempt,
        )


@dataclass(frozen=True)
class TfmotCluster(Tfmot):
    """Each kernel gets a few values, and these go on learning.

    Attributes:
        clusters: the most values of a kernel; a zero that stays is one.
        initialisation: "linear", "kmeans++", "density" or "random".
        scope: who shares values: "layer", or each "channel" of a convolution.
        preserve_zeros: whether zeros, such as a pruned net has, stay; None: where
            there are any. tfmot makes one of the values zero then, and keeps what is
            near it there.
        gradient: of a value: the "sum" of its weights' gradients, or the "mean".
    """

    clusters: int = field(default=16, kw_only=True)
    initialisation: str = field(default="linear", kw_only=True)
    scope: str = field(default="layer", kw_only=True)
    preserve_zeros: bool | None = field(default=None, kw_only=True)
    gradient: str = field(default="sum", kw_only=True)

    facts = OurCluster.facts

    def require_settings(self) -> None:
        require_sharing(**self._sharing(bool(self.preserve_zeros)))

    def require_layers(self, model: keras.Model) -> None:
        chosen = kernel_layers(model, self.exempt)
        if self.scope == "channel":
            require_biases(model, chosen)

    @property
    def what(self) -> str:
        return (
            f"{self.source} with {self.clusters} values for the weights of "
            f"{WHOSE[self.scope]} by tfmot, trained {self.lesson}"
        )

    def engine(self, model: keras.Model, steps: int, int8: Path) -> partial:
        options = self._sharing(_known(self.preserve_zeros, _has_zeros, model))
        return partial(tfmot.cluster, model, exempt=self.exempt, **options)

    def facts_of(self, model: keras.Model) -> dict[str, Any]:
        return value_facts(model)

    def _sharing(self, preserve_zeros: bool) -> dict[str, Any]:
        return {
            "clusters": self.clusters,
            "initialisation": self.initialisation,
            "scope": self.scope,
            "preserve_zeros": preserve_zeros,
            "gradient": self.gradient,
        }


@dataclass(frozen=True)
class TfmotQuantize(Tfmot):
    """The net goes on learning with fake quantization in 8 bits.

    The int8 file holds what was trained; the model that is written has the weights in
    float32, and no fake quantization.

    Attributes:
        preserve_zeros: whether weights that are zero stay so (PQAT); None: where there
            are any.
        preserve_clusters: whether weights that share a value go on sharing one, in a
            convolution by channel (CQAT; with zeros, PCQAT); None: where each kernel
            has few values.
    """

    preserve_zeros: bool | None = field(default=None, kw_only=True)
    preserve_clusters: bool | None = field(default=None, kw_only=True)
    exports: tuple[Export, ...] = field(default=(INT8,), kw_only=True)

    trains_int8 = True

    def require_settings(self) -> None:
        if INT8 not in self.exports:
            raise ValueError("what tfmot trained for is the int8 file: export it")

    def require_layers(self, model: keras.Model) -> None:
        require_names(model, self.exempt)

    @property
    def what(self) -> str:
        kept = {"zeros": self.preserve_zeros, "shared values": self.preserve_clusters}
        kept = " and ".join(name for name, stay in kept.items() if stay)
        return (
            f"{self.source} trained with the rounding of 8 bits by tfmot"
            f"{f', its {kept} kept' if kept else ''}, {self.lesson}"
        )

    def engine(self, model: keras.Model, steps: int, int8: Path) -> partial:
        return partial(
            tfmot.quantize,
            model,
            path=int8,
            preserve_zeros=_known(self.preserve_zeros, _has_zeros, model),
            preserve_clusters=_known(self.preserve_clusters, _shares_values, model),
            exempt=self.exempt,
        )


def _known(chosen, found, model):
    return found(model) if chosen is None else chosen


def _has_zeros(model):
    return any((np.asarray(kernel) == 0).any() for kernel in kernels(model))


def _shares_values(model):
    found = measure.kernel_values(model).values()
    return all(
        each.values <= min(MOST_VALUES, each.size // SHARED_BY) for each in found
    )
