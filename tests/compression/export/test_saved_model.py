"""Stored weights, SavedModel folders, and what is shared by both exporters."""

import random
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import architectures
from compression import export
from compression.atomic import replacing
from tests.compression.small_nets import alexnet, shaken, small_net

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def net():
    return alexnet()


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).normal(size=(7, 28, 28, 1)).astype(np.float32)


def shard_size(folder):
    return sum(f.stat().st_size for f in (folder / "variables").glob("*.data-*"))


# --- weights on disk ---------------------------------------------------------------


def test_depthwise_and_transposed_kernels_have_a_scale_for_each_channel(tmp_path):
    """A channel a thousand times smaller than its neighbour survives int8."""
    image = keras.Input((5, 5, 3))
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False)(image)
    x = layers.Conv2DTranspose(4, 2, use_bias=False)(x)
    model = shaken(keras.Model(image, layers.GlobalAveragePooling2D()(x)))
    tilt = np.logspace(0, -3, 6).reshape(3, 2)
    depthwise, transposed = model.layers[1], model.layers[2]
    depthwise.kernel.assign(depthwise.kernel * tilt)
    transposed.kernel.assign(transposed.kernel * np.logspace(0, -3, 4)[:, None])
    export.saved_model(model, tmp_path / "net", weights="int8")
    x = np.random.default_rng(0).normal(size=(3, 5, 5, 3)).astype(np.float32)
    expected = model.predict(x, verbose=0)
    got = export.load(tmp_path / "net")(x)
    np.testing.assert_array_less(
        np.abs(got - expected).max(axis=0), 0.02 * np.abs(expected).max(axis=0)
    )


# --- SavedModel folders ------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "tolerance", "share"),
    [("float32", 1e-5, 1.01), ("float16", 2e-3, 0.52), ("int8", 0.05, 0.3)],
)
def test_weights_are_small_on_disk_and_right_in_use(
    net, images, tmp_path, weights, tolerance, share
):
    path = export.saved_model(net, tmp_path / "net", weights=weights)
    assert path == tmp_path / "net"
    assert shard_size(path) < share * 4 * net.count_params()
    runner = export.load(path)
    assert (runner.kind, runner.path) == ("saved_model", path)
    assert (runner.input_shape, runner.batch) == ((28, 28, 1), None)
    expected = net.predict(images, verbose=0)
    got = runner(images)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, atol=tolerance * abs(expected).max())


def test_the_signature_is_the_one_promised(net, tmp_path):
    import tensorflow as tf

    path = export.saved_model(net, tmp_path / "net", batch=2)
    loaded = tf.saved_model.load(path)
    signature = loaded.signatures["serving_default"]
    assert signature.structured_input_signature[1] == {
        "image": tf.TensorSpec((2, 28, 28, 1), tf.float32, "image")
    }
    assert signature.structured_outputs == {
        "logits": tf.TensorSpec((2, 10), tf.float32, "logits")
    }


def contents(folder):
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file()
    }


def test_the_same_model_gives_the_same_bytes(net, tmp_path):
    first = export.saved_model(net, tmp_path / "first", weights="int8")
    architectures.build("alexnet_small").predict(np.zeros((1, 32, 32, 3)), verbose=0)
    second = export.saved_model(net, tmp_path / "second", weights="int8")
    assert contents(first) == contents(second)


def test_a_fixed_batch_takes_any_number_of_images(net, images, tmp_path):
    runner = export.load(export.saved_model(net, tmp_path / "net", batch=4))
    assert runner.batch == 4
    expected = net.predict(images, verbose=0)
    np.testing.assert_allclose(runner(images), expected, atol=1e-5)


def test_zeros_stay_zeros_in_int8(tmp_path):
    import tensorflow as tf

    model = small_net()
    kernel = model.layers[1].kernel
    value = kernel.numpy()
    value[..., 0] = 0  # a whole channel: nothing to divide by
    value[0, 0] = 0
    kernel.assign(value)
    path = export.saved_model(model, tmp_path / "net", weights="int8")
    reader = tf.train.load_checkpoint(str(path / "variables" / "variables"))
    codes = reader.get_tensor("parameters/0/.ATTRIBUTES/VARIABLE_VALUE")
    assert codes.dtype == np.int8
    assert (codes[value == 0] == 0).all()


