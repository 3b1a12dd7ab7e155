"""Whole files: written, read, damaged."""

import os
import subprocess
import sys
import zlib
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import architectures
from architectures import layers as own_layers
from compression import export, measure
from compression.export.archive import contents as format_
from compression.export.archive.config_packing import (
    deflated,
    inflated,
    packed,
    unpacked,
)
from tests.compression.export.archive.fuzzing import altered, outcome

pytestmark = pytest.mark.usefixtures("eagerly")
ROOT = Path(__file__).resolve().parents[4]


def pruned_net():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            layers.Conv2D(12, 3, activation="relu", name="conv"),
            layers.Flatten(name="flatten"),
            layers.Dense(10, name="logits"),
        ]
    )
    random = np.random.default_rng(0)
    for variable in model.weights[::2]:
        kept = random.random(variable.shape) < 0.1
        value = np.round(np.array(variable) * 20) / 20 + 0.0  # no -0.0
        variable.assign(np.where(kept, value, 0))
    return model


@pytest.fixture(scope="module")
def net():
    return pruned_net()


@pytest.fixture(scope="module")
def file(net, tmp_path_factory):
    path = tmp_path_factory.mktemp("archive") / "net.limbeck"
    about = {"class_names": list("0123456789"), "mean": [0.1307], "std": [0.3081]}
    assert export.archive(net, path, **about) == path
    return path


def same(ours, theirs):
    return all(
        a.dtype == b.dtype and a.tobytes() == b.tobytes()
        for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True)
    )


def test_the_net_comes_back(net, file, tmp_path):
    twin = export.load_archive(file)
    assert same(net, twin) and type(twin) is type(net)
    images = np.random.default_rng(0).normal(size=(3, 8, 8, 1)).astype("f4")
    np.testing.assert_array_equal(net(images), twin(images))
    assert [layer.name for layer in twin.layers] == [layer.name for layer in net.layers]
    again = export.archive(twin, tmp_path / "again.limbeck")
    assert again.stat().st_size < file.stat().st_size  # without names of classes
    found = export.read_archive(file)
    assert found.class_names == tuple("0123456789")
    assert (found.mean, found.std) == ((0.1307,), (0.3081,))


def test_the_file_is_small(net, file):
    """A tenth of the weights, each a place and one of few values: 16 bits at most."""
    nonzero = sum(np.count_nonzero(w) for w in net.get_weights())
    assert file.stat().st_size < 2 * nonzero + 22 * 4 + 300
    model = architectures.build("lenet_300_100", input_shape=(28, 28, 1), classes=10)
    config = keras.saving.serialize_keras_object(model)
    shapes = [list(variable.shape) for variable in model.weights]
    assert len(deflated({"model": packed(config), "weights": shapes})) < 100


def test_masks_zeros_have_no_sign(tmp_path):
    model = keras.Sequential([keras.Input((40,)), keras.layers.Dense(30)])
    signs = np.where(np.random.default_rng(0).random((40, 30)) < 0.5, -0.0, 0.0)
    model.set_weights([signs, np.zeros(30)])
    path = tmp_path / "net.limbeck"
    twin = export.load_archive(export.archive(model, path))
    assert path.stat().st_size < 150 and not np.signbit(twin.get_weights()[0]).any()
    twin = export.load_archive(export.archive(model, path, signed_zeros=True))
    assert same(model, twin)


def test_measure_knows_it(net, file):
    profile = measure.profile(file, latency=False)
    assert (profile.kind, profile.bytes) == ("archive", file.stat().st_size)
    assert profile.bytes_encoded == profile.bytes
    assert profile.parameters == net.count_params()
    in_memory = measure.profile(net, latency=False, encoded=True)
    assert profile.bytes - 80 < in_memory.bytes_encoded < profile.bytes
    assert in_memory.nonzero == profile.nonzero


