"""Every precision, run by the real interpreter."""

import collections
import functools
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from keras import layers

import architectures
from compression import export
from tests.compression.small_nets import alexnet, shaken, small_net

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def net():
    return alexnet()


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).normal(size=(33, 28, 28, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def file(net, images, tmp_path_factory):
    """Function of a precision -> the net's file, written when it is first asked for."""
    calibration = [images[:20], (images[20:], np.zeros(13))]

    @functools.cache
    def written(precision):
        path = tmp_path_factory.mktemp(precision) / "net.tflite"
        got = export.litert(net, path, precision=precision, calibration=calibration)
        assert got == path
        return path

    return written


def operators(path):
    """How many of which operators a file has."""
    model = schema.Model.GetRootAs(path.read_bytes())
    graph = model.Subgraphs(0)
    codes = [
        model.OperatorCodes(graph.Operators(i).OpcodeIndex()).BuiltinCode()
        for i in range(graph.OperatorsLength())
    ]
    names = {v: k for k, v in vars(schema.BuiltinOperator).items()}
    return collections.Counter(names[code] for code in codes)


@pytest.mark.parametrize(
    ("precision", "tolerance", "share"),
    [
        ("float32", 1e-5, 1.02),
        ("float16", 2e-3, 0.53),
        ("dynamic", 0.05, 0.3),
        ("int8", 0.08, 0.31),
        ("int16x8", 0.05, 0.33),
    ],
)
def test_every_precision_does_what_the_model_does(
    net, images, file, precision, tolerance, share
):
    path = file(precision)
    assert path.stat().st_size < share * 4 * net.count_params()
    runner = export.load(path)
    assert (runner.kind, runner.path) == ("litert", path)
    assert (runner.input_shape, runner.batch) == ((28, 28, 1), 1)
    expected = net.predict(images, verbose=0)
    logits = runner(images)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected, atol=tolerance * abs(expected).max())


def test_int8_is_integer_throughout(file):
    path = file("int8")
    interpreter = Interpreter(str(path))
    signature = interpreter.get_signature_list()["serving_default"]
    assert signature == {"inputs": ["image"], "outputs": ["logits"]}
    [source], [target] = (
        interpreter.get_input_details(),
        interpreter.get_output_details(),
    )
    assert source["dtype"] == target["dtype"] == np.int8
    assert {t["dtype"] for t in interpreter.get_tensor_details()} <= {
        np.int8,
        np.int32,
    }
    assert operators(path) == {
        "CONV_2D": 5,
        "MAX_POOL_2D": 3,
        "RESHAPE": 1,
        "FULLY_CONNECTED": 3,
    }


@pytest.mark.parametrize(("batch", "precision"), [(None, "float32"), (4, "int8")])
def test_other_batches(tmp_path, batch, precision):
    net = shaken(small_net())
    images = np.random.default_rng(1).normal(size=(33, 6, 6, 2)).astype(np.float32)
    path = tmp_path / "net.tflite"
    export.litert(net, path, precision=precision, calibration=[images], batch=batch)
    runner = export.load(path, threads=2)
    assert runner.batch == batch
    logits = runner(images)
    expected = net(images).numpy()
    if precision == "int8":
        one = tmp_path / "one.tflite"
        export.litert(net, one, precision=precision, calibration=[images])
        expected = export.load(one)(images)
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    np.testing.assert_allclose(runner(images[:5]), logits[:5], atol=1e-5)


@pytest.mark.slow
def test_batch_norm_is_folded_in_resnet20(tmp_path):
    net = shaken(architectures.build("resnet20"))
    images = np.random.default_rng(0).normal(size=(16, 32, 32, 3)).astype(np.float32)
    for precision in ("float32", "int8"):
        path = tmp_path / f"{precision}.tflite"
        export.litert(net, path, precision=precision, calibration=[images])
        # 9 additions of shortcuts; 2 paddings and 2 strides of shortcuts without
        # weights and 2 paddings before strided convolutions.
        assert operators(path) == {
            "CONV_2D": 19,
            "ADD": 9,
            "PAD": 4,
            "STRIDED_SLICE": 2,
            "MEAN": 1,
            "FULLY_CONNECTED": 1,
        }


def test_pruned_kernels_have_zero_codes(tmp_path):
    """Codes of int8 files, less their zero point, are zero where weights are."""
    image = keras.Input((8, 8, 2))
    x = layers.Conv2D(4, 3, use_bias=False)(image)
    x = layers.BatchNormalization()(x)
    x = layers.Flatten()(layers.ReLU()(x))
    model = shaken(keras.Model(image, layers.Dense(5)(x)))
    generator = np.random.default_rng(3)
    masks = {}
    for layer in (model.layers[1], model.layers[-1]):
        mask = generator.random(layer.kernel.shape) < 0.25
        layer.kernel.assign(layer.kernel * mask)
        masks[layer.kernel.shape[-1]] = mask
    calibration = [generator.normal(size=(8, 8, 8, 2))]
    for precision in ("dynamic", "int8", "int16x8"):
        path = tmp_path / "net.tflite"
        export.litert(model, path, precision=precision, calibration=calibration)
        interpreter = Interpreter(str(path))
        for units, mask in masks.items():
            [kernel] = [
                tensor
                for tensor in interpreter.get_tensor_details()
                if tensor["shape"].size > 1
                and tensor["shape"][0] == units
                and tensor["shape"].prod() == mask.size
            ]
            codes = interpreter.get_tensor(kernel["index"])
            # (units, ...) in the file, (..., units) in Keras.
            expected = np.moveaxis(mask, -1, 0).reshape(codes.shape)
            assert not kernel["quantization_parameters"]["zero_points"].any()
            assert (codes[~expected] == 0).all()


def test_fake_quantization_needs_no_calibration(tmp_path):
    @keras.saving.register_keras_serializable("limbeck_tests")
    class Ranged(layers.Layer):
        def call(self, x):
            return keras.quantizers.fake_quant_with_min_max_vars(
                x, -4.0, 4.0, num_bits=8
            )

    image = keras.Input((6, 6, 2))
    x = Ranged()(image)
    x = layers.Flatten()(Ranged()(layers.Conv2D(3, 3)(x)))
    model = shaken(keras.Model(image, Ranged()(layers.Dense(4)(x))))
    x = np.random.default_rng(0).normal(size=(9, 6, 6, 2)).astype(np.float32)
    expected = model.predict(x, verbose=0)
    path = tmp_path / "net.tflite"
    for calibration in (None, [x / 10]):  # whose ranges would cut off most
        export.litert(model, path, precision="int8", calibration=calibration)
        np.testing.assert_allclose(export.load(path)(x), expected, atol=2 * 8 / 255)
        types = {t["dtype"] for t in Interpreter(str(path)).get_tensor_details()}
        assert types <= {np.int8, np.int32}
    with pytest.raises(ValueError, match="int16x8' needs calibration"):
        export.litert(model, path, precision="int16x8")


@pytest.mark.parametrize("precision", ["int8", "int16x8"])
def test_calibration_is_asked_for(precision, tmp_path):
    with pytest.raises(ValueError, match=f"{precision}' needs calibration: batches"):
        export.litert(small_net(), tmp_path / "net.tflite", precision=precision)


@pytest.mark.parametrize(
    ("calibration", "message"),
    [
        ([np.zeros((2, 6, 6, 3))], r"images \(6, 6, 2\), one has the shape \(2, 6"),
        ([], "calibration holds no images"),
        ([np.zeros((0, 6, 6, 2))], "calibration holds no images"),
    ],
)
def test_calibration_is_checked(calibration, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        export.litert(
            small_net(),
            tmp_path / "net.tflite",
            precision="int8",
            calibration=calibration,
        )


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((9, 6, 6, 2)), "calibrated on images whose pixels are all 0"),
        (
            np.random.default_rng(0).integers(0, 256, (9, 6, 6, 2)),
            "pixels are whole numbers, 0 to 255, which nothing scales",
        ),
    ],
)
def test_pixels_that_no_net_sees_are_named(images, message, tmp_path):
    with pytest.warns(UserWarning, match=message):
        export.litert(
            small_net(),
            tmp_path / "net.tflite",
            precision="int8",
            calibration=[images],
        )


