"""Files of nets whose layers have different precisions."""

from contextlib import nullcontext

import keras
import numpy as np
import pytest
from keras import layers

from compression import export
from compression.export.checks import check_file
from compression.graph import read
from compression.quantization import PrecisionPlan, quantize_aware, quantize_by_plan
from tests.compression.small_nets import shaken

pytestmark = pytest.mark.usefixtures("eagerly")
RNG = np.random.default_rng(0)


def codes_apart(mixed, images, path):
    """By how many codes each output of the int8 file is another than the model's."""
    run = export.load(export.litert(mixed, path, precision="int8"))
    return np.abs(run(images) - mixed.predict(images, verbose=0)) / run.gives.scale


def test_the_file_has_the_precisions_of_the_plan(tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    keras.utils.set_random_seed(0)
    x = image = keras.Input((8, 8, 3), name="image")
    for name in ("a", "b", "c", "d"):
        x = layers.Conv2D(16, 3, padding="same", activation="relu", name=name)(x)
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    model = keras.Model(image, layers.Dense(5, name="logits")(x), name="net")
    images = RNG.normal(size=(32, 8, 8, 3)).astype("float32")
    plan = PrecisionPlan("net", {"a": "int4", "b": "float32", "c": "float32"})
    mixed = quantize_by_plan(model, plan, [images])
    names = [layer.name for layer in mixed.layers]
    assert "b_range" not in names and "c_range" in names  # b's goes into floats only
    path = export.litert(mixed, tmp_path / "net.tflite", precision="int8")
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    kernels = [
        interpreter.get_tensor(t["index"])
        for t in interpreter.get_tensor_details()
        if tuple(t["shape"][1:3]) == (3, 3)
    ]
    kinds = sorted((k.shape[-1], k.dtype.name, np.abs(k).max() <= 7) for k in kernels)
    assert kinds == [
        (3, "int8", True),
        (16, "float32", True),
        (16, "float32", True),
        (16, "int8", False),
    ]
    wanted = mixed.predict(images, verbose=0)
    scale = interpreter.get_output_details()[0]["quantization"][0]
    apart = np.abs(export.load(path)(images) - wanted) / scale
    assert apart.max() < 4.5 and apart.mean() < 1  # codes; logits are means of 64
    whole = quantize_by_plan(model, PrecisionPlan("net", {}), [images])
    smaller = export.litert(whole, tmp_path / "int8.tflite", precision="int8")
    # Two kernels of 2,304 weights, three bytes more for each, in a file that is
    # otherwise some hundred bytes shorter.
    assert path.stat().st_size - smaller.stat().st_size > 3 * 2 * 2304 - 432 / 2 - 1500


def test_a_float_branch_of_a_concatenation(tmp_path):
    """The converter takes no range of its own there: the concatenation rounds it."""
    keras.utils.set_random_seed(0)
    image = keras.Input((6, 6, 3), name="image")
    branches = [
        layers.Conv2D(4, 3, activation="relu", name=name)(image) for name in ("a", "b")
    ]
    x = layers.Concatenate(name="concat")(branches)
    model = keras.Model(image, layers.Conv2D(2, 4, name="c")(x), name="net")
    images = RNG.normal(size=(16, 6, 6, 3)).astype("float32")
    plan = PrecisionPlan("net", {"a": "float32"})
    mixed = quantize_by_plan(model, plan, [images])
    path = export.litert(mixed, tmp_path / "net.tflite", precision="int8")
    runner = export.load(path)
    apart = np.abs(
        runner(images) - mixed.predict(images, verbose=0).reshape(16, 1, 1, 2)
    )
    assert apart.max() < 2.5 * runner.gives.scale


@keras.saving.register_keras_serializable("limbeck-tests")
class Product(layers.Layer):
    """A layer of a user's own, which multiplies as it likes."""

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], 8), name="kernel")

    def call(self, x):
        return keras.ops.einsum("bhwc,cd->bhwd", x, self.kernel)


def attended(x):
    rows = layers.Reshape((64, 8))(x)
    rows = layers.MultiHeadAttention(2, 4, name="float")(rows, rows)
    return layers.Reshape((8, 8, 8))(rows)


def conv(x):
    return layers.Conv2D(32, 3, padding="same")(x)


@pytest.mark.parametrize(
    "between",
    [
        lambda x: layers.EinsumDense(
            "bhwc,cd->bhwd", (None, None, 8), bias_axes="d", name="float"
        )(x),
        attended,
        Product(name="float"),
        # Of so many channels that the ranges of both are well apart.
        lambda x: layers.Maximum(name="float")([conv(x), conv(conv(x))]),
        lambda x: keras.ops.minimum(conv(x), conv(conv(x))),
    ],
    ids=["einsum", "attention", "own", "maximum", "minimum-of-ops"],
)
def test_floats_between_integers(between, tmp_path):
    """Whatever LiteRT's converter would make integers of by itself stays float."""
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(image)
    x = layers.Conv2D(8, 3, padding="same")(between(x))
    model = keras.Model(image, layers.Dense(5)(layers.GlobalAveragePooling2D()(x)))
    shaken(model)
    images = RNG.normal(size=(16, 8, 8, 3)).astype("float32")
    [name] = {"float", "minimum"} & {call.operation.name for call in read(model).calls}
    mixed = quantize_aware(model, calibration=[images], skip=[name])
    apart = codes_apart(mixed, images, tmp_path / "net.tflite")
    assert apart.max() < 2.5 and apart.mean() < 0.5  # codes