def branched():
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(4, 3, padding="same", name="a")(image)
    x = layers.BatchNormalization(name="b")(x)
    y = layers.DepthwiseConv2D(3, padding="same", name="c")(x)
    x = layers.Add(name="d")([x, y])
    inner = keras.Sequential(
        [keras.Input((8, 8, 4)), layers.SeparableConv2D(5, 3)], name="inner"
    )
    x = layers.GlobalAveragePooling2D()(inner(x))
    shared = layers.Dense(5, name="shared")
    x = layers.Concatenate()([shared(x), shared(layers.ReLU()(x))])
    return keras.Model(image, [layers.Dense(2)(x), layers.Dense(1)(x)])


def mixed():
    return keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dropout(0.3),
            layers.Dense(3, dtype="bfloat16"),
            layers.Dense(3, dtype="float16"),
            layers.Dense(3, dtype="mixed_float16"),
            layers.Dense(2, dtype="float64"),
        ]
    )


def limbecks_own():
    image = keras.Input((6, 6, 3), name="image")
    x = own_layers.BatchNormalization(name="bn")(image)
    x = own_layers.LocalResponseNormalization(name="lrn")(x)
    return keras.Model(image, layers.Dense(2)(layers.Flatten()(x)), name="own")


def normalised():
    """Normalization keeps more than its weights, which were taken from images."""
    layer = layers.Normalization(name="pixels")
    layer.adapt(np.random.default_rng(1).normal(3, 7, size=(40, 6)))
    return keras.Sequential([keras.Input((6,)), layer, layers.Dense(2)])


@pytest.mark.parametrize("build", [branched, mixed, limbecks_own, normalised])
def test_nets_of_all_kinds_come_back(build, tmp_path):
    model = build()
    model.compile("adam", "mse")
    twin = export.load_archive(export.archive(model, tmp_path / "net.limbeck"))
    assert same(model, twin)
    shape = (2, *model.inputs[0].shape[1:])
    images = np.random.default_rng(0).normal(size=shape).astype("f4")
    for ours, theirs in zip(
        keras.tree.flatten(model(images)),
        keras.tree.flatten(twin(images)),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)
    assert not twin.compiled


def test_it_exports_to_litert(file, tmp_path):
    tflite = export.litert(export.load_model(file), tmp_path / "net.tflite")
    image = np.ones((1, 8, 8, 1), "f4")
    np.testing.assert_allclose(
        export.load(tflite)(image), export.load(file)(image), atol=1e-4
    )


def test_another_process_writes_the_same_bytes(file, tmp_path):
    """With another hash seed, and other threads."""
    program = (
        "import sys, types\n"
        "for name in ('compression.export', 'compression.export.archive'):\n"
        "    part = types.ModuleType(name)  # without Keras, which takes long\n"
        "    part.__path__ = [sys.argv[2] + '/' + name.replace('.', '/')]\n"
        "    sys.modules[name] = part\n"
        "from pathlib import Path\n"
        "from compression.export.archive.contents import from_bytes, to_bytes\n"
        "path = Path(sys.argv[1]); sys.stdout.buffer.write("
        "to_bytes(from_bytes(path.read_bytes(), path)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(file), str(ROOT)],
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
            "PYTHONHASHSEED": "7",
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        check=True,
    )
    assert done.stdout == file.read_bytes()


@pytest.mark.parametrize(
    ("name", "as_today"), [("version_1", False), ("version_1_noise", True)]
)
def test_a_file_of_this_version_stays_readable(name, as_today):
    """Written when version 1 was made, and when a few weights could be noise, too: the
    bytes are not to change meaning.
    """
    golden = Path(__file__).with_name(f"{name}.limbeck")
    found = export.read_archive(golden)
    expected = golden_weights()
    assert len(found.weights) == len(expected)
    for ours, theirs in zip(found.weights, expected, strict=True):
        assert ours.tobytes() == theirs.tobytes()
    assert (format_.to_bytes(found) == golden.read_bytes()) == as_today


