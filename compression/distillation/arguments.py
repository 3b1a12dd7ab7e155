"""What users give, checked: an error names the argument, what was got, the way out."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import ops

from compression.arguments import shown
from compression.graph import has_graph
from compression.logits import require_logits

TENSORS = (np.ndarray, keras.KerasTensor, keras.Variable)


def require_model(model: Any, name: str) -> None:
    """Check that an argument is a Keras model.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"{name} must be a keras.Model, got {shown(model)}: build one, or load one "
            "with keras.saving.load_model"
        )


def require_graph(model: Any, name: str) -> None:
    """Check that an argument is a functional model or a built `Sequential`.

    Raises:
        ValueError: it is not.
    """
    require_model(model, name)
    if not has_graph(model):
        raise ValueError(
            f"{name} {model.name!r} must be a built functional or sequential model, "
            f"got a {type(model).__name__} without a graph: build it with "
            "keras.Model(image, outputs)"
        )


def require_net(model: Any, name: str) -> None:
    """Check that an argument is a model of images that gives logits, (batch, classes).

    Raises:
        ValueError: it is not; it has no graph, several inputs or outputs, or ends in
            probabilities.
    """
    require_graph(model, name)
    if len(model.inputs) != 1:
        raise ValueError(
            f"{name} {model.name!r} has {len(model.inputs)} inputs, "
            f"{[tensor.name for tensor in model.inputs]}, but distillation gives it "
            "images only: build a model with one input"
        )
    if len(model.outputs) != 1:
        _refuse_outputs(model, name)
    require_logits(model, name)
    shape = tuple(model.outputs[0].shape)
    if len(shape) != 2 or shape[1] is None:
        raise ValueError(
            f"{name} {model.name!r} has an output of shape {shape}, but logits are "
            "(batch, classes): end it in Flatten or a pooling, and a dense layer"
        )


def _refuse_outputs(model, name):
    outputs = model.output
    by_name = isinstance(outputs, dict)
    which = sorted(outputs) if by_name else [tensor.name for tensor in model.outputs]
    key = "'logits'" if by_name and "logits" in outputs else "..."
    raise ValueError(
        f"{name} {model.name!r} must have one output, the logits, got "
        f"{len(model.outputs)}, {which}: give keras.Model(model.input, "
        f"model.output[{key}]), which has the same layers (of a GoogLeNet with "
        "auxiliary heads: architectures.googlenet.without_heads(model))"
    )


def logits_in(outputs: Any):
    """The one tensor that a net gives, also as a dict or list of one."""
    [logits] = keras.tree.flatten(outputs)
    return logits


def require_flag(name: str, value: Any) -> None:
    """Check that an argument is True or False, and not the text "no".

    Raises:
        ValueError: it is not.
    """
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False, got {shown(value)}")


def require_function(name: str, value: Any, of: str) -> None:
    """Check that an argument is a function, not a net or layer.

    Args:
        name: of the argument.
        value: what was given for it.
        of: the function's arguments, for the message.

    Raises:
        ValueError: it is not.
    """
    if not callable(value) or isinstance(value, keras.Layer):
        raise ValueError(f"{name} must be a function of {of}, got {shown(value)}")


def require_logits_alike(**logits: Any) -> None:
    """Check that all are arrays or tensors, (batch, classes), of as many classes.

    Raises:
        ValueError: one is not.
    """
    require_tensors(**logits)
    shapes = {name: _known_shape(value) for name, value in logits.items()}
    known = [shape for shape in shapes.values() if shape is not None]
    if any(len(shape) != 2 for shape in known) or len({s[-1] for s in known}) > 1:
        raise ValueError(
            f"{' and '.join(logits)} must be (batch, classes), with the same classes, "
            f"got shapes {' and '.join(str(shape) for shape in shapes.values())}"
        )


def require_tensors(**tensors: Any) -> None:
    """Check that all are arrays or tensors.

    Raises:
        ValueError: one is not.
    """
    for name, value in tensors.items():
        if not isinstance(value, TENSORS) and not ops.is_tensor(value):
            raise ValueError(
                f"{name} must be an array or tensor, (batch, ...), got {shown(value)}"
            )


def require_classes(labels: Any, user: str):
    """Check that labels are integer classes, (batch,) or (batch, 1).

    Args:
        labels: of a batch.
        user: who compares them, for the message.

    Raises:
        ValueError: there are none, or they are one-hot or of another dtype.
    """
    if labels is None:
        raise ValueError(
            f"{user} needs the labels of the batch, got none: train on (images, labels)"
        )
    wanted = f"{user} needs labels that are integer classes, (batch,)"
    if not isinstance(labels, TENSORS) and not ops.is_tensor(labels):
        raise ValueError(f"{wanted}, got {shown(labels)}: give one array")
    dtype = keras.backend.standardize_dtype(labels.dtype)
    shape = _known_shape(labels)
    if shape is not None and shape[1:] not in ((), (1,)):
        raise ValueError(
            f"{wanted}, got labels of shape {shape}: of one-hot labels give "
            "labels.argmax(-1)"
        )
    if "int" not in dtype and dtype != "bool":
        raise ValueError(
            f"{wanted}, got labels of dtype {dtype}: give labels.astype('int32')"
        )


def _known_shape(tensor):
    """None where TensorFlow does not even know how many axes there are."""
    try:
        return tuple(tensor.shape)
    except ValueError:
        return None


def layer_names(name: str, given: Any) -> tuple[str, ...]:
    """Names of layers, given as one or as several.

    Raises:
        ValueError: `given` is neither a name nor names.
    """
    names = (given,) if isinstance(given, str) or not _is_list(given) else tuple(given)
    if not all(isinstance(each, str) for each in names):
        raise ValueError(
            f"{name} must be the name of a layer or a list of names, got {shown(given)}"
        )
    return names


def listed(name: str, given: Any, of: str) -> list:
    """What was given for `name`, as a list.

    Args:
        name: of the argument.
        given: what was given for it.
        of: what should be in the list, for the message.

    Raises:
        ValueError: it is no list or other series of things.
    """
    if isinstance(given, str) or not _is_list(given):
        raise ValueError(f"{name} must be a list of {of}, got {shown(given)}")
    return list(given)


def _is_list(given):
    # A Keras layer, too, may be iterable by accident.
    return isinstance(given, Iterable) and not isinstance(given, dict | keras.Layer)
