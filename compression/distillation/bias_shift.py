"""Biases of classes that a student never saw, corrected after distillation.

Hinton, Vinyals, Dean (2015), https://arxiv.org/abs/1503.02531, section 3: a student
whose transfer set lacks a class learns a bias for it that is much too low; one that saw
two classes only, biases for these that are too high. One number, added to the biases
of those classes, mends it. The paper chose it on the test images.
"""

from collections.abc import Sequence

import keras
import numpy as np

from compression.answers import two_classes
from compression.arguments import require_number, shown
from compression.distillation.arguments import listed, require_graph
from compression.graph import last_call


def best_bias_shift(
    logits: np.ndarray, labels: np.ndarray, classes: Sequence[int]
) -> float:
    """The number that, added to the logits of `classes`, gets most images right.

    The search is exact: each image's answer changes at one shift, and between two such
    shifts the accuracy is constant. The middle of the best interval is returned; of
    several equally good ones, the middle that is nearest to zero (then the higher). An
    interval without an end on one side counts as 2 wide.

    Args:
        logits: (n, all classes); (n, 1) are those of class 1 against class 0.
        labels: (n,) integer classes.
        classes: whose logits are shifted together; some, not all.

    Raises:
        ValueError: the shapes do not fit, or `classes` are not some of the classes.
    """
    logits, labels = _numbers("logits", logits), _numbers("labels", labels)
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(
            "logits must be (n, classes) and labels (n,) integer classes, "
            f"got {logits.shape} and {labels.shape}"
        )
    logits = two_classes(logits)
    shifted = _among(classes, logits.shape[1])
    inside = np.where(shifted, logits, -np.inf)
    outside = np.where(shifted, -np.inf, logits)
    # Above its turn an image's answer is the best of `classes`, below it another.
    turn = outside.max(axis=1) - inside.max(axis=1)
    won_above = np.sort(turn[inside.argmax(axis=1) == labels])
    won_below = np.sort(turn[outside.argmax(axis=1) == labels])
    turns = np.unique(np.concatenate([won_above, won_below]))
    if not len(turns):
        return 0.0  # no shift gets any image right
    edges = np.concatenate([[turns[0] - 2], turns, [turns[-1] + 2]])
    middles = (edges[:-1] + edges[1:]) / 2
    right = np.searchsorted(won_above, middles, "left") + (
        len(won_below) - np.searchsorted(won_below, middles, "right")
    )
    best = middles[right == right.max()]
    return float(max(best, key=lambda shift: (-abs(shift), shift)))


def shift_bias(model: keras.Model, classes: Sequence[int], shift: float) -> None:
    """Add `shift` to the biases of `classes` in the output layer; `model` is changed.

    Of one logit, that of class 1 against class 0, a shift of class 0 is the opposite.

    Raises:
        ValueError: `classes` are not some of the model's classes, or its output is not
            that of a linear dense layer with a bias.
    """
    require_graph(model, "model")
    if len(model.outputs) != 1:
        raise ValueError(
            f"model {model.name!r} must have one output, the logits, got "
            f"{len(model.outputs)}"
        )
    require_number("shift", shift)
    layer = last_call(model).operation
    if (
        not isinstance(layer, keras.layers.Dense)
        or layer.activation is not keras.activations.linear
        or layer.bias is None
    ):
        raise ValueError(
            f"model {model.name!r} must end in a linear dense layer with a bias, not "
            f"in {type(layer).__name__} {layer.name!r}"
        )
    shifted = _among(classes, max(layer.units, 2)).astype("float32")
    if layer.units == 1:
        shifted = shifted[1:] - shifted[:1]
    layer.bias.assign_add(shift * shifted.astype(layer.bias.dtype))


def _numbers(name, given):
    try:
        numbers = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        numbers = np.array(np.nan)
    if np.isnan(numbers).any():
        raise ValueError(f"{name} must be an array of numbers, got {shown(given)}")
    return numbers


def _among(classes, count):
    """(count,) bool: which classes are meant."""
    classes = listed("classes", classes, "integer classes")
    for chosen in classes:
        require_number("each of classes", chosen, whole=True)
    chosen = sorted(set(classes))
    if not chosen or len(chosen) == count or not set(chosen) <= set(range(count)):
        raise ValueError(
            f"classes must be some of 0 to {count - 1}, not all, got {tuple(classes)}"
        )
    return np.isin(np.arange(count), chosen)
