"""Integer files of nets that concatenate tensors with ranges of their own."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from compression import export
from compression.quantization import calibrate, quantize_aware
from tests.compression.small_nets import shaken

pytestmark = pytest.mark.usefixtures("eagerly")
RNG = np.random.default_rng(0)


def conv(filters=3, size=3, **options):
    return layers.Conv2D(filters, size, padding="same", **options)


def join(*tensors):
    return layers.Concatenate()(tensors)


def of_dense_net(x):
    x = conv()(x)
    for _ in range(3):
        x = join(x, conv(4)(layers.ReLU()(x)))
    return x


def of_inception(x):
    x = conv()(x)
    pooled = layers.MaxPooling2D(3, 2, padding="same")(x)
    averaged = layers.AveragePooling2D(3, 2, padding="same")(x)
    return join(conv(4, strides=2)(x), pooled, averaged)


def cut_by_relu(x):
    x = conv()(x)
    return join(conv(2)(x), layers.ReLU()(x))


def with_the_image(x):
    return join(x, conv(2)(x))


def after_it_was_turned(x):
    x = conv()(x)
    doubled = layers.Add()([x, x])
    turned = layers.Permute((2, 1, 3))(doubled)
    return join(turned, conv(2)(join(doubled, x)))


def of_two_that_share_a_kernel(x):
    x = conv()(x)
    shared = conv(2)(x)
    return join(join(shared, layers.Activation("sigmoid")(x)), shared)


def by_an_operation(x):
    x = conv()(x)
    return ops.concatenate([layers.ReLU()(x), conv(2)(x)], axis=-1)


def pooled_before_relu(x):
    return layers.ReLU()(layers.AveragePooling2D(2)(conv()(x)))


def net(body, **options):
    keras.utils.set_random_seed(1)
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Flatten()(body(image))
    return shaken(keras.Model(image, layers.Dense(4, name="logits")(x), **options), 1)


BODIES = (
    of_dense_net,
    of_inception,
    cut_by_relu,
    with_the_image,
    after_it_was_turned,
    of_two_that_share_a_kernel,
    by_an_operation,
    pooled_before_relu,
)


def codes_apart(quantized, images, path):
    """By how many codes of the logits the file is another than its simulation."""
    runner = export.load(export.litert(quantized, path, precision="int8"))
    wanted = quantized.predict(images, verbose=0)
    return np.abs(runner(images) - wanted).max() / runner.gives.scale


def types_in(path):
    from ai_edge_litert.interpreter import Interpreter

    details = Interpreter(str(path)).get_tensor_details()
    return {detail["dtype"].__name__ for detail in details}


@pytest.mark.parametrize("body", BODIES)
def test_the_file_is_its_simulation(body, tmp_path):
    model = net(body)
    images = RNG.uniform(size=(32, 8, 8, 3)).astype("float32")
    quantized = quantize_aware(model, calibration=[images])
    path = tmp_path / "net.tflite"
    assert codes_apart(quantized, images, path) < 3.5
    assert types_in(path) <= {"int8", "int32"}


def test_the_file_of_a_calibrated_net(tmp_path):
    images = RNG.uniform(size=(32, 8, 8, 3)).astype("float32")
    calibrated = calibrate(net(of_inception), [images])
    assert codes_apart(calibrated, images, tmp_path / "net.tflite") < 3.5


@pytest.mark.parametrize("body", [cut_by_relu, with_the_image])
def test_a_concatenation_in_float32(body, tmp_path):
    images = RNG.uniform(size=(32, 8, 8, 3)).astype("float32")
    options = {"calibration": [images], "skip": ("concatenate*",)}
    quantized = quantize_aware(net(body), **options)
    path = tmp_path / "net.tflite"
    assert codes_apart(quantized, images, path) < 3.5
    assert types_in(path) <= {"int8", "int32", "float32"}


def test_floats_that_are_rounded_and_concatenated(tmp_path):
    """The converter refused them: it found no range that suits both."""

    def body(x):
        x = conv()(x)
        bent = layers.ELU(name="bent")(x)
        return join(
            x, bent, layers.MaxPooling2D(3, 1, padding="same")(bent), conv()(bent)
        )

    images = RNG.uniform(size=(32, 8, 8, 3)).astype("float32")
    quantized = quantize_aware(net(body), calibration=[images], skip="bent")
    assert codes_apart(quantized, images, tmp_path / "net.tflite") < 3.5


def test_nothing_rounds_what_goes_from_floats_to_floats(tmp_path):
    def body(x):
        bent = layers.ELU(name="bent")(conv()(x))
        joined = layers.Concatenate(name="float_join")([x, bent])
        return join(bent, layers.Conv2D(8, 1, name="conv")(joined), conv()(x))

    images = RNG.uniform(size=(32, 8, 8, 3)).astype("float32")
    skip = ("bent", "float_join", "conv")
    quantized = quantize_aware(net(body), calibration=[images], skip=skip)
    names = {layer.name for layer in quantized.layers}
    assert not names & {"float_join_range", "float_join_range_float"}
    assert codes_apart(quantized, images, tmp_path / "net.tflite") < 3.5


def test_in_a_model_inside_the_model(tmp_path):
    inner = keras.Input((8, 8, 3))
    block = keras.Model(inner, cut_by_relu(inner), name="block")
    images = RNG.uniform(size=(32, 8, 8, 3)).astype("float32")
    quantized = quantize_aware(net(lambda x: block(conv()(x))), calibration=[images])
    assert codes_apart(quantized, images, tmp_path / "net.tflite") < 3.5


def test_after_training_and_loading(tmp_path):
    images = RNG.uniform(size=(32, 8, 8, 3)).astype("float32")
    quantized = quantize_aware(net(of_dense_net), calibration=[images])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for compiled in (True, False):
        quantized.compile("adam", loss, jit_compile=compiled)
        quantized.fit(images, RNG.integers(4, size=32), epochs=2, verbose=0)
    quantized.save(tmp_path / "net.keras")
    again = export.load_model(tmp_path / "net.keras")
    before = again.get_weights()
    assert codes_apart(again, images, tmp_path / "net.tflite") < 3.5
    for mine, theirs in zip(before, again.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_allclose(again(images), quantized(images), atol=1e-5)


@pytest.mark.parametrize("body", [of_inception, of_dense_net])
def test_calibrated_on_the_way(body, tmp_path):
    """The converter itself cuts what is pooled before it is concatenated."""
    model = net(body)
    images = RNG.uniform(size=(64, 8, 8, 3)).astype("float32")
    options = {"precision": "int8", "calibration": [images]}
    runner = export.load(export.litert(model, tmp_path / "net.tflite", **options))
    wanted = model.predict(images, verbose=0)
    assert np.abs(runner(images) - wanted).max() < 0.03 * np.abs(wanted).max()
