"""The layers that Keras lacks: by hand, on another backend, saved, and exported."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from architectures.blocks import ceil_max_pool, convolution
from architectures.layers import (
    BatchNormalization,
    LocalResponseNormalization,
    ZeroPaddedShortcut,
)


def test_response_refuses_what_is_no_map():
    with pytest.raises(ValueError, match=r"takes \(batch, height, width, channels\)"):
        LocalResponseNormalization()(np.zeros((2, 3)))


def small_net():
    x = image = keras.Input((9, 9, 4))
    x = LocalResponseNormalization(3, bias=1.5, scale=0.2, power=0.6, name="norm")(x)
    x = ZeroPaddedShortcut(7, stride=2, name="shortcut")(x)
    return keras.Model(image, x)


def test_layers_are_saved_with_their_numbers(tmp_path):
    small_net().save(tmp_path / "net.keras")
    again = keras.models.load_model(tmp_path / "net.keras")
    config = again.get_layer("norm").get_config()
    assert [config[key] for key in ("size", "bias", "scale", "power")] == [
        3,
        1.5,
        0.2,
        0.6,
    ]
    x = np.random.default_rng(0).standard_normal((2, 9, 9, 4)).astype("float32")
    np.testing.assert_array_equal(again(x), small_net()(x))


def test_response_becomes_one_litert_operator(tmp_path):
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    model = small_net()
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    content = converter.convert()  # builtins only, else it fails
    interpreter = litert.Interpreter(model_content=content)
    names = [op["op_name"] for op in interpreter._get_ops_details()]
    assert names.count("LOCAL_RESPONSE_NORMALIZATION") == 1
    interpreter.allocate_tensors()
    x = np.random.default_rng(0).standard_normal((1, 9, 9, 4)).astype("float32")
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    out = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(out, model(x), rtol=1e-5, atol=1e-6)


def both_norms(shape=(3, 5, 4, 6), **options):
    """(ours, Keras's) with the same random weights, and an input."""
    random = np.random.default_rng(0)
    norms = BatchNormalization(**options), keras.layers.BatchNormalization(**options)
    x = (3 + 2 * random.standard_normal(shape)).astype(options.get("dtype", "float32"))
    for norm in norms:
        norm.build(shape)
    values = [random.uniform(0.5, 1.5, w.shape) for w in norms[0].weights]
    for norm in norms:
        norm.set_weights(values)
    return *norms, tf.constant(x)


def trained(norm, x):
    """Output, gradients by input and weights, and moving statistics after a step."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = norm(x, training=True)
        loss = tf.reduce_sum(tf.cast(y, "float32") ** 3)
    sources = [x, *(w.value for w in norm.trainable_weights)]
    moved = [w.numpy() for w in norm.non_trainable_weights]
    return [y, *tape.gradient(loss, sources), *moved]


def close(actual, expected, tolerance=1e-5):
    actual, expected = (np.asarray(a, "float64") for a in (actual, expected))
    scale = abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9, "epsilon": 1e-5}])
def test_fused_norm_trains_as_keras_does(options):
    ours, theirs, x = both_norms(**options)
    before = theirs.moving_variance.numpy()
    *mine, variance = trained(ours, x)
    *expected, biased = trained(theirs, x)
    for one, other in zip(mine, expected, strict=True):
        close(one, other)
    # n / (n - 1) of the batch's 60 pixels, in the share that the step moved.
    kept = ours.momentum * before
    close(variance, kept + (biased - kept) * 60 / 59)


def test_fused_norm_infers_as_keras_does():
    ours, theirs, x = both_norms()
    np.testing.assert_array_equal(ours(x), theirs(x))
    ours.trainable = theirs.trainable = False
    np.testing.assert_array_equal(ours(x, training=True), theirs(x, training=True))


@pytest.mark.parametrize(
    "options",
    [
        {"axis": 1},
        {"scale": False},
        {"center": False},
        {"renorm": True},
        {"dtype": "float64"},
        {"shape": (8, 6)},
    ],
)
def test_what_the_kernel_cannot_do_is_keras(options):
    ours, theirs, x = both_norms(**options)
    for one, other in zip(trained(ours, x), trained(theirs, x), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_mask_is_keras():
    ours, theirs, x = both_norms()
    mask = np.random.default_rng(1).random(x.shape[:-1]) > 0.5
    np.testing.assert_array_equal(
        ours(x, training=True, mask=mask), theirs(x, training=True, mask=mask)
    )


@pytest.mark.parametrize(
    "policy", ["mixed_float16", "mixed_bfloat16", "float16", "bfloat16"]
)
def test_fused_norm_works_in_half_precision(policy):
    x = tf.constant(np.random.default_rng(0).standard_normal((2, 4, 4, 3)), "float32")
    ours = BatchNormalization(dtype=policy)
    y = ours(x, training=True)
    half = policy.removeprefix("mixed_")
    assert y.dtype == half
    assert ours.moving_mean.dtype == ("float32" if policy != half else half)
    close(tf.cast(y, "float32"), BatchNormalization()(x, training=True), 0.02)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_fused_norm_fits(jit_compile, tmp_path):
    """With the first batch as the only one, Keras's own layer gives the same loss."""
    losses = []
    for kind in (BatchNormalization, keras.layers.BatchNormalization):
        keras.utils.set_random_seed(0)
        image = keras.Input((6, 6, 2))
        x = kind(name="norm")(keras.layers.Conv2D(4, 3)(image))
        x = keras.layers.Dense(3)(keras.layers.Flatten()(x))
        model = keras.Model(image, x)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("sgd", loss, jit_compile=jit_compile)
        x = np.random.default_rng(0).standard_normal((12, 6, 6, 2))
        fit = model.fit(x, np.arange(12) % 3, epochs=4, batch_size=12, verbose=0)
        losses.append(fit.history["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-4)


def test_fused_norm_is_saved_and_folds_into_the_convolution(tmp_path):
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    image = keras.Input((6, 6, 2))
    x = keras.layers.Conv2D(4, 3, use_bias=False)(image)
    x = BatchNormalization(momentum=0.5, name="norm")(x)
    model = keras.Model(image, x)
    norm = model.get_layer("norm")
    norm.set_weights(np.random.default_rng(0).uniform(0.5, 1.5, (4, 4)))
    model.save(tmp_path / "net.keras")
    again = keras.models.load_model(tmp_path / "net.keras")
    assert type(again.get_layer("norm")) is BatchNormalization
    assert again.get_layer("norm").get_config() == norm.get_config()
    plain = keras.layers.BatchNormalization()
    assert norm.get_config().keys() == plain.get_config().keys()

    content = tf.lite.TFLiteConverter.from_keras_model(again).convert()
    interpreter = litert.Interpreter(model_content=content)
    names = {op["op_name"] for op in interpreter._get_ops_details()}
    assert names <= {"CONV_2D", "DELEGATE"}


def test_shortcut_by_hand():
    x = np.arange(1.0, 10.0).reshape(1, 3, 3, 1)
    out = keras.ops.convert_to_numpy(ZeroPaddedShortcut(4, stride=2)(x))
    # One zero channel before, two after: one more after, since three is odd.
    np.testing.assert_array_equal(out[0, ..., 1], [[1, 3], [7, 9]])
    np.testing.assert_array_equal(out[0, ..., [0, 2, 3]], np.zeros((3, 2, 2)))
    shape = ZeroPaddedShortcut(4, stride=2).compute_output_shape((None, 3, None, 1))
    assert shape == (None, 2, None, 4)


def test_shortcut_cannot_drop_channels():
    with pytest.raises(ValueError, match="cannot drop channels: 3 go in, 2"):
        ZeroPaddedShortcut(2)(np.zeros((1, 2, 2, 3)))


def test_a_stride_pads_both_sides_alike():
    """One 3x3 window of ones at stride 2 over ones counts what it covers."""
    image = keras.Input((4, 4, 1))
    options = {"use_bias": False, "kernel_initializer": "ones"}
    x = convolution(image, 1, 3, stride=2, name="c", **options)
    out = keras.Model(image, x)(np.ones((1, 4, 4, 1)))
    # PyTorch's 3x3/2 with padding 1; TensorFlow's "same" gives [[9, 6], [6, 4]].
    np.testing.assert_array_equal(out[0, ..., 0], [[4, 6], [6, 9]])


@pytest.mark.parametrize(
    ("height", "width", "size", "expected"),
    [
        (4, 4, 3, [[11, 12], [15, 16]]),
        (5, 5, 3, [[13, 15], [23, 25]]),
        (4, 5, 3, [[13, 15], [18, 20]]),
        (5, 4, 3, [[11, 12], [19, 20]]),
        (3, 3, 2, [[5, 6], [8, 9]]),
        (3, 4, 2, [[6, 8], [10, 12]]),
        (2, 2, 3, [[4]]),
    ],
)
def test_ceil_pooling_counts_the_cut_off_window(height, width, size, expected):
    image = keras.Input((height, width, 1))
    model = keras.Model(image, ceil_max_pool(image, size, name="pool"))
    x = np.arange(1.0, height * width + 1).reshape(1, height, width, 1)
    np.testing.assert_array_equal(model(x)[0, ..., 0], expected)


def test_a_zero_padded_shortcut_that_has_lost_channels():
    """The channels that stay are those that the whole shortcut gives, by position."""
    x = np.arange(2 * 3 * 3 * 4, dtype="float32").reshape(2, 3, 3, 4) + 1
    whole = ZeroPaddedShortcut(9, stride=2, name="option_a")
    expected = np.array(whole(x))
    inputs, outputs = np.array([1, 3]), np.array([1, 3, 5, 7, 8])  # 2 to 5: inputs
    assert list(whole.channel_sources(4)) == [-1, -1, 0, 1, 2, 3, -1, -1, -1]
    smaller = whole.keep_channels(inputs, outputs)
    np.testing.assert_array_equal(smaller(x[..., inputs]), expected[..., outputs])
    again = ZeroPaddedShortcut.from_config(smaller.get_config())
    np.testing.assert_array_equal(again(x[..., inputs]), expected[..., outputs])
    assert "before" not in whole.get_config()
    with pytest.raises(ValueError, match="4 go in behind 6, 9 should come out"):
        ZeroPaddedShortcut(9, before=6)(x)
