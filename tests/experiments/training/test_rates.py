"""Learning rates by layer, and weights held near their start."""

import keras
import numpy as np
import pytest
from keras import layers

from experiments.training.rates import with_rates
from experiments.training.toward_start import held

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.normal(size=(8, 5)), RNG.integers(0, 3, 8)


def net():
    keras.utils.set_random_seed(0)
    image = keras.Input((5,))
    x = layers.Dense(4, activation="relu", name="low")(image)
    return keras.Model(image, layers.Dense(3, name="high")(x))


def one_step(model, optimizer, **options):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, **options)
    before = [w.numpy() for w in model.weights]
    model.fit(IMAGES, LABELS, batch_size=8, epochs=1, shuffle=False, verbose=0)
    return [w.numpy() - old for w, old in zip(model.weights, before, strict=True)]


@pytest.mark.parametrize(
    ("kind", "jit_compile"),
    [(keras.optimizers.SGD, False), (keras.optimizers.AdamW, True)],
)
def test_each_step_is_multiplied(kind, jit_compile):
    options = {"learning_rate": 0.1, "global_clipnorm": 0.5, "weight_decay": 0.0}
    full = one_step(net(), kind(**options), jit_compile=jit_compile)
    model = net()
    factors = [0.25 if w.path.startswith("low") else 1.0 for w in model.weights]
    chosen = with_rates(kind(**options), factors)
    scaled = one_step(model, chosen, jit_compile=jit_compile)
    for step, whole, factor in zip(scaled, full, factors, strict=True):
        np.testing.assert_allclose(step, factor * whole, rtol=2e-5, atol=1e-7)


def test_the_penalty_is_alpha_halves_of_the_squared_distance():
    model = net()
    low = model.get_layer("low")
    start = low.kernel.numpy()
    with held(low.weights, alpha=0.3):
        assert float(sum(model.losses)) == 0
        low.kernel.assign(start + 2)
        assert float(sum(model.losses)) == pytest.approx(0.15 * 4 * start.size)
        high = one_step(model, keras.optimizers.SGD(0.1))
    assert not model.losses
    low.kernel.assign(start + 2)
    low.bias.assign(0 * low.bias)
    free = net()
    free.get_layer("low").kernel.assign(start + 2)
    without = one_step(free, keras.optimizers.SGD(0.1))
    # The pull is alpha times the distance, along the straight way back.
    np.testing.assert_allclose(high[0] - without[0], -0.1 * 0.3 * 2, rtol=1e-4)
    np.testing.assert_allclose(high[2], without[2], rtol=1e-5)
