"""A backbone that was trained elsewhere learns other classes under a new head."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import keras

from compression.graph import all_layers
from experiments.data import Data
from experiments.stages import fitting
from experiments.stages.base import Job
from experiments.stages.heads import backbone, by_depth, with_head
from experiments.stages.images import require_images
from experiments.stages.training_stage import TrainingStage
from experiments.training.fit import Trained
from experiments.training.toward_start import held

UNFREEZE = ("head", "staged", "all")


@dataclass(frozen=True)
class Transfer(TrainingStage):
    """The head of what it starts from is taken off, and a new one learns.

    Feature stages are told by `compression.distillation.stages`. While a layer is
    frozen its batch norm keeps the statistics that it came with.

    Attributes:
        unfreeze: what learns. "all": everything from the first step on. "head": the
            new head alone, on a frozen backbone. "staged": first the head alone, then
            with the last feature stage, with the last two, and so on (Howard & Ruder
            2018, section 3.3, https://arxiv.org/abs/1801.06146): the epochs are
            divided evenly, and each part has its own learning rate schedule.
        rate_decay: a feature stage's learning rate is that of the next one divided by
            this (section 3.2 there, which takes 2.6); the head has the full one.
        toward_start: alpha of L2-SP, which holds the backbone near the weights that
            it came with (Li et al. 2018); 0: it is free.
        head: name of the layer with which the old head begins; None: the last layer.
        ends: names of the layers that end the feature stages; None: as they are told.

    Raises:
        ValueError: a setting is out of its range.
    """

    unfreeze: str = field(default="all", kw_only=True)
    rate_decay: float = field(default=1.0, kw_only=True)
    toward_start: float = field(default=0.0, kw_only=True)
    head: str | None = field(default=None, kw_only=True)
    ends: tuple[str, ...] | None = field(default=None, kw_only=True)

    def __post_init__(self):
        super().__post_init__()
        if self.unfreeze not in UNFREEZE:
            raise ValueError(
                f"no unfreeze called {self.unfreeze!r}; choose from "
                f"{', '.join(UNFREEZE)}"
            )
        if not 1 <= self.rate_decay < float("inf"):
            raise ValueError(f"rate_decay must be 1 or more, got {self.rate_decay}")
        if not 0 <= self.toward_start < float("inf"):
            raise ValueError(f"toward_start must be 0 or more, got {self.toward_start}")

    @property
    def what(self) -> str:
        learns = {
            "all": "all of it",
            "head": "a new head alone",
            "staged": "stage by stage from a new head down,",
        }[self.unfreeze]
        return f"{self.source} transferred: {learns} trained {self.lesson}"

    def started(self, data: Data, load: Callable[[str], keras.Model]) -> keras.Model:
        source = self.source_model(data, load)
        require_images(source, data, f"stage {self.name!r}: {self.source}")
        return with_head(backbone(source, self.head), len(data.class_names))

    def check(self, data: Data, models: Mapping[str, keras.Model]) -> keras.Model:
        model = super().check(data, models)
        self._rate(model)  # can its feature stages be told?
        parts = len(self._learning(model))
        if self.training.epochs < parts:
            raise ValueError(
                f"stage {self.name!r} unfreezes in {parts} parts: that takes at least "
                f"{parts} epochs, got {self.training.epochs}"
            )
        return model

    def shortened(self, epochs: int) -> "Transfer":
        # As many as a net of the catalogue has parts at most.
        fewest = 8 if self.unfreeze == "staged" else epochs
        return super().shortened(max(epochs, min(fewest, self.training.epochs)))

    def trained(self, model: keras.Model, job: Job) -> tuple[Trained, dict[str, Any]]:
        learning = self._learning(model)
        rate = self._rate(model)
        body = [v for layer in model.layers[:-1] for v in layer.trainable_variables]
        epochs = [self.training.epochs // len(learning)] * len(learning)
        epochs[-1] += self.training.epochs - sum(epochs)
        whole, about = None, {}
        with held(body, self.toward_start):
            for number, (layers, length) in enumerate(
                zip(learning, epochs, strict=True)
            ):
                part = fitting.Part(number, sum(epochs[:number]), rate)
                short = replace(self, training=replace(self.training, epochs=length))
                with _learns(model, layers):
                    trained, facts = fitting.fit(short, model, job, part)
                whole, about = _joined(whole, trained), about | facts
        return whole, about

    def _learning(self, model):
        """For each part of the training the layers that learn; None: all of them."""
        if self.unfreeze == "all":
            return [None]
        if self.unfreeze == "head":
            return [[model.layers[-1]]]
        groups = by_depth(model, self.ends)
        return [sum(groups[at:], []) for at in reversed(range(len(groups)))]

    def _rate(self, model):
        if self.rate_decay == 1:
            return None
        groups = by_depth(model, self.ends)
        factors = {
            id(variable): self.rate_decay ** (at - len(groups) + 1)
            for at, layers in enumerate(groups)
            for layer in layers
            for variable in layer.trainable_variables
        }  # of the teacher's projectors there is none
        return lambda variable: factors.get(id(variable), 1.0)


@contextmanager
def _learns(model, chosen) -> Iterator[None]:
    """Within it only the `chosen` layers learn, and only their batch norm moves."""
    layers = [one for one in all_layers(model) if not isinstance(one, keras.Model)]
    before = [layer.trainable for layer in layers]
    try:
        for layer in layers if chosen is not None else ():
            layer.trainable = False
        for layer in chosen or ():
            layer.trainable = True
        yield
    finally:
        for layer, trainable in zip(layers, before, strict=True):
            layer.trainable = trainable


def _joined(before: Trained | None, after: Trained) -> Trained:
    """One training of two parts; the second one has chosen the weights."""
    if before is None:
        return after
    passed = len(before.history["epoch"])
    epochs = [passed + epoch for epoch in after.history["epoch"]]
    history = {
        name: before.history[name] + values
        for name, values in (after.history | {"epoch": epochs}).items()
    }
    best = None if after.best_epoch is None else passed + after.best_epoch
    return Trained(history, best, after.best_score)
