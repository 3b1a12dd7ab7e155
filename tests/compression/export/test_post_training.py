"""Integer files of calibrated nets: what LiteRT computes is what the net does."""

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from keras import layers

from compression import export
from compression.quantization import adaround, calibrate, correct_bias, equalise
from tests.compression.export.test_quantized_aware import (
    codes_apart,
    every_kernel,
    floats,
    shaken,
)
from tests.compression.small_nets import on_images, small_net
from tests.compression.small_nets import shaken as all_shaken

pytestmark = pytest.mark.usefixtures("eagerly")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 8, 8, 4)).astype("float32")
TYPES = {value: name for name, value in vars(schema.TensorType).items()}


def kernel_types(path):
    """{operator: types of its kernels} of a file."""
    model = schema.Model.GetRootAs(path.read_bytes())
    graph = model.Subgraphs(0)
    names = {value: name for name, value in vars(schema.BuiltinOperator).items()}
    found = {}
    for i in range(graph.OperatorsLength()):
        operator = graph.Operators(i)
        code = model.OperatorCodes(operator.OpcodeIndex())
        code = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        for at in operator.InputsAsNumpy():
            if at < 0:  # an optional one is not given
                continue
            tensor = graph.Tensors(at)
            if tensor.ShapeLength() > 1 and model.Buffers(tensor.Buffer()).DataLength():
                found.setdefault(names[code], set()).add(TYPES[tensor.Type()])
    return found


@pytest.mark.parametrize(("method", "bits"), [("mse", 8), ("kl", 4)])
@pytest.mark.slow
def test_every_kernel_of_a_calibrated_net_is_integer(method, bits, tmp_path):
    keras.utils.set_random_seed(0)
    model = shaken(every_kernel(None))
    quantized = calibrate(model, [X], method, bits=bits)
    path = export.litert(quantized, tmp_path / "net.tflite", precision="int8")
    assert not floats(path)
    apart, _, _ = codes_apart(path, quantized, X)
    assert (apart <= 1).mean() > 0.98  # kernels round once more than the net
    assert apart.max() <= 2
    narrow = "INT4" if bits == 4 else "INT8"
    types = kernel_types(path)
    assert types["CONV_2D"] == types["FULLY_CONNECTED"] == {narrow}
    # Batch norm that stands alone is a depthwise kernel, too, of 8 bits.
    assert types["DEPTHWISE_CONV_2D"] == {narrow, "INT8"}
    assert types["TRANSPOSE_CONV"] == {"INT8"}  # LiteRT has none of 4 bits


