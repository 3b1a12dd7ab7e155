"""Fisher of channels, against differences of each example's loss."""

import keras
import numpy as np
import pytest
from keras import layers

from compression.pruning.channels.groups import couple
from compression.pruning.channels.saliency import saliency
from tests.compression.small_nets import on_images, shaken

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="its gradients"
)
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=None)


class Gate(layers.Layer):
    """Multiplies channels by numbers that a test sets."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="g")

    def call(self, x):
        return x * self.scale


def test_fisher_by_hand():
    """logits (w x, 0): the loss of label 0 changes by -(1 - p) w x with the gate."""
    model = on_images(
        layers.Dense(2, use_bias=False, name="d"),
        layers.Dense(2, use_bias=False, name="e"),
        shape=(1,),
    )
    model.get_layer("d").kernel.assign([[1.0, 0.5]])
    model.get_layer("e").kernel.assign([[1.0, 0.0], [-2.0, 0.0]])
    x, y = np.array([[1.0], [2.0]], "float32"), np.array([0, 1])
    coupling = couple(model)
    found = saliency("fisher", model, coupling, data=[(x, y)])
    # Both examples have logits (0, 0), p = 1/2; the units give them (x, -x).
    by_unit = [((-0.5 * 1) ** 2 + (0.5 * 2) ** 2) / 4] * 2
    [group] = [g for g in coupling.groups if "d" in g.makers]
    np.testing.assert_allclose(found[group.units], by_unit, rtol=1e-6)
    split = saliency("fisher", model, coupling, data=[(x[:1], y[:1]), (x[1:], y[1:])])
    np.testing.assert_allclose(split[group.units], by_unit, rtol=1e-6)


def test_gates_of_a_coupled_unit_are_one():
    """A residual net: the gates on stem and block move together, by differences."""
    image = keras.Input((5, 5, 2))
    stem = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(3, 3)(image)))
    gates = [Gate(name=f"g{i}") for i in range(2)]

    def net(gated):
        x = gates[0](stem) if gated else stem
        y = conv(x)
        y = gates[1](y) if gated else y
        x = layers.GlobalAveragePooling2D()(add([x, y]))
        return keras.Model(image, head(x))

    conv = layers.Conv2D(3, 3, padding="same", name="block")
    add, head = layers.Add(), layers.Dense(4)
    model, gated = shaken(net(False)), net(True)
    generator = np.random.default_rng(0)
    x = generator.normal(size=(6, 5, 5, 2)).astype("float32")
    y = generator.integers(0, 4, size=6)
    coupling = couple(model)
    [group] = [g for g in coupling.groups if "block" in g.makers]
    assert len(group.makers) == 2
    found = saliency("fisher", model, coupling, data=[(x, y)])[group.units]
    for i in range(3):
        losses = []
        for size in (1.02, 0.98):
            value = np.ones(3)
            value[i] = size
            for gate in gates:
                gate.scale.assign(value)
            losses.append(np.array(LOSS(y, gated(x))))
        change = (losses[0] - losses[1]) / 0.04
        np.testing.assert_allclose(found[i], (change**2).mean() / 2, rtol=5e-3)


def test_it_needs_logits_and_labels():
    model = on_images(layers.Dense(3), layers.Dense(2))
    with pytest.raises(ValueError, match=r"'fisher' needs batches \(images, labels\)"):
        saliency("fisher", model, couple(model), data=[np.zeros((2, 8, 8, 4))])
    with pytest.raises(ValueError, match="'fisher' needs data: batches"):
        saliency("fisher", model, couple(model))
    model = on_images(layers.Flatten(), layers.Dense(2, activation="softmax"))
    with pytest.raises(ValueError, match="'fisher' needs logits"):
        saliency("fisher", model, couple(model), data=[1])


@pytest.mark.parametrize("name", ["taylor", "fisher"])
def test_an_output_in_a_dict_is_scored_like_one_alone(name):
    model = shaken(on_images(layers.Dense(3), layers.Dense(2), shape=(4,)))
    named = keras.Model(model.inputs, {"logits": model.outputs[0]})
    rng = np.random.default_rng(0)
    data = [(rng.normal(size=(6, 4)).astype("float32"), np.arange(6) % 2)]
    alone, in_a_dict = (
        saliency(name, net, couple(net), data=data) for net in (model, named)
    )
    assert alone.any()
    np.testing.assert_allclose(in_a_dict, alone, rtol=1e-6)
