"""Layers without kernels: who sums products, and who does not."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from compression import measure

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="seen in TensorFlow's graph alone"
)


class Attends(layers.Layer):
    def call(self, x):
        scores = ops.softmax(ops.matmul(x, ops.transpose(x, (0, 2, 1))))
        return ops.matmul(scores, x)


class Scales(layers.Layer):
    """A weight, but no kernel."""

    def build(self, shape):
        self.scale = self.add_weight(shape=shape[-1:])

    def call(self, x, *, twice):
        return ops.tanh(x * self.scale) * (2 if twice else 1)


class AttendsInside(layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.inner = Attends()

    def call(self, x):
        return ops.cond(ops.mean(x) > 0, lambda: self.inner(x), lambda: x)


class Counted(Attends):
    def count_macs(self, input_shape, output_shape):
        return 7


def _own_products(x):
    return ops.einsum("bij,bkj->bik", x, x)


def of(layer, **options):
    sequence = keras.Input((16, 8))
    return keras.Model(sequence, layer(sequence, **options))


@pytest.mark.parametrize(
    "made",
    [
        Attends,
        AttendsInside,
        lambda name: layers.Lambda(_own_products, name=name),
        lambda name: layers.TimeDistributed(
            layers.Lambda(lambda x: x @ np.eye(8, dtype="float32")), name=name
        ),
    ],
)
def test_products_are_not_nothing(made):
    with pytest.raises(ValueError, match=r"the MACs of layer 'mixer' .* not known"):
        measure.macs(of(made(name="mixer")))


def test_what_sums_no_products_counts_nothing():
    assert measure.macs(of(Scales(), twice=True)) == 0
    assert measure.macs(of(layers.Lambda(lambda x: 2 * x + x**2))) == 0
    assert measure.macs(of(Counted())) == 7