@pytest.mark.parametrize(
    "layer",
    [
        layers.GroupNormalization(2, name="float"),
        layers.AveragePooling2D(2, name="float"),
        layers.Softmax(name="float"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_inside_a_float_layer_nothing_is_rounded(layer, tmp_path):
    """LiteRT's converter would carry the range of what goes in to means and maxima."""
    keras.utils.set_random_seed(1)
    image = keras.Input((8, 8, 4), name="image")
    x = layers.Conv2D(4, 3, padding="same")(image)
    model = keras.Model(image, layers.Flatten()(layers.Conv2D(3, 1)(layer(x))))
    shaken(model, 3)
    images = np.random.default_rng(0).normal(size=(32, 8, 8, 4)).astype("float32")
    mixed = quantize_aware(model, calibration=[images], skip="float")
    apart = codes_apart(mixed, images, tmp_path / "net.tflite")
    assert (apart > 0.4).mean() < 0.01  # 0.15 to 0.42 where something is rounded


class Shares(keras.Layer):
    def call(self, x):
        return keras.ops.softmax(x)


@pytest.mark.parametrize(
    ("bounded", "joined"),
    [
        (Shares(name="float"), layers.Concatenate(name="float_join")),
        (layers.Activation("tanh", name="float"), layers.Maximum(name="float_join")),
    ],
    ids=["concatenation", "maximum"],
)
def test_floats_have_no_range_of_an_integer_kernel(bounded, joined, tmp_path):
    """Softmax's, 0 to 1, cut all that it was concatenated with, also in float32."""
    keras.utils.set_random_seed(1)
    image = keras.Input((8, 8, 4), name="image")
    x = layers.Conv2D(4, 3, padding="same", name="first")(image)
    other = layers.Conv2D(4, 3, padding="same", name="float_conv")(x)
    x = joined([bounded(x), other])
    model = keras.Model(image, layers.Flatten()(layers.Conv2D(3, 1)(x)))
    shaken(model, 3)
    images = np.random.default_rng(0).normal(size=(32, 8, 8, 4)).astype("float32")
    mixed = quantize_aware(model, calibration=[images], skip="float*")
    apart = codes_apart(mixed, images, tmp_path / "net.tflite")
    assert (apart > 0.4).mean() < 0.02  # 0.25 of the maximum's, 0.97 of the other's


def test_a_float_convolution_keeps_its_norm_and_relu(tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    image = x = keras.Input((8, 8, 4), name="image")
    for layer in (
        layers.Conv2D(4, 3, name="float"),
        layers.BatchNormalization(name="float_norm"),
        layers.ReLU(name="float_relu"),
        layers.Conv2D(4, 3, name="float_next"),
    ):
        x = layer(x)
    model = shaken(keras.Model(image, layers.Flatten()(layers.Conv2D(3, 1)(x))))
    images = RNG.normal(size=(8, 8, 8, 4)).astype("float32")
    mixed = quantize_aware(model, calibration=[images], skip="float*")
    path = export.litert(mixed, tmp_path / "net.tflite", precision="int8")
    found = [o["op_name"] for o in Interpreter(str(path))._get_ops_details()]
    assert [name for name in found if name != "DELEGATE"] == [
        *("DEQUANTIZE", "CONV_2D", "CONV_2D", "QUANTIZE", "CONV_2D", "RESHAPE")
    ]


@pytest.mark.parametrize("rounds", [True, False])
def test_a_model_that_rounds_may_round_the_other_way_in_its_file(rounds, tmp_path):
    keras.utils.set_random_seed(0)
    net = keras.Sequential([keras.Input((4, 4, 2)), layers.Flatten()])
    net.add(layers.Dense(3, name="logits"))
    images = RNG.normal(size=(32, 4, 4, 2)).astype("float32")
    if rounds:
        net = quantize_aware(net, calibration=[images])
    path = export.saved_model(net, tmp_path / "net")
    largest = np.abs(net.predict(images, verbose=0)).max()
    for shift, fine in ((0, True), (0.02, rounds), (0.5, False)):
        net.get_layer("logits").bias.assign([0, shift * largest, 0])
        found = nullcontext() if fine else pytest.raises(RuntimeError, match="off by")
        with found:
            check_file(path, net, images, exact=True, path=path)
