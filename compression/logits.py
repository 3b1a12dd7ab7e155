"""Classifiers that end in a softmax, as classifiers that put out logits."""

import keras
from keras import layers

SQUASHING = ("softmax", "sigmoid", "log_softmax")


def as_logits(model: keras.Model) -> keras.Model:
    """`model` without its final softmax: the same layers, the same weights.

    For `keras.applications` and anyone's functional or built sequential model. The
    model itself stays as it is, and shares its weights with what comes out: training
    one trains the other. A dense or convolutional last layer is replaced by one of
    the same name without activation that holds the same variables.

    Args:
        model: one output, (batch, classes); it ends in a softmax, or in a dense or
            convolutional layer without activation, which is returned as it is.

    Raises:
        ValueError: the model is no such model, or ends in something that logits
            cannot be read from, such as a sigmoid.
    """
    if isinstance(model, keras.Sequential) and not model.built:
        raise ValueError(f"{model.name!r} is not built; give it an input shape first")
    if not isinstance(model, keras.Sequential | keras.Function):
        raise ValueError(
            f"{model.name!r} is no functional or sequential model, so its last layer "
            "is not known; give it without its softmax"
        )
    if len(model.outputs) != 1:
        raise ValueError(f"{model.name!r} has {len(model.outputs)} outputs, not one")
    logits = _before_softmax(model.outputs[0], model.name)
    if logits is model.outputs[0]:
        return model
    # A sequential or nested model's `input` is not its own; a lone one needs no list.
    image = model.inputs[0] if len(model.inputs) == 1 else model.input
    return keras.Model(image, logits, name=model.name)


def require_logits(model: keras.Model, role: str) -> None:
    """Check that a functional model's output are logits, not probabilities.

    Raises:
        ValueError: the output layer is or has a softmax, log-softmax or sigmoid; or
            the model is not a built functional or sequential one with one output.
    """
    if len(getattr(model, "outputs", None) or ()) != 1:
        raise ValueError(
            f"{role} {model.name!r} must be a built functional or sequential model "
            "with one output, the logits"
        )
    layer = model
    while isinstance(layer, keras.Model):  # a model may be used as the last layer
        layer = layer.outputs[0]._keras_history.operation
    if isinstance(layer, keras.layers.Softmax):
        squashing = "softmax"
    else:
        activation = getattr(layer, "activation", None)
        squashing = getattr(activation, "__name__", "linear")
    if squashing in SQUASHING:
        raise ValueError(
            f"{role} {model.name!r} ends in a {squashing} (layer {layer.name!r}), but "
            "distillation needs logits: build it with a linear last layer"
        )


def _before_softmax(tensor, name):
    """The logits whose softmax `tensor` is; `tensor` itself where it is logits."""
    layer, node, _ = tensor._keras_history
    source = layer._inbound_nodes[node].input_tensors[0]
    activation = getattr(layer, "activation", None)
    weighted = isinstance(layer, layers.Dense | layers.Conv1D | layers.Conv2D)
    if isinstance(layer, layers.Softmax) or (
        isinstance(layer, layers.Activation) and activation is keras.activations.softmax
    ):
        return _as_dtype(source, tensor.dtype, layer.name)
    if weighted and activation is keras.activations.linear:
        return tensor
    if weighted and activation is keras.activations.softmax:
        return _without_activation(layer, source)
    if isinstance(layer, keras.Sequential | keras.Function):
        inner = as_logits(layer)
        return tensor if inner is layer else inner(source)
    shape_only = layers.Reshape | layers.Flatten | layers.Dropout
    idle = isinstance(layer, layers.Activation) and (
        activation is keras.activations.linear
    )
    if idle or isinstance(layer, shape_only):
        inner = _before_softmax(source, name)
        return tensor if inner is source else _again(layer)(inner)
    what = getattr(activation, "__name__", type(layer).__name__)
    raise ValueError(
        f"{name!r} ends in {layer.name!r} ({what}), from which logits cannot be read; "
        "give it with a last layer that has a softmax or no activation"
    )


def _without_activation(layer, source):
    """A layer like `layer`, with its variables, without its softmax."""
    twin = type(layer).from_config(layer.get_config() | {"activation": "linear"})
    shared = {variable.name: variable for variable in layer.variables}
    twin.add_weight = lambda *_, name, **__: shared[name]
    twin.build(source.shape)  # takes the variables instead of making its own
    del twin.add_weight
    return twin(source)


def _again(layer):
    return type(layer).from_config(layer.get_config())


def _as_dtype(source, dtype, name):
    """Under mixed precision the softmax is often the one layer in float32."""
    if source.dtype == dtype:
        return source
    return layers.Activation("linear", dtype=dtype, name=name)(source)
