"""What tf_keras lacks: twins of limbeck's layers, and of anyone's constraints.

Layers are known by the names under which they are registered with Keras, for this
package imports no net. They say themselves that they hold nothing to prune or cluster.
"""

from functools import cache
from types import SimpleNamespace

import keras

from compression.tfmot.packages import tf_keras


@cache
def own() -> SimpleNamespace:  # noqa: C901, classes that need tf_keras to be made
    """The classes, made when tf_keras is first imported.

    `by_name`: registered name in Keras -> function of such a layer that gives its twin;
    `classes`: what tfmot must know to copy a model; `weightless`: layers that quantize
    their output only; `Constraint`, `Regularizer`: of Keras 3, as tf_keras calls them.
    """
    import tensorflow as tf

    base = tf_keras().layers.Layer

    class Weightless(base):
        def get_prunable_weights(self):
            return []

        def get_clusterable_weights(self):
            return []

        def get_config(self):
            return super().get_config() | {k: getattr(self, k) for k in self.options}

    class LocalResponseNormalization(Weightless):
        options = ("size", "bias", "scale", "power")

        def __init__(self, size, bias, scale, power, **kwargs):
            super().__init__(**kwargs)
            self.size, self.bias, self.scale, self.power = size, bias, scale, power

        def call(self, inputs):
            return tf.nn.local_response_normalization(
                inputs, self.size // 2, self.bias, self.scale, self.power
            )

    class ZeroPaddedShortcut(Weightless):
        options = ("channels", "stride", "before")

        def __init__(self, channels, stride, before=None, **kwargs):
            super().__init__(**kwargs)
            self.channels, self.stride, self.before = channels, stride, before

        def call(self, inputs):
            missing = self.channels - inputs.shape[-1]
            before = missing // 2 if self.before is None else self.before
            thinned = inputs[:, :: self.stride, :: self.stride, :]
            return tf.pad(thinned, ((0, 0),) * 3 + ((before, missing - before),))

    classes = {
        kind.__name__: kind for kind in (LocalResponseNormalization, ZeroPaddedShortcut)
    }

    def twin(layer):
        kind = classes[type(layer).__name__]
        options = {key: getattr(layer, key) for key in kind.options}
        return kind(**options, name=layer.name, trainable=layer.trainable)

    class Constraint(_Kept, tf_keras().constraints.Constraint):
        """A constraint of Keras 3 on a variable of tf_keras."""

    class Regularizer(_Kept, tf_keras().regularizers.Regularizer):
        """A regularizer of Keras 3 on a variable of tf_keras."""

    held = {"LimbeckConstraint": Constraint, "LimbeckRegularizer": Regularizer}
    for name, kind in held.items():
        tf_keras().utils.register_keras_serializable("limbeck", name)(kind)
    for name, kind in classes.items():
        tf_keras().utils.register_keras_serializable("limbeck", name)(kind)
    return SimpleNamespace(
        by_name={f"limbeck>{name}": twin for name in classes},
        classes=classes | {f"limbeck>{k}": v for k, v in {**held, **classes}.items()},
        weightless=Weightless,
        Constraint=Constraint,
        Regularizer=Regularizer,
    )


class _Kept:
    """Calls an object of Keras 3, which it keeps as its config."""

    def __init__(self, serialized):
        self.serialized = serialized
        self.called = keras.saving.deserialize_keras_object(serialized)

    def __call__(self, value):
        import tensorflow as tf

        return tf.convert_to_tensor(self.called(tf.convert_to_tensor(value)))

    def get_config(self):
        return {"serialized": self.serialized}