def test_all_steps_one_after_the_other_end_in_a_file(tmp_path):
    model = all_shaken(
        on_images(
            layers.Conv2D(6, 3, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.DepthwiseConv2D(3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        )
    )
    before = equalise(model)
    net = adaround(before, [X], bits=4, steps=2)
    net = correct_bias(net, [X], bits=4, reference=before)
    quantized = calibrate(net, [X], "percentile", bits=4)
    path = export.litert(quantized, tmp_path / "net.tflite", precision="int8")
    assert not floats(path)
    assert codes_apart(path, quantized, X)[0].max() <= 1


def test_the_exporter_calibrates_by_a_method(tmp_path, caplog):
    caplog.set_level("INFO", "compression.export")
    model, images = small_net(), RNG.normal(size=(40, 6, 6, 2)).astype("float32")
    path = tmp_path / "net.tflite"
    options = {"precision": "int8", "calibration": [images]}
    export.litert(model, path, calibration_method="kl", weight_bits=4, **options)
    quantized = calibrate(model, [images], "kl", bits=4)
    assert codes_apart(path, quantized, images)[0].max() <= 1
    assert kernel_types(path) == {"CONV_2D": {"INT4"}, "FULLY_CONNECTED": {"INT4"}}
    assert "gives the model's answer for" in caplog.text  # the float model's
    ends = export.load(path)
    assert ends.takes.dtype == "int8"
    export.litert(model, path, weight_bits=4, float_ends=True, **options)
    assert export.load(path).takes.dtype == "float32"


def test_a_layer_without_kernel_stays_float_in_a_file_that_names_it(tmp_path):
    keras.utils.set_random_seed(0)  # of some nets a number lies half between two codes
    model = on_images(layers.Conv2D(4, 3), layers.ELU(name="odd"), layers.Flatten())
    path = tmp_path / "net.tflite"
    options = {"precision": "int8", "calibration": [X], "calibration_method": "mse"}
    with pytest.raises(ValueError, match=r"'odd' .* with skip=\('odd',\)"):
        export.litert(model, path, **options)
    export.litert(model, path, **options, skip="odd")
    assert floats(path)
    quantized = calibrate(model, [X], "mse", skip=("odd",))
    assert codes_apart(path, quantized, X)[0].max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNetV3Small", "EfficientNetB0"])
def test_the_nets_of_phones_that_keras_ships_become_integer(name, tmp_path):
    """They scale pixels, squeeze and excite, and have (hard) SiLUs."""
    keras.utils.set_random_seed(0)
    options = {"weights": None, "classes": 10, "classifier_activation": None}
    model = getattr(keras.applications, name)(input_shape=(64, 64, 3), **options)
    images = np.random.default_rng(0).integers(0, 256, size=(64, 64, 64, 3))
    images = images.astype("float32")
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.5
    for _ in range(6):  # statistics of these images
        model(images[:32], training=True)
    quantized = calibrate(model, [images])
    path = export.litert(quantized, tmp_path / "net.tflite", precision="int8")
    assert not floats(path)
    found, wanted = export.load(path)(images), model.predict(images, verbose=0)
    assert np.abs(found - wanted).max() < 0.3 * wanted.std()
    assert (found.argmax(1) == wanted.argmax(1)).mean() > 0.9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"calibration_method": "mse", "precision": "dynamic"},
            "choices of int8 files",
        ),
        ({"weight_bits": 4, "precision": "int16x8"}, "int8 files, not of int16x8"),
        ({"skip": "conv"}, "skip='conv' needs a calibration_method"),
        ({"weight_bits": 3}, "bits must be 8 or 4, got 3"),
        ({"calibration_method": "best"}, "no calibration method called 'best'; choose"),
        ({"weight_bits": 4, "calibration": None}, "'int8' needs calibration: batches"),
        (
            {"calibration_method": "kl", "calibration": []},
            "calibration holds no images",
        ),
    ],
)
def test_bad_arguments_overwrite_nothing(arguments, message, tmp_path):
    path = tmp_path / "net.tflite"
    path.write_text("kept")
    options = {"precision": "int8", "calibration": [np.ones((4, 6, 6, 2))]}
    with pytest.raises(ValueError, match=message):
        export.litert(small_net(), path, **options | arguments)
    assert path.read_text() == "kept"
    assert list(tmp_path.iterdir()) == [path]


def test_a_net_that_cannot_be_calibrated_overwrites_nothing(tmp_path):
    path = tmp_path / "net.tflite"
    path.write_text("kept")
    options = {"precision": "int8", "calibration": [X], "calibration_method": "mse"}
    odd = on_images(layers.Conv2D(3, 3), layers.ELU(name="odd"), layers.Flatten())
    with pytest.raises(ValueError, match=r"'odd' \(ELU\) has no integer kernel"):
        export.litert(odd, path, **options)
    plain = on_images(layers.Conv2D(3, 3), layers.Flatten())
    for choice in ({"calibration_method": "mse"}, {"weight_bits": 4}):
        with pytest.raises(ValueError, match="already.*leave out calibration_method"):
            export.litert(calibrate(plain, [X]), path, precision="int8", **choice)
    plain.layers[0].bias.assign([np.nan, 0, 0])
    with pytest.raises(ValueError, match=r"bias of .* is not finite"):
        export.litert(plain, path, **options)
    assert path.read_text() == "kept"
