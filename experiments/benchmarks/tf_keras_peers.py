"""Our nets in tf_keras, which tfmot works on."""

import keras

from experiments.benchmarks.keras_peers import LEARNING_RATE, MOMENTUM


def compile_as_peers(model) -> None:
    """The loss and the optimizer of all peers."""
    import tf_keras

    model.compile(
        tf_keras.optimizers.SGD(LEARNING_RATE, momentum=MOMENTUM),
        tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )


def twin(model: keras.Model):
    """A chain of stock layers, again in tf_keras, with the same weights.

    Raises:
        ValueError: a layer is not of those that are known here.
    """
    import tf_keras

    layers = tf_keras.layers
    made = {
        "Conv2D": lambda x: layers.Conv2D(
            x.filters, x.kernel_size, x.strides, x.padding, use_bias=x.use_bias
        ),
        "Dense": lambda x: layers.Dense(x.units, use_bias=x.use_bias),
        "MaxPooling2D": lambda x: layers.MaxPooling2D(
            x.pool_size, x.strides, x.padding
        ),
        "BatchNormalization": lambda x: layers.BatchNormalization(
            momentum=x.momentum, epsilon=x.epsilon
        ),
        "ZeroPadding2D": lambda x: layers.ZeroPadding2D(x.padding),
        "ReLU": lambda _: layers.ReLU(),
        "Dropout": lambda x: layers.Dropout(x.rate),
        "Flatten": lambda _: layers.Flatten(),
        "GlobalAveragePooling2D": lambda _: layers.GlobalAveragePooling2D(),
    }
    chain = [layers.InputLayer(model.input_shape[1:])]
    for layer in model.layers[1:]:
        kind = type(layer).__name__
        if kind not in made:
            raise ValueError(f"{model.name}: no tf_keras twin of a {kind} here")
        chain.append(made[kind](layer))
    copy = tf_keras.Sequential(chain)
    for layer, own in zip(copy.layers, model.layers[1:], strict=True):
        layer.set_weights(own.get_weights())
    return copy