def test_optimizer_and_metrics_are_not_stored(tmp_path):
    import tensorflow as tf

    model = small_net()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    model.fit(np.zeros((4, 6, 6, 2)), np.arange(4), verbose=0)
    path = export.saved_model(model, tmp_path / "net")
    reader = tf.train.load_checkpoint(str(path / "variables" / "variables"))
    stored = reader.get_variable_to_shape_map()
    stored.pop("_CHECKPOINTABLE_OBJECT_GRAPH")
    assert sum(map(np.prod, stored.values())) == model.count_params()


def test_a_half_precision_model_is_exported_in_float32(tmp_path):
    model = small_net()
    before = random.getstate()
    half = keras.models.clone_model(model)
    random.setstate(before)
    for layer in half.layers:
        layer.dtype_policy = "mixed_float16"
    half.set_weights(model.get_weights())
    x = np.random.default_rng(0).normal(size=(3, 6, 6, 2)).astype(np.float32)
    assert half.predict(x, verbose=0).dtype == np.float16
    expected = model.predict(x, verbose=0)
    saved = export.load(export.saved_model(half, tmp_path / "net"))
    lite = export.load(export.litert(half, tmp_path / "net.tflite"))
    for runner in (saved, lite):
        np.testing.assert_allclose(runner(x), expected, rtol=1e-4, atol=1e-5)
    assert half.layers[1].compute_dtype == "float16"
    assert random.getstate() == before


# --- the door ----------------------------------------------------------------------


def two_inputs():
    a, b = keras.Input((4, 4, 1)), keras.Input((4, 4, 1))
    return keras.Model([a, b], layers.Flatten()(layers.Add()([a, b])))


def two_outputs():
    a = keras.Input((4, 4, 1))
    return keras.Model(a, [layers.Flatten()(a), layers.ReLU()(a)])


def open_size():
    a = keras.Input((None, None, 1))
    return keras.Model(a, layers.GlobalAveragePooling2D()(a))


def with_nan():
    model = small_net()
    model.layers[-1].bias.assign([0.0, np.nan, 0.0, 0.0])
    return model


def fixed_batch():
    a = keras.Input(batch_shape=(3, 4, 4, 1))
    return keras.Model(a, layers.Flatten()(a))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (two_inputs, "one input and one output, .* has 2 and 1"),
        (two_outputs, "one input and one output, .* has 1 and 2"),
        (lambda: keras.Sequential([layers.Dense(2)]), "built functional or Seq"),
        (lambda: "resnet20", "must be a keras.Model, got str"),
        (open_size, r"must fix its image size .* \(None, None, None, 1\)"),
        (with_nan, "bias of .* is not finite"),
        (fixed_batch, "batches of 3 only: pass batch=3"),
    ],
)
def test_models_that_cannot_be_exported(model, message, tmp_path):
    model = model()
    with pytest.raises(ValueError, match=message):
        export.saved_model(model, tmp_path / "net")
    with pytest.raises(ValueError, match=message):
        export.litert(model, tmp_path / "net.tflite")
    assert not list(tmp_path.iterdir())


def test_unknown_weights_and_batches(tmp_path):
    with pytest.raises(ValueError, match="choose from float32, float16, int8"):
        export.saved_model(small_net(), tmp_path / "net", weights="int4")
    with pytest.raises(ValueError, match="at least 1 or None, got 0"):
        export.saved_model(small_net(), tmp_path / "net", batch=0)


# --- complete or not at all --------------------------------------------------------


