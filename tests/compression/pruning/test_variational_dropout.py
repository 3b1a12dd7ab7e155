"""Sparse variational dropout: its divergence, its noise, and what it leaves."""

import math

import keras
import numpy as np
import pytest
from keras import layers

from compression.pruning import plain_net, variational_dropout
from compression.pruning.variational_dropout import NoisyLayer, kl_divergence
from tests.compression.pruning.toy import learnt_on_one_input

pytestmark = pytest.mark.usefixtures("eagerly")
RNG = np.random.default_rng(0)


def integrated(log_alpha):
    """KL of N(1, alpha) from the log-uniform prior, up to where it is 0.

    E log|w| - log(deviation) + const, by the midpoint rule over +-10 deviations; for
    infinite noise it is E log|standard normal| = -(Euler's gamma + log 2) / 2.
    """
    width = 20 / 400_000
    z = np.arange(-10 + width / 2, 10, width)
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    w = 1 + math.exp(log_alpha / 2) * z
    expected = np.sum(density * np.log(np.abs(w) + 1e-300)) * width
    return expected - log_alpha / 2 + (np.euler_gamma + math.log(2)) / 2


@pytest.mark.parametrize("log_alpha", [-8.0, -4.0, -2.0, -1.0, 0.0, 1.0, 3.0, 6.0])
def test_the_divergence_is_that_of_an_integral(log_alpha):
    found = float(kl_divergence(np.float32(log_alpha)))
    assert found == pytest.approx(integrated(log_alpha), abs=0.01)


def net_of_one_layer():
    return keras.Sequential([keras.Input((3,)), layers.Dense(2, name="fc")])


def noisy_layer(model):
    [layer] = [each for each in model.layers if isinstance(each, NoisyLayer)]
    return layer


def test_the_loss_is_the_datas_plus_the_divergence_over_the_examples():
    model = net_of_one_layer()
    noisy = variational_dropout(model, examples=50, weight=2.0, threshold=99.0)
    noisy.compile("sgd", "mse")
    x, y = RNG.normal(size=(8, 3)), RNG.normal(size=(8, 2))
    kernel, bias = model.get_weights()
    log_alpha = -10 - np.log(kernel**2 + 1e-8)
    divergence = sum(integrated(each) for each in log_alpha.ravel())
    expected = np.mean((x @ kernel + bias - y) ** 2) + 2 / 50 * divergence
    assert noisy.evaluate(x, y, verbose=0) == pytest.approx(expected, abs=2e-3)


def test_outputs_have_the_mean_and_variance_that_noisy_weights_give():
    model = keras.Sequential([keras.Input((4, 4, 2)), layers.Conv2D(1, 3, name="conv")])
    layer = noisy_layer(variational_dropout(model, examples=9))
    variance = RNG.uniform(0.005, 0.02, layer.layer.kernel.shape)
    layer.log_variance.assign(np.log(variance))
    image = RNG.normal(size=(1, 4, 4, 2))
    kernel, bias = model.get_weights()
    many = 20_000
    noise = RNG.normal(size=(many, *kernel.shape)) * np.sqrt(variance)
    direct = bias + np.sum((kernel + noise)[..., 0] * image[0, :3, :3], (1, 2, 3))
    seen = np.asarray(layer(np.repeat(image, many, axis=0), training=True))[:, 0, 0, 0]
    assert seen.mean() == pytest.approx(direct.mean(), abs=0.01)
    assert seen.std() == pytest.approx(direct.std(), rel=0.03)


def test_weights_that_their_noise_drowns_are_zero():
    model = net_of_one_layer()
    noisy = variational_dropout(model, examples=9, threshold=3.0)
    layer = noisy_layer(noisy)
    kernel = np.array([[1.0, 0.1], [-0.5, 0.01], [0.0, 2.0]], "float32")
    layer.layer.kernel.assign(kernel)
    variance = np.full(kernel.shape, 0.1)  # log alpha: -2.3, 2.3, -0.9, 6.9, 16, -3.7
    layer.log_variance.assign(np.log(variance))
    expected = np.array([[1.0, 0.1], [-0.5, 0.0], [0.0, 2.0]], "float32")
    plain = plain_net(noisy)
    np.testing.assert_array_equal(plain.get_weights()[0], expected)
    x = RNG.normal(size=(4, 3)).astype("float32")
    np.testing.assert_allclose(
        noisy(x), x @ expected + model.get_weights()[1], rtol=1e-5, atol=1e-6
    )


@pytest.mark.backends
@pytest.mark.usefixtures("traced")
@pytest.mark.slow
def test_most_of_a_net_that_is_too_large_goes():
    """Of eight inputs one decides the class."""
    plain, right = learnt_on_one_input(
        variational_dropout, examples=256, initial_log_variance=-5.0
    )
    left = np.count_nonzero(np.asarray(plain.get_layer("fc").kernel), axis=1)
    assert left[0] >= 1 and left[1:].sum() <= 0.3 * 7 * 8
    assert right > 0.95


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"examples": 0}, "examples must be positive, got 0"),
        ({"examples": 9, "weight": -1}, "weight must be positive, got -1"),
        ({"examples": 9, "exempt": ("fc",)}, "has no kernel to prune"),
        ({"examples": 9, "exempt": ("nothing",)}, "no layer .* called 'nothing'"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        variational_dropout(net_of_one_layer(), **options)
