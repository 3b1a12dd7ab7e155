"""Weights that leave their cluster for a nearer one. Run again on JAX."""

from itertools import product

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from compression.pruning import ConstantSparsity, KeepZeros, Prune
from compression.quantization import Cluster, share_weights
from compression.quantization.reassignment import reassigned
from tests.compression.quantization.test_clustering import (
    compiled,
    counts,
    fit,
    kernels,
    net,
    parts,
)

pytestmark = pytest.mark.usefixtures("eagerly")


def step(values, codes, clusters, firsts=0, groups=1):
    """Codes after one; tables by numpy."""
    numbers = (codes + firsts).ravel()
    size = groups * (clusters + 1)
    sizes = np.bincount(numbers, minlength=size)
    sums = np.bincount(numbers, weights=values.ravel(), minlength=size)
    found = reassigned(
        ops.array(values),
        ops.array(codes),
        firsts,
        ops.array((sums / np.maximum(sizes, 1)).reshape(groups, -1).astype("float32")),
        ops.array(sizes.reshape(groups, -1).astype("float32")),
    )
    return ops.convert_to_numpy(found)


@pytest.mark.backends
def test_by_hand():
    values = np.float32([0, 0, 4, 5, 8, 9, 7])
    codes = np.int32([1, 1, 1, 2, 2, 2, 0])  # means 4 / 3 and 22 / 3, edge 13 / 3
    assert step(values, codes, 3).tolist() == [1, 1, 1, 2, 2, 2, 0]
    values[2], values[3] = 6, 1  # means 2 and 6
    assert step(values, codes, 3).tolist() == [1, 1, 2, 1, 2, 2, 0]


@pytest.mark.backends
def test_an_empty_cluster_takes_a_part_of_the_one_below():
    values = np.float32([-3, 1, 2, 3, 9])
    codes = np.int32([1, 2, 2, 2, 4])  # the third has none
    assert step(values, codes, 4).tolist() == [1, 2, 2, 3, 4]
    values[1] = -5
    lowest = np.int32([2, 2, 3, 3, 3])  # the first: below the mean, -4
    assert step(values, lowest, 3).tolist() == [2, 1, 3, 3, 3]


@pytest.mark.backends
def test_a_zero_takes_the_place_of_the_highest_value():
    values = np.float32([1, 2, 3, 0])
    assert step(values, np.int32([1, 2, 3, 0]), 3).tolist() == [1, 2, 2, 0]
    values[3] = 2.2  # no zero, and nearer to the second
    assert step(values, np.int32([1, 2, 3, 3]), 3).tolist() == [1, 2, 3, 2]


@given(
    st.integers(2, 20),
    st.integers(1, 3),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=10, deadline=None)
def test_repeated_it_ends_with_each_weight_at_the_nearest_mean(
    clusters, groups, zeros, seed
):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(groups, 200)).astype("float32")
    codes = rng.integers(0 if zeros else 1, clusters + 1, values.shape)
    # In order, as k-means gives them.
    values.sort(axis=1)
    codes.sort(axis=1)
    codes = codes.astype("int32")
    firsts = (np.arange(groups, dtype="int32") * (clusters + 1))[:, None]
    for _ in range(1000):
        before, codes = codes, step(values, codes, clusters, firsts, groups)
        if (codes == before).all():
            break
    for value, code, begun in zip(values, codes, before, strict=True):
        there = np.unique(code[code > 0])
        means = np.array([value[code == each].mean() for each in there])
        nearest = there[np.abs(value[:, None] - means).argmin(axis=1)]
        assert (nearest[code > 0] == code[code > 0]).all()
        assert len(there) + zeros <= clusters or not (begun == 0).any()


