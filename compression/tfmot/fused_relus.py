"""ReLU layers become the activation of the layer before, as tfmot must have them.

tfmot means that nothing is rounded between a convolution and its ReLU. Where that is a
layer of its own it takes the whole convolution out of quantization instead, weights
and all: it is trained in floats, and loses the zeros and shared values that it had.
(With batch norm between them it is right.)
"""

from compression.tfmot.packages import tf_keras

ROUNDED = ("Conv2D", "DepthwiseConv2D", "Dense")


def with_fused_relus(twin):
    """A copy of a model of tf_keras: the same function, the same layers' names."""
    layers = tf_keras().layers
    before = {
        layer.name: layer.inbound_nodes[0].inbound_layers
        for layer in twin.layers
        if _is_relu(layer) and len(layer.inbound_nodes) == 1
    }
    fused = {name: layer.name for name, layer in before.items() if _may_be_fused(layer)}
    if not fused:
        return twin

    def cloned(layer):
        if layer.name in fused:
            return layers.Activation("linear", name=layer.name)
        config = layer.get_config()
        if layer.name in fused.values():
            config["activation"] = "relu"
        return type(layer).from_config(config)

    copy = tf_keras().models.clone_model(twin, clone_function=cloned)
    copy.set_weights(twin.get_weights())
    return copy


def _is_relu(layer):
    if isinstance(layer, tf_keras().layers.Activation):
        return layer.activation is tf_keras().activations.relu
    if not isinstance(layer, tf_keras().layers.ReLU):
        return False
    return layer.max_value is None and not layer.negative_slope and not layer.threshold


def _may_be_fused(layer):
    """Nobody else is given what it makes, and it has no activation."""
    return (
        not isinstance(layer, list)
        and type(layer).__name__ in ROUNDED
        and len(layer.outbound_nodes) == len(layer.inbound_nodes) == 1
        and layer.activation is tf_keras().activations.linear
    )