@pytest.mark.filterwarnings("error:.*calibrated on images")
def test_pixels_that_the_net_scales_are_in_no_doubt(tmp_path):
    """Behind what augments them, and in a model inside."""
    entry = keras.Sequential([layers.RandomFlip(), layers.Rescaling(1 / 255)])
    image = keras.Input((6, 6, 2))
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(entry(image))))
    images = np.random.default_rng(0).integers(0, 256, (9, 6, 6, 2))
    path = tmp_path / "net.tflite"
    export.litert(model, path, precision="int8", calibration=[images])


@pytest.mark.parametrize("kind", [layers.LSTM, layers.GRU, layers.SimpleRNN])
def test_nets_that_loop_are_not_calibrated(kind, tmp_path):
    """The converter would end the process."""
    image = keras.Input((5, 4))
    model = keras.Model(image, layers.Dense(2)(kind(3, name="steps")(image)))
    with pytest.raises(ValueError, match=rf"loops, in 'steps' \({kind.__name__}\)"):
        export.litert(
            model,
            tmp_path / "net.tflite",
            precision="int8",
            calibration=[np.ones((4, 5, 4))],
        )
    assert not list(tmp_path.iterdir())


def test_a_crash_in_the_converter_is_not_silent():
    code = "from compression.quiet import quiet\nimport os, signal\n"
    code += "with quiet(): os.kill(os.getpid(), signal.SIGSEGV)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == -11
    assert "Segmentation fault" in done.stderr


