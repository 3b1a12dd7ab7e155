"""Weights shared at once: how many values, whose, which zeros; and what is refused."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from keras import layers

from compression.quantization import share_weights
from compression.quantization.weight_sharing import Kernel, Sharing, shared
from tests.compression.small_nets import on_images, shaken

pytestmark = pytest.mark.usefixtures("eagerly")


def net():
    return shaken(
        on_images(
            layers.Conv2D(6, 3, name="conv"),
            layers.Flatten(name="flatten"),
            layers.Dense(12, name="fc"),
            layers.Dense(5, name="logits"),
        )
    )


def kernels(model):
    return {
        v.path.rsplit("/", 1)[0].split("/")[-1] + "/" + v.name: np.asarray(v)
        for v in model.variables
        if v.name.endswith("kernel")
    }


def counts(model):
    return {name: len(np.unique(k)) for name, k in kernels(model).items()}


def of_arrays(weights, channels=None, **options):
    how = Sharing(**options)
    made = [
        Kernel(
            keras.Variable(w, dtype=str(np.asarray(w).dtype)),
            how.clusters,
            alone=how.scope != "global",
            channels=channels,
        )
        for w in weights
    ]
    return [each.weights for each in shared(made, how)]


def test_by_hand():
    """Of 0, 1, 2, 9, 10 and 20 with three values, zero being one of them."""
    [found] = of_arrays([np.float32([[9, 0, 1], [2, 10, 20]])], clusters=3)
    np.testing.assert_array_equal(found, [[5.5, 0, 5.5], [5.5, 5.5, 20]])
    [found] = of_arrays(
        [np.float32([[9, 0, 1], [2, 10, 20]])], clusters=3, preserve_zeros=False
    )
    np.testing.assert_array_equal(found, [[9.5, 1, 1], [1, 9.5, 20]])


FLOATS = st.floats(-100, 100, width=32)


@settings(max_examples=40)
@given(
    arrays(np.float32, (4, 6), elements=st.one_of(st.just(0.0), FLOATS)),
    st.integers(2, 9),
    st.sampled_from(["kmeans++", "linear", "density"]),
    st.sampled_from([0.0, 0.1]),
    st.booleans(),
)
def test_few_values_kept_zeros_and_once_is_enough(
    weights, clusters, initialisation, rate, preserve_zeros
):
    options = {
        "clusters": clusters,
        "initialisation": initialisation,
        "rate": rate,
        "preserve_zeros": preserve_zeros,
    }
    [found] = of_arrays([weights], **options)
    assert len(np.unique(found)) <= clusters
    if preserve_zeros:
        assert (found[weights == 0] == 0).all()
    assert weights.min() <= found.min() and found.max() <= weights.max()
    free = (weights != 0) | (not preserve_zeros)
    order = np.argsort(weights[free])
    assert (np.diff(found[free][order]) >= 0).all()  # values keep their order
    [again] = of_arrays([found], **options)
    np.testing.assert_array_equal(again, found)


def test_each_scope_counts_its_values():
    model = net()
    assert counts(share_weights(model, 4)) == {
        "conv/kernel": 4,
        "fc/kernel": 4,
        "logits/kernel": 4,
    }
    by_channel = kernels(share_weights(model, 4, scope="channel"))
    for name, kernel in by_channel.items():
        assert [len(np.unique(kernel[..., i])) for i in range(kernel.shape[-1])] == (
            [4] * kernel.shape[-1]
        )
        assert len(np.unique(kernel)) == 4 * kernel.shape[-1], name
    together = kernels(share_weights(model, 4, scope="global"))
    assert len(np.unique(np.concatenate([k.ravel() for k in together.values()]))) == 4


def test_targets_and_exempt_layers():
    model = net()
    found = counts(
        share_weights(model, 4, targets={"fc": 9, "f*": 3}, exempt=("first", "logits"))
    )
    assert found == {"conv/kernel": 6 * 36, "fc/kernel": 9, "logits/kernel": 60}
    together = kernels(
        share_weights(model, 4, scope="global", targets={"fc": 9}, exempt="logits")
    )
    assert len(np.unique(together["conv/kernel"])) == 4
    assert len(np.unique(together["fc/kernel"])) == 9


def test_the_model_stays_and_so_do_biases():
    model = net()
    before = model.get_weights()
    found = share_weights(model, 4)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(found.layers[-1].bias, model.layers[-1].bias)
    again = share_weights(model, 4)
    for a, b in zip(found.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    only = share_weights(model, 4, select=lambda v: "fc" in v.path)
    assert counts(only)["conv/kernel"] == 6 * 36


def test_every_kind_of_kernel_by_channel():
    inner = keras.Sequential(
        [keras.Input((8, 8, 4)), layers.DepthwiseConv2D(3, depth_multiplier=2)],
        name="inner",
    )
    twice = layers.Dense(4, name="twice")
    image = keras.Input((8, 8, 4))
    x = inner(twice(twice(image)))
    x = layers.SeparableConv2D(5, 3, name="separable")(x)
    x = layers.Conv2DTranspose(3, 3, name="up")(x)
    model = shaken(keras.Model(image, x))
    model.get_layer("up").trainable = False
    found = kernels(share_weights(model, 3, scope="channel"))
    depthwise = [k for name, k in found.items() if k.shape == (3, 3, 4, 2)]
    assert len(depthwise) == 1
    channels = {
        "twice/kernel": np.moveaxis(found["twice/kernel"], -1, 0),
        "separable/depthwise": found["separable/depthwise_kernel"].reshape(9, -1).T,
        "separable/pointwise": found["separable/pointwise_kernel"].reshape(8, -1).T,
        "up/kernel": np.moveaxis(found["up/kernel"], -2, 0),
        "inner": depthwise[0].reshape(9, 8).T,
    }
    for name, kernel in channels.items():
        assert {len(np.unique(each)) for each in kernel} == {3}, name


def test_edges():
    zeros = np.zeros((3, 4), np.float32)
    one = np.full((1, 1), 7, np.float32)
    few = np.float32([[1, 2, 2], [0, -0.0, 1]])
    for weights in (zeros, one, few):
        for preserve_zeros in (True, False):
            [found] = of_arrays(
                [weights], clusters=3, preserve_zeros=preserve_zeros, rate=0.3
            )
            np.testing.assert_array_equal(found, weights)
    [sparse, dense] = of_arrays(
        [zeros, np.float32([1, 2, 3, 4])], clusters=3, scope="global"
    )
    assert not sparse.any() and len(np.unique(dense)) == 2


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_dtypes(dtype):
    weights = keras.ops.convert_to_numpy(
        keras.ops.cast(np.random.default_rng(0).normal(size=(40, 30)), dtype)
    )
    [found] = of_arrays([weights], clusters=256)
    assert found.dtype == weights.dtype
    assert len(np.unique(found.astype(float))) <= 256
    [again] = of_arrays([found], clusters=256)
    np.testing.assert_array_equal(again.astype(float), found.astype(float))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_named(bad):
    model = net()
    kernel = np.array(model.get_layer("fc").kernel)
    kernel[3, 4] = bad
    model.get_layer("fc").kernel.assign(kernel)
    with pytest.raises(ValueError, match="fc/kernel is not finite: has its training"):
        share_weights(model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clusters": 1}, "clusters must be 2 to 256, got 1"),
        ({"clusters": 257}, "clusters must be 2 to 256, got 257"),
        ({"clusters": 16.0}, "clusters must be a whole number, got 16.0"),
        ({"clusters": True}, "clusters must be a whole number, got True"),
        ({"scope": "net"}, "no scope called 'net'; choose from layer, channel, global"),
        ({"initialisation": "luck"}, "no initialisation called 'luck'; choose from km"),
        ({"rate": -0.1}, "rate must not be negative, got -0.1"),
        ({"rate": np.nan}, "rate must be finite, got nan"),
        ({"seed": -1}, "seed must not be negative, got -1"),
        ({"targets": {"fc": 1}}, r"targets\['fc'\] must be 2 to 256, got 1"),
        ({"targets": 4}, "targets must be numbers of clusters by name, .* got 4"),
        ({"targets": {"fc9": 4}}, "targets: no layer with a kernel is called 'fc9'"),
        ({"exempt": "fc9"}, "exempt: no layer with a kernel is called 'fc9'"),
        ({"exempt": "*"}, r"has no kernel to share \(selected\)"),
        ({"select": lambda v: False}, r"has no kernel to share \(selected\)"),
    ],
)
def test_what_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        share_weights(net(), **options)