def golden_weights():
    """Whole numbers and divisions by two: no library can round them otherwise."""
    count = np.arange(24 * 60)
    mixed = count * 2654435761 % 2**32 >> 7
    sparse = np.where(mixed % 5 < 2, mixed % 31 - 15, 0) / 8
    return [
        sparse.astype("f4").reshape(3, 2, 4, 60),
        (mixed[:60] / 2**20).astype("f4"),
        np.where(mixed[:400] % 3, mixed[:400] % 11, 0).astype("f4").reshape(100, 4)
        ** 3,
        np.full(7, 0.5, "f4"),
    ]


# What is refused, and how.


def test_a_function_without_a_config_is_refused(tmp_path):
    capped = partial(keras.activations.relu, max_value=3.0)
    model = keras.Sequential(
        [keras.Input((8,)), keras.layers.Dense(4, activation=capped)]
    )
    file = tmp_path / "a.limbeck"
    with pytest.raises(ValueError, match="def it and register it with .*partial"):
        export.archive(model, file)
    assert not file.exists()


def refused(file, content, match):
    path = file.with_name("bad.limbeck")
    path.write_bytes(content)
    with pytest.raises(ValueError, match=match) as error:
        export.load_archive(path)
    assert str(path) in str(error.value)


def mended(body):
    checksum = zlib.crc32(body).to_bytes(4, "little")
    return format_.MAGIC + bytes([format_.VERSION]) + checksum + body


def described(description, stream=b""):
    packed_ = deflated(description)
    return mended(
        bytes([len(packed_) & 127 | 128, len(packed_) >> 7]) + packed_ + stream
    )


def test_damage_is_named(file):
    content = file.read_bytes()
    refused(file, b"PK" + content[2:], "does not begin like one")
    refused(file, content[:6], "cut off")
    refused(file, content[:-1], "checksum is wrong")
    refused(file, content[:40] + b"!" + content[41:], "checksum is wrong")
    refused(file, content[:4] + b"\2" + content[5:], "version 2.*install a later one")
    refused(file, mended(b"\xff\xff\3"), "longer than the file")
    refused(file, mended(b"\xff" * 9), "first number does not end")


def test_sizes_are_checked_before_they_are_believed(file):
    """A kilobyte that says it holds 10^12 weights; a config that would make them."""
    model = {"": "Sequential", "name": "s", "layers": []}
    many = {"model": model, "weights": [[1_000_000, 1_000_000]]}
    refused(file, described(many, bytes(1000)), "1000000000000 weights in")
    refused(file, described(many | {"weights": [[1 << 41]]}), "weights of shape")
    refused(file, described(many | {"weights": [["float8", 2]]}), "of type 'float8'")
    units = [
        {"": "InputLayer", "batch_shape": [None, 1_000_000], "name": "i"},
        {"": "Dense", "units": 1_000_000, "name": "d"},
    ]
    net = {"": "Sequential", "name": "s", "layers": units}
    refused(file, described({"model": net, "weights": [[2]]}), "not those of its archi")
    keras.layers.Dense(2).build((None, 2))  # nothing of it is waiting to be made
    text = {"model": model, "weights": [], "class_names": ["a" * 1_000_000]}
    refused(file, described(text), "description is longer than")


def test_nothing_of_the_files_is_run(file, tmp_path):
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Lambda(lambda x: x * 2), keras.layers.Dense(1)]
    )
    path = tmp_path / "lambda.limbeck"
    with pytest.raises(ValueError, match="has a Lambda, which runs code"):
        export.archive(model, path)
    assert not path.exists()
    config = {"module": "os", "class_name": "system", "config": {"a": 1}}
    refused(file, described({"model": config, "weights": []}), "nobody has registered")
    config = {"module": "keras.utils", "class_name": "get_file", "config": {}}
    refused(file, described({"model": config, "weights": []}), "nobody has registered")