def test_arguments_are_checked(tmp_path):
    with pytest.raises(ValueError, match="choose from float32, float16, dynamic, int8"):
        export.litert(small_net(), tmp_path / "net.tflite", precision="int4")
    with pytest.raises(ValueError, match="must end in .tflite, got .*net.bin"):
        export.litert(small_net(), tmp_path / "net.bin")
    (tmp_path / "net.tflite").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder: not replaced"):
        export.litert(small_net(), tmp_path / "net.tflite")


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-5), ("float16", 1e-2)])
def test_nets_in_other_floats_are_exported_in_float32(dtype, tolerance, tmp_path):
    image = keras.Input((4, 4, 3), dtype=dtype)
    x = layers.Conv2D(2, 3, activation="relu", dtype=dtype)(image)
    x = layers.Flatten(dtype=dtype)(x)
    net = keras.Model(image, layers.Dense(3, dtype=dtype)(x))
    images = np.random.default_rng(0).normal(size=(5, 4, 4, 3)).astype(np.float32)
    got = export.load(export.litert(net, tmp_path / "net.tflite"))(images)
    expected = net.predict_on_batch(images.astype(dtype))
    assert {variable.dtype for variable in net.variables} == {dtype}
    np.testing.assert_allclose(got, expected, atol=tolerance)


def test_an_operator_that_litert_lacks_is_named(tmp_path):
    import tensorflow as tf

    image = keras.Input((2, 2, 1))
    x = layers.Activation(tf.math.bessel_i0)(layers.Flatten()(image))
    with pytest.raises(RuntimeError, match="no operator for tf.BesselI0$"):
        export.litert(keras.Model(image, x), tmp_path / "net.tflite")


def test_what_litert_cannot_hold_is_said(tmp_path):
    image = keras.Input((6, 6, 2))
    x = layers.Flatten()(layers.PReLU()(layers.Conv2D(3, 3)(image)))
    model = keras.Model(image, layers.Dense(2)(x))
    with pytest.raises(RuntimeError, match="LiteRT cannot hold .* in int16x8: .*PRELU"):
        export.litert(
            model,
            tmp_path / "net.tflite",
            precision="int16x8",
            calibration=[np.ones((4, 6, 6, 2))],
        )
    assert not list(tmp_path.iterdir())


def test_the_old_file_stays_until_the_new_one_is_checked(tmp_path, monkeypatch):
    path = export.litert(small_net(), tmp_path / "net.tflite")
    before = path.read_bytes()
    checks = sys.modules["compression.export.checks"]
    monkeypatch.setattr(checks, "load", lambda path: lambda x: np.zeros((len(x), 4)))
    with pytest.raises(RuntimeError, match="net.tflite is off by 1.00e"):
        export.litert(shaken(small_net(), seed=1), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    net, probe = small_net(), np.ones((4, 6, 6, 2), np.float32)
    for answer, message in [
        ([[0, 0, np.inf, 0]] * np.ones((4, 1)), "that are not finite"),
        (np.zeros((4, 3)), r"gives \(4, 3\), the model \(4, 4\)"),
    ]:
        monkeypatch.setattr(
            checks, "load", lambda path, answer=answer: lambda x: answer
        )
        with pytest.raises(RuntimeError, match=message):
            checks.check_file(path, net, probe, exact=False, path=path)


def test_nothing_is_printed(tmp_path, capfd):
    path = export.litert(
        small_net(),
        tmp_path / "net.tflite",
        precision="int8",
        calibration=[np.random.default_rng(0).normal(size=(4, 6, 6, 2))],
    )
    export.load(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("dtype", ["int32", "float32"])
@pytest.mark.parametrize("precision", ["int8", "int16x8"])
def test_numbers_of_rows_are_not_rounded(dtype, precision, tmp_path):
    words = keras.Input((6,), dtype=dtype)
    rows = layers.Flatten()(layers.Embedding(50, 4, name="rows")(words))
    net = keras.Model(words, layers.Dense(3)(rows))
    calibration = [np.arange(48).reshape(8, 6)]
    path = tmp_path / "net.tflite"
    with pytest.raises(ValueError, match="'rows' of .* looks up rows by what goes"):
        export.litert(net, path, precision=precision, calibration=calibration)
    assert not path.exists()
