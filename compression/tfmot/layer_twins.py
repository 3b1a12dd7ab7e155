"""One layer of Keras 3 as a layer of tf_keras, by what its config says.

Both know the same layers under the same names, and their configs nearly agree. What
only Keras 3 knows may be left out where it stands at its default.
"""

import inspect
from typing import Any

import keras

from compression.arguments import shown
from compression.one_line import first_line
from compression.tfmot.own_layers import own
from compression.tfmot.packages import tf_keras

# Weights are copied, so how they begin does not matter; the twin computes in float32.
LEFT_OUT = ("dtype", "quantization_config", "build_config", "compile_config")
RENAMED = {("LeakyReLU", "negative_slope"): "alpha"}
# What layers that augment images say in Keras 3 alone, as it usually is.
USUAL = {"data_format": "channels_last"}
# Of Keras's base layer, of all layers of tf_keras.
OF_ALL = {"name", "trainable"}
# Ours, and anyone's, that compute as the stock layer they extend.
AS_ITS_BASE = {"limbeck>BatchNormalization"}


def twin(layer: keras.Layer):
    """The same layer in tf_keras, without the weights.

    A layer that Keras does not ship may have a method `tf_keras_twin()` that gives a
    layer of tf_keras with weights of the same names.

    Raises:
        ValueError: there is none, or an option of it has no counterpart.
    """
    if hasattr(layer, "tf_keras_twin"):
        return layer.tf_keras_twin()
    registered = keras.saving.get_registered_name(type(layer))
    if registered in own().by_name:
        return own().by_name[registered](layer)
    if isinstance(layer, keras.layers.Lambda):
        return _lambda(layer)
    name = _stock_name(layer, registered)
    kind = getattr(tf_keras().layers, name or "", None)
    if kind is None:
        raise ValueError(
            f"layer {layer.name!r} ({type(layer).__name__}) has no twin in tf_keras, "
            "which tfmot works on; give it a method tf_keras_twin() that makes one, or "
            "use limbeck's own pruning, clustering and quantization"
        )
    if isinstance(layer, keras.layers.Wrapper | keras.layers.RNN) and not isinstance(
        layer, keras.layers.LSTM | keras.layers.GRU | keras.layers.SimpleRNN
    ):
        raise ValueError(
            f"layer {layer.name!r} ({type(layer).__name__}) holds other layers, and "
            "has no twin in tf_keras here; use limbeck's own engine"
        )
    return _made(layer, kind)


def _stock_name(layer, registered):
    kinds = (
        type(layer).__mro__ if registered in AS_ITS_BASE else type(layer).__mro__[:1]
    )
    for kind in kinds:
        if kind.__module__.startswith("keras."):
            return kind.__name__
    return None


def _lambda(layer):
    return tf_keras().layers.Lambda(
        layer.function,
        arguments=layer.arguments,
        name=layer.name,
        trainable=layer.trainable,
    )


def _made(layer, kind):
    known = _arguments(kind)
    defaults = _defaults(type(layer))
    config = {}
    for key, value in layer.get_config().items():
        if key in LEFT_OUT or key.endswith("_initializer"):
            continue
        key = RENAMED.get((kind.__name__, key), key)
        if key in known:
            config[key] = _value(layer, key, value)
        elif value not in (None, False, defaults.get(key), USUAL.get(key)):
            raise ValueError(
                f"layer {layer.name!r} ({type(layer).__name__}) has {key}="
                f"{shown(value)}, which tf_keras does not know"
            )
    try:
        return kind.from_config(config)
    except Exception as error:  # whatever a layer makes of its options
        reason = first_line(error)
        raise ValueError(
            f"layer {layer.name!r} ({type(layer).__name__}) cannot be made in "
            f"tf_keras: {reason}"
        ) from error


def _arguments(kind):
    found = set(OF_ALL)
    for each in kind.__mro__:
        if each is not tf_keras().layers.Layer and "__init__" in vars(each):
            found |= set(inspect.signature(each.__init__).parameters)
    return found - {"self", "args", "kwargs"}


def _defaults(kind):
    parameters = inspect.signature(kind.__init__).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def _value(layer, key, value) -> Any:
    """A regularizer, constraint or activation of the config; numbers as they are."""
    if not isinstance(value, dict) or "class_name" not in value:
        return tuple(value) if isinstance(value, list) else value
    if key.endswith("constraint"):
        return own().Constraint(value)
    if key.endswith("regularizer"):
        return own().Regularizer(value)
    if key.endswith("activation"):
        called = keras.saving.deserialize_keras_object(value)
        name = getattr(called, "__name__", "")
        if getattr(tf_keras().activations, name, None) is not None:
            return name
        return called
    raise ValueError(
        f"layer {layer.name!r} ({type(layer).__name__}) has an object for {key}, "
        f"which tf_keras does not know: {shown(value)}"
    )
