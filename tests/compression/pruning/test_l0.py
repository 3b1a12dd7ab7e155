"""L0 gates: their distribution, their penalty, and what they leave."""

import math

import keras
import numpy as np
import pytest
from keras import layers

from compression.pruning import l0_gates, plain_net
from compression.pruning.l0 import (
    GatedLayer,
    inference_gates,
    open_probability,
    sampled_gates,
)
from tests.compression.pruning.toy import learnt_on_one_input

pytestmark = pytest.mark.usefixtures("eagerly")
RNG = np.random.default_rng(0)


def drawn(log_alpha, count=200_000):
    """Gates, drawn as section 2.2 says, in numpy."""
    u = RNG.uniform(size=count)
    s = 1 / (1 + np.exp(-(np.log(u / (1 - u)) + log_alpha) * 1.5))
    return np.clip(s * 1.2 - 0.1, 0, 1)


@pytest.mark.parametrize("log_alpha", [-4.0, -1.0, 0.0, 2.0])
def test_the_expected_norm_is_that_of_many_gates(log_alpha):
    gates = drawn(log_alpha)
    found = float(open_probability(np.float32(log_alpha)))
    assert found == pytest.approx(np.mean(gates > 0), abs=0.005)
    uniform = RNG.uniform(1e-7, 1 - 1e-7, gates.size).astype("float32")
    ours = np.asarray(sampled_gates(np.float32(log_alpha), uniform))
    for statistic in (lambda g: np.mean(g == 0), np.mean, lambda g: np.mean(g == 1)):
        assert statistic(ours) == pytest.approx(statistic(gates), abs=0.005)


def test_gates_without_noise_by_hand():
    log_alphas = np.array([0.0, math.log(3.0), -3.0, 5.0], "float32")
    gates = np.asarray(inference_gates(log_alphas))
    # 0.5 * 1.2 - 0.1; 0.75 * 1.2 - 0.1; under 0 and over 1 they are cut
    np.testing.assert_allclose(gates, [0.5, 0.8, 0.0, 1.0], rtol=1e-6)


def net_of_one_layer():
    return keras.Sequential([keras.Input((3,)), layers.Dense(2, name="fc")])


def gated_layer(model):
    [layer] = [each for each in model.layers if isinstance(each, GatedLayer)]
    return layer


@pytest.mark.parametrize(("gates", "shape"), [("weight", (3, 2)), ("input", (3, 1))])
def test_weights_times_gates_are_left(gates, shape):
    model = net_of_one_layer()
    gated = l0_gates(model, examples=10, weight=0.5, gates=gates)
    layer = gated_layer(gated)
    assert tuple(layer.log_alpha.shape) == shape
    log_alpha = np.array([-3.0, 0.0, 5.0])[:, None] * np.ones(shape)
    layer.log_alpha.assign(log_alpha)
    kernel, bias = model.get_weights()
    expected = kernel * np.array([[0.0], [0.5], [1.0]])
    plain = plain_net(gated)
    np.testing.assert_allclose(plain.get_weights()[0], expected, rtol=1e-6)
    x = RNG.normal(size=(4, 3)).astype("float32")
    np.testing.assert_allclose(gated(x), x @ expected + bias, rtol=1e-5, atol=1e-6)
    # Six weights: two for each number above.
    expected = 0.5 / 10 * 2 * sum(np.mean(drawn(a) > 0) for a in (-3.0, 0.0, 5.0))
    [penalty] = gated.losses
    assert float(penalty) == pytest.approx(expected, abs=1e-3)


def test_of_a_convolution_gates_are_on_channels():
    model = keras.Sequential([keras.Input((5, 5, 4)), layers.Conv2D(6, 3, name="conv")])
    layer = gated_layer(l0_gates(model, examples=10, gates="input"))
    assert tuple(layer.log_alpha.shape) == (1, 1, 4, 1)
    layer.log_alpha.assign(np.array([9.0, -9, 9, -9]).reshape(1, 1, 4, 1))
    x = RNG.normal(size=(1, 5, 5, 4)).astype("float32")
    without = x * np.array([1, 0, 1, 0], "float32")
    np.testing.assert_allclose(layer(x), model(without), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("groups", [2, 4])
def test_of_a_grouped_convolution_too(groups):
    conv = layers.Conv2D(8, 3, groups=groups, name="conv")
    model = keras.Sequential([keras.Input((5, 5, 4)), conv])
    layer = gated_layer(l0_gates(model, examples=10, gates="input"))
    assert tuple(layer.log_alpha.shape) == (1, 1, 4 // groups, groups)
    stays = np.array([9.0, -9, -9, 9])  # of each input channel, group after group
    layer.log_alpha.assign(stays.reshape(1, 1, groups, -1).swapaxes(2, 3))
    x = RNG.normal(size=(1, 5, 5, 4)).astype("float32")
    without = x * (stays > 0).astype("float32")
    np.testing.assert_allclose(layer(x), model(without), rtol=1e-4, atol=1e-5)
    assert layer(x, training=True).shape == (1, 3, 3, 8)
    assert layer.get_config()["gates"] == "input"


@pytest.mark.backends
@pytest.mark.usefixtures("traced")
@pytest.mark.slow
def test_most_of_a_net_that_is_too_large_goes():
    """Of eight inputs one decides the class."""
    plain, right = learnt_on_one_input(l0_gates, examples=256, weight=3.0)
    left = np.count_nonzero(np.asarray(plain.get_layer("fc").kernel), axis=1)
    assert left[0] >= 1 and left[1:].sum() <= 0.3 * 7 * 8
    assert right > 0.95


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"examples": 0}, "examples must be positive, got 0"),
        ({"examples": 9, "weight": 0}, "weight must be positive, got 0"),
        ({"examples": 9, "gates": "output"}, "no gates called 'output'; choose from w"),
        ({"examples": 9, "closed": 1.0}, r"closed must be in \(0, 1\), got 1.0"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        l0_gates(net_of_one_layer(), **options)
