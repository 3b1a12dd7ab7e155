"""A model from its config and weights, when neither can be trusted."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from compression.copies import derive_state
from compression.export.archive.config_packing import packed
from compression.export.unregistered import unregistered
from compression.one_line import what_is_wrong

# What runs code of the file's, or reads files that it names.
REFUSED = (
    *("Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper", "FlaxLayer"),
    *("JaxLayer", "StringLookup", "IntegerLookup", "TextVectorization", "Hashing"),
    *("FeatureSpace", "__typespec__"),
)
MODULES = re.compile(
    r"keras(\.(layers|models|initializers|regularizers|constraints|activations|ops|"
    r"random|dtype_policies|src\.models\.(functional|sequential|model)|"
    r"src\.ops\.\w+))?|builtins"
)


def rebuilt(
    config: dict[str, Any], weights: Sequence[np.ndarray], path: Path
) -> keras.Model:
    """The model, once it is known that its variables have the weights' shapes.

    Raises:
        ValueError: the config is damaged, does not fit the weights, or has classes that
            are unknown or refused; names the file.
    """
    _require_safe(config, path)
    model = None
    try:
        # Variables are made when the scope ends: not before their sizes are known.
        with keras.StatelessScope(initialize_variables=False):
            model = keras.saving.deserialize_keras_object(config, safe_mode=True)
            if not isinstance(model, keras.Model):
                raise ValueError(f"it is a {type(model).__name__}, no model")
            _require_fit(model, weights)
    except MemoryError:
        _forget_variables()
        raise
    except Exception as error:  # of Keras and its backend: no common base
        _forget_variables()
        reason = what_is_wrong(error)[:200]
        raise ValueError(f"{path} holds no model that can be built: {reason}") from (
            error
        )
    with keras.StatelessScope():
        pass
    for variable, value in zip(model.weights, weights, strict=True):
        variable.assign(value)
    derive_state(model)
    return model


def config_of(model: keras.Model) -> dict[str, Any]:
    """What Keras makes a model again from.

    Raises:
        ValueError: a layer or a function in it has no config.
    """
    try:
        return keras.saving.serialize_keras_object(model)
    except Exception as error:  # whatever a layer's own may raise
        raise ValueError(
            f"{model.name!r} cannot be written, its layers and functions must have "
            "configs (a function: def it and register it with "
            f"keras.saving.register_keras_serializable): {what_is_wrong(error)}"
        ) from error


def comparable(model: keras.Model) -> Any:
    """What is the same of a model and of one that was rebuilt from its config."""
    return packed(config_of(model))


def _require_fit(model, weights):
    variables = model.weights
    ours = [
        (tuple(v.shape), keras.backend.standardize_dtype(v.dtype)) for v in variables
    ]
    theirs = [(array.shape, array.dtype.name) for array in weights]
    if ours != theirs:
        raise ValueError("its weights are not those of its architecture")
    others = [v for v in model.variables if all(v is not w for w in variables)]
    if sum(np.prod(v.shape, dtype=float) for v in others) > 1 << 16:
        raise ValueError("it has large variables that are no weights")


def _require_safe(config, path):
    waiting = [config]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            waiting += each.values()
            _require_known(each, path)
        elif isinstance(each, list):
            waiting += each


def _require_known(config, path):
    name = config.get("class_name")
    if "class_name" not in config or "config" not in config:
        return
    if name in REFUSED:
        raise ValueError(
            f"{path} has a {name}, which runs code or reads files that an archive "
            "names: no such model is loaded or written"
        )
    registered = config.get("registered_name")
    if isinstance(registered, str) and (
        keras.saving.get_registered_object(registered) is not None
    ):
        return
    module = config.get("module", "keras")
    if not isinstance(module, str) or not MODULES.fullmatch(module):
        raise ValueError(unregistered(path, registered or name))


def _forget_variables():
    """Those that were never made: the next scope to end would make them."""
    from keras.src.backend.common import global_state  # nothing public does

    global_state.set_global_attribute("uninitialized_variables", [])
