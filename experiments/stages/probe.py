"""How good are a backbone's features? Nothing is trained but a linear head on them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np

from compression import export, measure
from experiments.data import Data, pipeline
from experiments.data.labelled import (
    check_labels,
    check_number,
    chosen_images,
    in_words,
)
from experiments.stages import writing
from experiments.stages.base import Fact, Job, Stage
from experiments.stages.heads import backbone, with_head

STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0)  # of the data against the penalty
NEIGHBOURS = 20  # who vote


@dataclass(frozen=True)
class Probe(Stage):
    """A linear classifier of a frozen backbone's features, found without steps.

    It is scikit-learn's logistic regression on features of mean 0 and deviation 1,
    its L2 penalty chosen on validation, written as the net's new head. Its row also
    says what the nearest neighbours of the validation images vote (by cosine, each of
    20 with equal weight; nothing of them was chosen on validation).

    Attributes:
        labels: how many of the train images have labels, or which share of them
            (below 1), each class with its part, chosen by the run's seed; None: all.
        head: name of the layer with which the old head begins; None: the last layer.
    """

    labels: int | float | None = field(default=None, kw_only=True)
    head: str | None = field(default=None, kw_only=True)

    facts = (
        Fact("penalty_strength", "C of the linear probe, chosen on validation"),
        Fact("neighbours_top1", "k-NN top-1 on validation", ".4f"),
    )

    def __post_init__(self):
        super().__post_init__()
        check_number(self.labels)

    @property
    def what(self) -> str:
        some = "all images" if self.labels is None else in_words(self.labels)
        return f"{self.source} frozen, a linear probe of the labels of {some}"

    def check(self, data: Data, models: Mapping[str, keras.Model]) -> keras.Model:
        if self.labels is not None:
            check_labels(data, self.labels)
        source = self.source_model(data, models.__getitem__)
        return with_head(backbone(source, self.head), len(data.class_names))

    def run(self, job: Job) -> dict[str, Any]:
        features = backbone(self.source_model(job.data, job.load), self.head)
        train = _features(features, _labelled(job.data, self.labels, job.seed), "train")
        validation = _features(features, job.data, "validation")
        kernel, bias, strength = _best_head(train, validation)
        model = with_head(features, len(job.data.class_names))
        model.layers[-1].set_weights([kernel, bias])
        about = writing.finish(self, model, job)
        logits = validation[0] @ kernel + bias
        return about | {
            "validation_top1": measure.accuracy(logits, validation[1]),
            "penalty_strength": strength,
            "neighbours_top1": _neighbours_top1(train, validation),
        }


def _labelled(data, labels, seed):
    if labels is None:
        return data
    return replace(data, train=data.train.only(chosen_images(data, labels, seed=seed)))


def _features(model, data, split):
    """Features (n, width) and labels (n,) of a split."""
    batches = pipeline.evaluation_batches(data, split).as_numpy_iterator()
    images_to_features = export.of_model(model)  # as they are: of sigmoids, too
    found = [(images_to_features(images), labels) for images, labels in batches]
    features, labels = map(np.concatenate, zip(*found, strict=True))
    return features.astype(np.float64), labels


def _best_head(train, validation):
    """Kernel (width, classes), bias (classes,) and the strength that was chosen."""
    from sklearn.linear_model import LogisticRegression

    features, labels = train
    mean, deviation = features.mean(0), features.std(0)
    deviation[deviation == 0] = 1.0
    best = None
    for strength in STRENGTHS:
        probe = LogisticRegression(C=strength, max_iter=1000)
        probe.fit((features - mean) / deviation, labels)
        weights, offset = probe.coef_, probe.intercept_
        if len(weights) == 1:  # of two classes it gives one logit
            weights, offset = np.vstack([0 * weights, weights]), np.append(0, offset)
        kernel = (weights / deviation).T
        bias = offset - mean @ kernel
        top1 = measure.accuracy(validation[0] @ kernel + bias, validation[1])
        if best is None or top1 > best[0]:
            best = top1, kernel, bias, strength
    return best[1:]


def _neighbours_top1(train, validation):
    from sklearn.neighbors import KNeighborsClassifier

    count = min(NEIGHBOURS, len(train[0]))
    vote = KNeighborsClassifier(count, metric="cosine", algorithm="brute")
    return float(vote.fit(*train).score(*validation))