@pytest.mark.parametrize(
    ("jit_compile", "scope"),
    [
        *product([False, True], ["layer", "global"]),
        (False, "channel"),
        pytest.param(True, "channel", marks=pytest.mark.backends),
    ],
)
def test_what_each_weight_learns_is_kept(scope, jit_compile):
    """A linear net, squared error, by numpy: latent weights learn by the gradients at
    the values that they share, and share that of the nearest mean."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(8, 20)), rng.normal(size=(8, 5))
    dense = keras.layers.Dense(5, use_bias=False)
    model = keras.Sequential([keras.Input((20,)), dense])
    model.set_weights([rng.normal(size=(20, 5))])
    model.compile(keras.optimizers.SGD(0.3), "mse", jit_compile=jit_compile)
    [begun] = share_weights(model, 3, scope=scope).get_weights()
    columns = [[i] for i in range(5)] if scope == "channel" else [list(range(5))]
    shared = begun.astype(float)
    learnt, codes = shared.copy(), np.zeros(begun.shape, int)
    for at in columns:
        _, found = np.unique(begun[:, at], return_inverse=True)
        codes[:, at] = found.reshape(-1, len(at))
    moved = 0
    for _ in range(12):
        learnt -= 0.3 * x.T @ (x @ shared - y) * 2 / y.size
        for at in columns:
            part, code = learnt[:, at], codes[:, at]
            for again in (True, False):
                means = np.array([part[code == each].mean() for each in range(3)])
                if again:
                    nearest = np.abs(part[..., None] - means).argmin(axis=-1)
                    moved += (nearest != code).sum()
                    code = nearest
            codes[:, at], shared[:, at] = code, means[code]
    assert moved  # else nothing is tested
    cluster = Cluster(3, scope=scope, reassign=True)
    model.fit(x, y, batch_size=8, epochs=12, callbacks=[cluster], verbose=0)
    np.testing.assert_allclose(model.get_weights()[0], shared, rtol=1e-4, atol=1e-5)


def test_values_are_few_and_weights_change_them():
    model = compiled(net())
    begun = kernels(share_weights(model, 4))
    history = fit(model, Cluster(4, reassign=True), shuffle=False).history
    assert counts(model) == [4, 4, 4]
    assert any(
        (parts(a) != parts(b)).any() for a, b in zip(begun, kernels(model), strict=True)
    )
    assert history["code_bits"][0] != history["code_bits"][1]
    assert all(v.constraint is None for v in model.trainable_variables)


@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("first", [True, False])
def test_zeros_stay_and_count(first, scope):
    model = compiled(net())
    fit(model, Prune(ConstantSparsity(0.5), scope="layer"), epochs=1)
    masks = [k == 0 for k in kernels(model)]
    cluster = Cluster(4, begin=2, reassign=True, scope=scope)
    fit(model, *([KeepZeros(), cluster] if first else [cluster, KeepZeros()]))
    for mask, kernel in zip(masks, kernels(model), strict=True):
        np.testing.assert_array_equal(kernel == 0, mask)
    assert all(each <= 4 for each in counts(model))


class Best(keras.callbacks.Callback):
    """The first epoch is best; its weights have other codes than the last one's."""

    def on_epoch_end(self, epoch, logs=None):
        if hasattr(self.model, "jax_state_sync"):
            self.model.jax_state_sync()
        logs["figure"] = float(epoch)
        if epoch == 0:
            self.weights = kernels(self.model)


@pytest.mark.parametrize("scope", ["layer", "channel", "global"])
def test_restored_weights_are_as_they_were(scope):
    stopping = keras.callbacks.EarlyStopping(
        monitor="figure", mode="min", patience=5, restore_best_weights=True
    )
    best = Best()
    model = compiled(net())
    fit(model, best, stopping, Cluster(4, reassign=True, scope=scope), epochs=4)
    for kernel, expected in zip(kernels(model), best.weights, strict=True):
        np.testing.assert_allclose(kernel, expected, rtol=1e-6)
        np.testing.assert_array_equal(parts(kernel), parts(expected))


def test_what_is_refused():
    with pytest.raises(ValueError, match="reassign must be true or false, got 'yes'"):
        Cluster(reassign="yes")
    with pytest.raises(ValueError, match="by distance alone, and rate=0.1 by bits"):
        Cluster(reassign=True, rate=0.1)


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="TensorFlow's strategies")
def test_several_devices_are_refused():
    import tensorflow as tf

    with tf.distribute.MirroredStrategy(["cpu:0", "cpu:1"]).scope():
        model = compiled(net())
    with pytest.raises(ValueError, match="on one device, and the strategy has 2"):
        fit(model, Cluster(4, reassign=True))