def test_what_cannot_be_written_is_refused(net, file, tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.limbeck, got"):
        export.archive(net, tmp_path / "net.zip")
    (tmp_path / "folder.limbeck").mkdir()
    with pytest.raises(IsADirectoryError, match="not replaced"):
        export.archive(net, tmp_path / "folder.limbeck")
    with pytest.raises(ValueError, match="class_names must be a list of strings"):
        export.archive(net, tmp_path / "net.limbeck", class_names="abc")
    for wrong in (["zero"], list("0123456789a")):
        with pytest.raises(ValueError, match=r"class_names are \d+, .* gives 10"):
            export.archive(net, tmp_path / "net.limbeck", class_names=wrong)
    with pytest.raises(ValueError, match="mean must be a number, got 'x'"):
        export.archive(net, tmp_path / "net.limbeck", mean=["x"])
    for wrong in (0.5, None, "0.5"):
        with pytest.raises(ValueError, match="std must be a list of numbers, got"):
            export.archive(net, tmp_path / "net.limbeck", mean=[0.5], std=wrong)
    with pytest.raises(ValueError, match="of the same channels, got 3 and 1 numbers"):
        export.archive(net, tmp_path / "net.limbeck", mean=[0.5] * 3, std=[0.5])
    with pytest.raises(ValueError, match=r"std must be above 0, got \[0.5, 0.0\]"):
        export.archive(net, tmp_path / "net.limbeck", mean=[0.5] * 2, std=[0.5, 0])
    with pytest.raises(ValueError, match="must be a keras.Model, got str"):
        export.archive("net", tmp_path / "net.limbeck")
    bare = keras.Sequential([keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="without a graph"):
        export.archive(bare, tmp_path / "net.limbeck")
    with pytest.raises(FileNotFoundError, match="there is no archive at"):
        export.load_archive(tmp_path / "none.limbeck")
    broken = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    two = {"class_names": ["no", "yes"]}  # of one logit
    path = export.archive(broken, tmp_path / "net.limbeck", **two)
    before = path.read_bytes()
    broken.weights[0].assign([[np.nan], [0]])
    with pytest.raises(ValueError, match="is not finite"):
        export.archive(broken, path)
    assert path.read_bytes() == before


def not_registered(x):
    return 2 * x


def test_a_function_that_nobody_registered_is_named(tmp_path):
    image = keras.Input((3,))
    layer = keras.layers.Dense(2, activation=not_registered)
    with pytest.raises(ValueError, match="locate function 'not_registered'"):
        export.archive(keras.Model(image, layer(image)), tmp_path / "net.limbeck")


def test_a_net_of_nothing_but_zeros_is_filled_up(tmp_path):
    model = keras.Sequential([keras.Input((1000,)), keras.layers.Dense(1000)])
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    path = export.archive(model, tmp_path / "net.limbeck")
    assert 700 < path.stat().st_size < 800  # a byte for 1000 weights beyond 2^18
    assert same(model, export.load_archive(path))


def test_packing_is_undone():
    value = {"b": True, "kernel_size": [1, 1.0], "nested": [{"x": 1}]}
    odd = {"class_name": "Dense", "config": value, "registered_name": None}
    assert unpacked(packed(odd))["config"]["kernel_size"] == [1, 1.0]
    with pytest.raises(ValueError, match="with a key '' or '~' cannot be packed"):
        packed({"class_name": "Dense", "config": {"a": {"": 1}}})
    initializer = keras.initializers.HeNormal()
    config = keras.saving.serialize_keras_object(initializer)
    assert packed(config) == {"": "HeNormal"}
    assert unpacked(packed(config)) == config
    assert inflated(deflated(["ü", 1.5])) == ["ü", 1.5]


def test_altered_files_are_errors_and_never_more(file):
    """A sample of what fuzzing.py does."""
    random = np.random.default_rng(0)
    small = keras.Sequential([keras.Input((6,)), keras.layers.Dense(5)])
    small.set_weights([np.round(w * 4) / 4 for w in small.get_weights()])
    path = export.archive(small, file.with_name("small.limbeck"))
    found = {outcome(altered(path.read_bytes(), random)) for _ in range(40)}
    assert found <= {"read", "refused"} and "refused" in found