def test_a_folder_that_is_no_saved_model_is_not_replaced(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(FileExistsError, match="is no SavedModel: not replaced"):
        export.saved_model(small_net(), tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError, match="is no SavedModel: not replaced"):
        export.saved_model(small_net(), tmp_path / "file")


def test_the_old_folder_stays_until_the_new_one_is_checked(tmp_path, monkeypatch):
    path = export.saved_model(small_net(), tmp_path / "net")
    before = {f: f.read_bytes() for f in path.rglob("*") if f.is_file()}
    checks = sys.modules["compression.export.checks"]
    real_load = checks.load

    def wrong(path):
        runner = real_load(path)
        return lambda images: runner(images) * 1.01

    monkeypatch.setattr(checks, "load", wrong)
    other = shaken(small_net(), seed=1)
    with pytest.raises(RuntimeError, match=r"net is off by 1\.00e-02 .* than 1e-04"):
        export.saved_model(other, path)
    assert {f: f.read_bytes() for f in path.rglob("*") if f.is_file()} == before
    assert list(tmp_path.iterdir()) == [path]
    monkeypatch.undo()
    export.saved_model(other, path)
    x = np.ones((1, 6, 6, 2), np.float32)
    np.testing.assert_allclose(
        export.load(path)(x), other.predict(x, verbose=0), rtol=1e-4, atol=1e-6
    )
    assert list(tmp_path.iterdir()) == [path]


def test_weights_beyond_float16_are_found_out(tmp_path):
    model = small_net()
    model.layers[1].kernel.assign(model.layers[1].kernel * 1e7)
    with pytest.raises(
        ValueError, match="kernel is beyond float16, which ends at 65504"
    ):
        export.saved_model(model, tmp_path / "net", weights="float16")
    assert not list(tmp_path.iterdir())


def test_a_folder_comes_back_when_its_successor_cannot_move_in(tmp_path):
    old = tmp_path / "net"
    old.mkdir()
    (old / "kept").touch()
    with pytest.raises(FileNotFoundError), replacing(old):
        pass  # nothing was written, so there is nothing to move in
    assert (old / "kept").exists()
    assert list(tmp_path.iterdir()) == [old]


def test_a_full_disk_is_named_by_its_path(tmp_path, monkeypatch):
    import tensorflow as tf

    def full(serving, folder, signatures):
        Path(folder).mkdir()
        message = f"{{{{function_node __w}}}} {folder}/variables; No space left [Op:S]"
        raise tf.errors.ResourceExhaustedError(None, None, message)

    monkeypatch.setattr(tf.saved_model, "save", full)
    message = r"net cannot be written: \S+/net/variables; No space left$"
    with pytest.raises(OSError, match=message) as caught:
        export.saved_model(small_net(), tmp_path / "net")
    assert str(tmp_path / "net") in str(caught.value)
    assert not list(tmp_path.iterdir())


# --- what cannot be run ------------------------------------------------------------


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="no model at .*nowhere"):
        export.load(tmp_path / "nowhere")
    (tmp_path / "weights.pt").touch()
    with pytest.raises(ValueError, match="must be a SavedModel folder, a .tflite"):
        export.load(tmp_path / "weights.pt")
    with pytest.raises(ValueError, match="not a readable SavedModel .*truncated"):
        export.load(tmp_path)


def test_files_that_cannot_be_run_are_named(tmp_path):
    image = keras.Input((4, 4, 1))
    x = layers.Flatten()(image)
    file = tmp_path / "two.keras"
    keras.Model(image, [layers.Dense(3)(x), layers.Dense(2)(x)]).save(file)
    message = r"two\.keras cannot be run on images \(1, 4, 4, 1\): .* has 2 outputs"
    with pytest.raises(ValueError, match=message):
        export.load(file)(np.zeros((1, 4, 4, 1)))
    keras.Model([image, keras.Input((3,))], layers.Dense(3)(x)).save(file)
    with pytest.raises(ValueError, match=r"two\.keras: model must .* one input"):
        export.load(file)


def test_runners_check_images(net, tmp_path):
    runner = export.of_model(net)
    assert (runner.kind, runner.path, runner.batch) == ("keras", None, None)
    with pytest.raises(ValueError, match=r"\(n, 28, 28, 1\), got \(1, 28, 28, 3\)"):
        runner(np.zeros((1, 28, 28, 3)))
    with pytest.raises(ValueError, match=r"\(n, 28, 28, 1\), got \(0, 28, 28, 1\)"):
        runner(np.zeros((0, 28, 28, 1)))
    with pytest.raises(ValueError, match="must be built and have one input"):
        export.of_model(two_inputs())


def test_keras_files_run(net, images, tmp_path):
    net.save(tmp_path / "net.keras")
    runner = export.load(tmp_path / "net.keras")
    assert runner.kind == "keras"
    np.testing.assert_allclose(
        runner(images), net.predict(images, verbose=0), atol=1e-5
    )


def test_a_layer_that_is_not_registered_is_named(tmp_path):
    class Mine(keras.layers.Layer):
        def call(self, x):
            return x

    image = keras.Input((3,))
    keras.Model(image, Mine()(image)).save(tmp_path / "net.keras")
    with pytest.raises(ValueError, match="net.keras needs 'Mine', .*import the mod"):
        export.load(tmp_path / "net.keras")
