"""TensorFlow Lite Micro's own interpreter against LiteRT, where it is installed."""

import importlib.util
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

from compression import export, measure
from compression.measure import Board
from compression.measure.board import MISSING, PROGRAM, SAME_FLOATS
from tests.compression.small_nets import alexnet, shaken, small_net

there = pytest.mark.skipif(
    importlib.util.find_spec("tflite_micro") is None, reason=MISSING
)
BOARD = sys.modules["compression.measure.board"]


def images_of(shape, count=6, seed=1):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(count, *shape)).astype(np.float32)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Small nets as files of several kinds."""
    folder = tmp_path_factory.mktemp("board")
    image = keras.Input((6, 6, 2))
    x = layers.Activation("gelu")(layers.Conv2D(3, 3)(image))
    x = keras.ops.sign(layers.Flatten()(x))
    lacking = shaken(keras.Model(image, layers.Dense(2)(x)))
    net, calibration = alexnet(), [images_of((28, 28, 1), 16)]
    for name, model, options in (
        ("float", small_net(), {}),
        ("four", small_net(), {"batch": 4}),
        ("any", small_net(), {"batch": None}),
        ("gelu", lacking, {}),
        ("int8", net, {"precision": "int8", "calibration": calibration}),
        ("dynamic", net, {"precision": "dynamic"}),
    ):
        export.litert(model, folder / f"{name}.tflite", **options)
    return folder


@there
@pytest.mark.slow
def test_the_demos_net_needs_14_256_bytes(files):
    """As STACK.md found; a map of 28 x 28 x 8 codes is the largest tensor of it."""
    images = images_of((28, 28, 1))
    found = measure.board(files / "int8.tflite", images)
    assert found.arena_bytes == 14_256 > 28 * 28 * 8
    assert found.difference <= 2 and found.agreement == 1.0
    assert found.refusal is None and found.lacking == ()
    assert measure.board(files / "int8.tflite") == Board(arena_bytes=14_256)


@there
@pytest.mark.parametrize("name", ["float", "four", "any"])
def test_floats_are_those_of_litert(files, name):
    found = measure.board(export.load(files / f"{name}.tflite"), images_of((6, 6, 2)))
    assert found.equal and found.difference <= SAME_FLOATS and found.agreement == 1.0
    batch = 4 if name == "four" else 1
    assert found.arena_bytes % 16 == 0
    assert found.arena_bytes > batch * 4 * 4 * 4 * 3  # the first map, in float32


@there
def test_the_arena_is_the_smallest_that_works(files):
    """Not the bytes that the interpreter says it uses: planning takes more."""
    code = (
        "import sys; from tflite_micro import runtime\n"
        "runtime.Interpreter.from_file(sys.argv[1], arena_size=int(sys.argv[2]))"
    )
    need = measure.board(files / "float.tflite").arena_bytes
    status = [
        subprocess.run(
            [sys.executable, "-c", code, files / "float.tflite", str(size)],
            capture_output=True,
        ).returncode
        for size in (need, need - 16)
    ]
    assert status == [0, 1]


@there
def test_an_arena_in_which_it_crashes_is_too_small(tmp_path):
    """In 4,096 bytes the set-up of this file ends with a segmentation fault."""
    image = keras.Input((28, 28, 1))
    x = layers.MaxPooling2D()(layers.Conv2D(10, 5)(image))
    x = layers.MaxPooling2D()(layers.Conv2D(26, 5)(x))
    x = layers.Dense(251, activation="relu")(layers.Flatten()(x))
    net = shaken(keras.Model(image, layers.Dense(10)(x)))
    path, images = tmp_path / "net.tflite", images_of((28, 28, 1))
    export.litert(net, path, precision="int8", calibration=[images])
    found = measure.board(path, images)
    assert found.refusal is None and found.difference <= 2
    assert 24 * 24 * 10 + 28 * 28 < found.arena_bytes < 16_384


@there
def test_operators_that_it_lacks_are_all_named(files):
    found = measure.board(files / "gelu.tflite", images_of((6, 6, 2)))
    assert found == Board(lacking=("GELU", "SIGN"), refusal="it lacks GELU, SIGN")


@there
def test_why_a_file_does_not_run(files):
    found = measure.board(files / "dynamic.tflite")
    assert found.arena_bytes is None and found.lacking == ()
    assert found.refusal == (
        "operator CONV_2D (number 2): Hybrid models are not supported on TFLite Micro"
    )


@there
def test_why_a_file_that_is_set_up_does_not_run(tmp_path):
    image = keras.Input((6, 6, 2))
    x = keras.ops.cast(layers.Conv2D(3, 3, activation="relu")(image), "uint16")
    net = keras.Model(image, layers.Flatten()(keras.ops.cast(x, "float32")))
    path = export.litert(net, tmp_path / "net.tflite")
    for images in (None, images_of((6, 6, 2))):
        assert measure.board(path, images) == Board(
            refusal="operator CAST (number 1): Output type UINT16 (17) not supported"
        )


def test_a_crash_ends_nothing_else(files, monkeypatch, tmp_path):
    """The program is another one here: how it ends is what counts."""
    program = tmp_path / "program.py"
    monkeypatch.setattr(BOARD, "PROGRAM", program)
    monkeypatch.setattr(BOARD.importlib.util, "find_spec", lambda name: name)
    for code, expected in (
        ("import os; os.abort()", Board(refusal="it ended with: exit status -6")),
        ("raise RuntimeError('no')", Board(refusal="it ended with: RuntimeError: no")),
        ("print('lacks A\\nlacks B')", Board(None, ("A", "B"), "it lacks A, B")),
        ("print('arena 32')", Board(32)),
    ):
        program.write_text(code)
        assert measure.board(files / "float.tflite") == expected
    monkeypatch.setattr(BOARD, "SECONDS", 0.1)
    program.write_text("import time; time.sleep(9)")
    assert measure.board(files / "float.tflite").refusal == "it took more than 0.1 s"


def test_without_the_package_it_is_said(files, monkeypatch):
    monkeypatch.setattr(BOARD.importlib.util, "find_spec", lambda name: None)
    found = measure.board(files / "float.tflite", images_of((6, 6, 2)))
    assert found == Board(refusal=MISSING)
    assert PROGRAM.is_file() and "limbeck[boards]" in MISSING


def test_only_litert_files_run_on_boards(tmp_path):
    with pytest.raises(ValueError, match="boards run .tflite files, a model in memory"):
        measure.board(export.of_model(small_net()))
    with pytest.raises(FileNotFoundError, match="none.tflite"):
        measure.board(tmp_path / "none.tflite")


def test_one_probability_agrees_where_it_is_on_the_same_side_of_a_half(
    tmp_path, monkeypatch
):
    image = keras.Input((6,))
    net = shaken(keras.Model(image, layers.Dense(1, "sigmoid")(image)))
    images = images_of((6,))
    file = export.litert(net, tmp_path / "net.tflite")

    def opposite(path, folder):
        np.save(folder / "outputs.npy", 1 - export.load(path)(images))
        return Board(arena_bytes=16)

    monkeypatch.setattr(BOARD, "PACKAGE", "json")  # any that is there
    monkeypatch.setattr(BOARD, "_run", opposite)
    assert measure.board(file, images).agreement == 0
