"""What lies beside an exported file, and data made to fit it."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from compression import export
from compression.export.archive.contents import Contents, to_bytes
from compression.export.archive.models import to_archive
from experiments import deployment
from experiments.data import load
from experiments.data.decoding import fitted
from experiments.data.pipeline import evaluation_batches
from experiments.deployment import Deployment
from experiments.examples import classify
from experiments.runs.fingerprints import of_file

MINE = Deployment((8, 8, 1), (0.25,), (0.5,), tuple("9876543210"))


def test_what_is_written_is_read(tmp_path):
    MINE.write(tmp_path / "deploy.json")
    assert deployment.beside(tmp_path / "net.tflite") == MINE
    record = json.loads((tmp_path / "deploy.json").read_text())
    assert record["input"].startswith("float32") and record["output"].startswith("log")


def test_a_files_own_record_comes_first(tmp_path):
    assert deployment.beside(tmp_path / "net.tflite") is None
    MINE.write(tmp_path / "deploy.json")
    other = dataclasses.replace(MINE, mean=(0.0,))
    (tmp_path / "net.int8.keras").touch()
    other.write_beside(tmp_path / "net.int8.keras")
    assert deployment.beside(tmp_path / "net.int8.keras") == other
    assert deployment.beside(tmp_path / "net.keras") == MINE


def test_an_archive_holds_its_own(tmp_path):
    parts = [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    net = keras.Sequential(parts)
    path = export.archive(net, tmp_path / "net.limbeck")
    assert deployment.of_file(path) is None
    other = dataclasses.replace(MINE, mean=(0.0,))
    other.write_beside(path)
    assert deployment.of_file(path) == other
    about = {name: getattr(MINE, name) for name in ("class_names", "mean", "std")}
    export.archive(net, path, **about)
    assert deployment.of_file(path) == MINE  # whatever is said beside it
    other.write(tmp_path / "net.deploy.json")
    assert deployment.of_file(path) == MINE


def test_sizes_that_an_archive_leaves_open_are_those_of_a_record_that_agrees(tmp_path):
    net = keras.Sequential([keras.Input((None, None, 1)), keras.layers.Flatten()])
    about = {name: getattr(MINE, name) for name in ("class_names", "mean", "std")}
    path = tmp_path / "net.limbeck"
    path.write_bytes(to_archive(net, **about))
    MINE.write(tmp_path / "deploy.json")
    assert deployment.of_file(path) == MINE
    dataclasses.replace(MINE, mean=(0.0,)).write(tmp_path / "deploy.json")
    open_sizes = dataclasses.replace(MINE, image_shape=(None, None, 1))
    assert deployment.of_file(path) == open_sizes


OTHER = dataclasses.replace(MINE, mean=(0.0,))


def written(path, content, record=None):
    """A file, which nothing here reads, perhaps with its record."""
    path.write_text(content)
    if record is not None:
        record.write_beside(path)
    return path


def listed(path):
    return json.loads(path.read_text())["files"]


def test_entries_that_somebody_altered_are_kept(tmp_path):
    net = written(tmp_path / "net.keras", "a")
    for name in ("net.limbeck", "net.tflite"):
        (tmp_path / name).touch()
    odd = {"net.limbeck": None, "net.tflite": {"output": 7}}
    MINE.write(tmp_path / "net.deploy.json", kept=odd)
    MINE.write_beside(net)
    expected = odd | {"net.keras": {"sha256": of_file(net)}}
    assert listed(tmp_path / "net.deploy.json") == expected


def test_files_of_one_stem_share_a_record_that_says_the_same(tmp_path):
    keras_file = written(tmp_path / "net.keras", "a", MINE)
    archive = written(tmp_path / "net.limbeck", "b", MINE)
    record = tmp_path / "net.deploy.json"
    shas = {path.name: {"sha256": of_file(path)} for path in (keras_file, archive)}
    assert listed(record) == shas
    archive.unlink()
    written(keras_file, "c", MINE)
    assert listed(record) == {"net.keras": {"sha256": of_file(keras_file)}}
    # What it says changes with the only file that it is of.
    written(keras_file, "d", OTHER)
    assert deployment.beside(keras_file) == OTHER


@pytest.mark.parametrize("named", [True, False])
def test_a_record_of_another_file_is_not_overwritten(tmp_path, named):
    there = written(tmp_path / "net.keras", "a", MINE)
    record = tmp_path / "net.deploy.json"
    if not named:  # as earlier versions wrote it
        record.write_text(json.dumps(json.loads(record.read_text()) | {"files": {}}))
    before = record.read_text()
    new = tmp_path / "net.limbeck"
    message = r"net.limbeck must have another name than .*net.keras: .*net.deploy.json "
    with pytest.raises(ValueError, match=message):
        OTHER.require_beside(new)  # before anything is written
    with pytest.raises(ValueError, match=message):
        written(new, "b", OTHER)
    assert record.read_text() == before
    MINE.write_beside(new)
    assert listed(record).keys() == {"net.keras", "net.limbeck"}
    new.unlink()
    there.write_text("it is another file now")
    OTHER.require_beside(new)


def test_the_programs_of_a_file_stay_when_another_joins_its_record(shipped, tmp_path):
    real = tmp_path / "net.tflite"
    shutil.copy(shipped[0] / "model.int8.tflite", real)
    COLOURS.write_beside(real)
    [about] = listed(tmp_path / "net.deploy.json").values()
    programs = [tmp_path / "net.deploy.py", tmp_path / "net.deploy.c"]
    before = [path.read_text() for path in programs]
    written(tmp_path / "net.keras", "a", COLOURS)
    assert listed(tmp_path / "net.deploy.json")["net.tflite"] == about
    assert [path.read_text() for path in programs] == before


def test_a_program_goes_with_the_integers_that_it_is_of(shipped, tmp_path):
    net, program = tmp_path / "net.tflite", tmp_path / "net.deploy.c"
    shutil.copy(shipped[0] / "model.int8.tflite", net)
    COLOURS.write_beside(net)
    assert "What net.tflite takes" in program.read_text()
    shutil.copy(shipped[0] / "model.float32.tflite", net)
    COLOURS.write_beside(net)
    assert not program.exists() and (tmp_path / "net.deploy.py").exists()


def test_folders_with_dots_in_their_names_have_records_of_their_own(shipped, tmp_path):
    one, two = tmp_path / "model.v1", tmp_path / "model.v2"
    for folder in (one, two):
        shutil.copytree(shipped[0] / "model.float32.savedmodel", folder)
    other = dataclasses.replace(COLOURS, mean=(0.0,) * 3)
    COLOURS.write_beside(one)
    other.write_beside(two)
    assert deployment.beside(one) == COLOURS and deployment.beside(two) == other
    assert (tmp_path / "model.v1.deploy.json").is_file()
    # Earlier versions wrote one of model.v1, or of the other, there.
    (tmp_path / "model.v1.deploy.json").rename(tmp_path / "model.deploy.json")
    (tmp_path / "model.v2.deploy.json").unlink()
    assert deployment.beside(one) == COLOURS and deployment.beside(two) is None


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"mean": (0.5,) * 3, "std": (0.5,) * 3}, "mean and std of each channel"),
        ({"mean": (0.5,), "std": (0.5,) * 2}, "mean and std of each channel"),
        ({"mean": (0.5,), "std": (0.0,)}, r"std\[0\] must be a number above 0"),
        ({"mean": (float("nan"),), "std": (1.0,)}, r"mean\[0\] must be a .* finite"),
    ],
)
def test_an_archive_that_contradicts_itself_is_named(tmp_path, about, message):
    net = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    content = to_archive(net, class_names=("a", "b"), **about)
    path = tmp_path / "net.limbeck"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"net.limbeck.*{message}.*archive the net"):
        deployment.of_file(path)


def test_an_archive_of_odd_architecture_holds_none(tmp_path):
    path = tmp_path / "net.limbeck"
    about = {"class_names": ("a",), "mean": (0.5,), "std": (0.5,)}
    for config in (
        {"class_name": "Mine"},
        {"config": []},
        {"config": {"layers": {}}},
        {"config": {"layers": [7]}},
        {"config": {"layers": [{"config": {"batch_shape": 7}}]}},
    ):
        path.write_bytes(to_bytes(Contents(config, [], **about)))
        assert deployment.of_file(path) is None
    net = keras.Sequential([keras.Input((None, None, 1)), keras.layers.Flatten()])
    path.write_bytes(to_archive(net, **about))
    assert deployment.of_file(path).image_shape == (None, None, 1)


@pytest.mark.parametrize("streamed", [False, True])
def test_classes_are_matched_by_name(streamed):
    data = load("digits")
    if streamed:
        held = data.test
        rows = tf.data.Dataset.from_tensor_slices((held.images, held.labels))
        stream = dataclasses.replace(
            held, images=None, labels=None, stream=lambda: rows, decode=lambda x: x
        )
        data = dataclasses.replace(data, test=stream)
    fitted = MINE.fitted(data)
    assert fitted.class_names == MINE.class_names
    [(images, labels)] = evaluation_batches(fitted, "test", batch_size=1000)
    test = load("digits").test
    np.testing.assert_array_equal(labels, 9 - test.labels)
    np.testing.assert_allclose(images, (test.images / 255 - 0.25) / 0.5, atol=1e-6)


def test_images_without_labels_are_of_the_files_classes():
    data = dataclasses.replace(load("digits"), class_names=())
    fitted = MINE.fitted(data)
    assert (fitted.class_names, fitted.mean) == (MINE.class_names, MINE.mean)
    with pytest.raises(ValueError, match="has learned no classes, only images without"):
        dataclasses.replace(MINE, class_names=()).fitted(load("digits"))


def test_fewer_classes_are_fine_and_unknown_ones_are_named():
    data = load("digits")
    more = dataclasses.replace(MINE, class_names=("x", *MINE.class_names, "y"))
    np.testing.assert_array_equal(
        more.fitted(data).train.labels, 10 - data.train.labels
    )
    fewer = dataclasses.replace(MINE, class_names=tuple("01234567"))
    with pytest.raises(ValueError, match=r"digits has classes .* trained on: 8, 9;"):
        fewer.fitted(data)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"mean": None}, ": mean must be a list, got None"),
        ({"std": [0.0]}, r": std\[0\] must be a number above 0, got 0.0"),
        ({"std": ["x"]}, r": std\[0\] must be a number, got 'x'"),
        (
            {"mean": [float("nan")]},
            r": mean\[0\] must be a number that is finite, got nan",
        ),
        ({"mean": [0.1, 0.2]}, " must have .* mean and std of each channel, got"),
        ({"class_names": [1, 2]}, r": class_names\[0\] must be a text, got 1"),
        ({"image_shape": 3}, ": image_shape must be a list, got 3"),
    ],
)
def test_damaged_records_are_named(tmp_path, change, problem):
    path = tmp_path / "deploy.json"
    MINE.write(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    message = f"deploy.json{problem}.*; restore it, or delete it to do without"
    with pytest.raises(ValueError, match=message):
        deployment.read(path)
    path.write_text("[]")
    with pytest.raises(ValueError, match="deploy.json: it must be an object"):
        deployment.read(path)
    path.write_text("{")
    with pytest.raises(ValueError, match="deploy.json is not JSON"):
        deployment.read(path)


COLOURS = Deployment(
    (8, 8, 3), (0.48, 0.45, 0.4), (0.23, 0.22, 0.26), ("a", 'b"?\\', "grün")
)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """A folder as a stage leaves it, and pixels that fill the range."""
    folder = tmp_path_factory.mktemp("stage")
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, activation="relu")(image)
    model = keras.Model(image, keras.layers.Dense(3)(keras.layers.Flatten()(x)))
    pixels = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 3), np.uint8)
    int8 = {"precision": "int8", "calibration": [normalised(pixels, COLOURS)]}
    files = [
        export.litert(model, folder / "model.int8.tflite", **int8),
        export.litert(model, folder / "model.float32.tflite"),
        export.saved_model(model, folder / "model.float32.savedmodel"),
    ]
    COLOURS.write(folder / "deploy.json", files)
    return folder, pixels


def normalised(pixels, record):
    return ((pixels / 255 - record.mean) / record.std).astype(np.float32)


def test_the_record_says_all_of_each_file(shipped):
    folder, pixels = shipped
    assert deployment.read(folder / "deploy.json") == COLOURS
    record = json.loads((folder / "deploy.json").read_text())
    assert record["channels"] == "RGB" and "antialiasing" in record["resizing"]
    assert {name: file["sha256"] for name, file in record["files"].items()} == {
        path.name: of_file(path) for path in folder.glob("model.*")
    }
    int8, real, saved = record["files"].values()
    takes = export.load(folder / "model.int8.tflite").takes
    assert int8["input"] == {
        "name": "image",
        "shape": [1, 8, 8, 3],
        "dtype": "int8",
        "scale": takes.scale,
        "zero_point": takes.zero_point,
    }
    assert int8["output"]["name"] == "logits" and int8["output"]["dtype"] == "int8"
    assert real["input"]["dtype"] == saved["input"]["dtype"] == "float32"
    rule = int8["pixels"]
    codes = np.rint(np.array(rule["factor"]) * pixels + rule["offset"])
    codes = codes.clip(rule["lowest"], rule["highest"])
    exact = takes.codes(normalised(pixels, COLOURS)).astype(int)
    assert np.abs(codes - exact).max() <= 1 and (codes != exact).mean() < 1e-3
    for file in (real, saved):
        values = np.array(file["pixels"]["factor"]) * pixels + file["pixels"]["offset"]
        np.testing.assert_allclose(values, normalised(pixels, COLOURS), atol=1e-5)


def test_codes_by_hand(tmp_path):
    """Of mean 1/4 and std 1/2 white is 1.5 and black -0.5: with scale 1/64 and zero
    point -96 they are the codes 0 and -128."""
    rule = {"factor": [64 / (255 * 0.5)], "offset": [-96 - 0.25 * 64 / 0.5]}
    rule |= {"lowest": -128, "highest": 127}
    file = {"input": {"dtype": "int8"}, "pixels": rule}
    codes = classify.input_of(np.array([[[0], [255], [51]]], np.uint8), file)
    assert codes.dtype == np.int8 and codes.ravel().tolist() == [-128, 0, -102]


@pytest.mark.parametrize("name", ["model.int8.tflite", "model.float32.tflite"])
def test_the_python_program_answers_as_measured(name, shipped):
    folder, pixels = shipped
    Image.fromarray(pixels[0]).save(folder / "picture.png")
    command = [sys.executable, folder / "deploy.py", folder / "picture.png"]
    done = subprocess.run(
        [*command, *([name] if "float32" in name else [])],  # the first one needs none
        capture_output=True,
        check=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
    )
    found = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    [logits] = export.load(folder / name)(normalised(pixels[:1], COLOURS))
    order = np.argsort(-logits, kind="stable")
    assert [word for _, word in found] == [COLOURS.class_names[i] for i in order]
    np.testing.assert_allclose([float(x) for x, _ in found], logits[order], atol=1e-4)


@pytest.mark.parametrize(("bias", "said"), [(-1.0, "no"), (1.0, "yes")])
def test_one_probability_is_of_the_second_class_above_a_half(
    bias, said, tmp_path, monkeypatch, capsys
):
    image = keras.Input((4, 4, 1))
    last = keras.layers.Dense(1, "sigmoid", kernel_initializer="zeros")
    net = keras.Model(image, last(keras.layers.Flatten()(image)))
    last.bias.assign([bias])
    file = export.litert(net, tmp_path / "net.tflite")
    two = Deployment((4, 4, 1), (0.5,), (0.5,), ("no", "yes"))
    two.write_beside(file)
    record = json.loads((tmp_path / "net.deploy.json").read_text())
    assert record["output"] == "probabilities, one for each class"
    net.save(tmp_path / "net.keras")
    two.write_beside(tmp_path / "net.keras")
    record = json.loads((tmp_path / "net.deploy.json").read_text())
    assert record["output"] == "probabilities, one for each class"
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "black.png")
    monkeypatch.setattr(classify, "HERE", tmp_path / "net.deploy.py")
    classify.main(tmp_path / "black.png")
    first, second = map(str.split, capsys.readouterr().out.splitlines())
    assert first[1] == said and float(first[0]) == pytest.approx(0.7311, abs=1e-4)
    folder = export.saved_model(net, tmp_path / "saved")
    two.write_beside(folder)
    record = json.loads((tmp_path / "saved.deploy.json").read_text())
    assert record["files"]["saved"]["output"]["name"] == "probabilities"


def test_the_python_program_cuts_and_resizes_as_the_data_are(tmp_path):
    photo = np.random.default_rng(1).integers(0, 256, (40, 70, 3), np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    pixels = classify.pixels_of(tmp_path / "photo.png", {"image_shape": [16, 16, 3]})
    assert np.abs(pixels.astype(int) - fitted(photo, 16).numpy()).max() <= 1
    grey = classify.pixels_of(tmp_path / "photo.png", {"image_shape": [16, 16, 1]})
    assert grey.shape == (16, 16, 1)


def test_images_that_are_no_squares_are_taken_as_they_are(tmp_path):
    oblong = dataclasses.replace(COLOURS, image_shape=(6, 8, 3))
    oblong.write(tmp_path / "deploy.json")
    record = json.loads((tmp_path / "deploy.json").read_text())
    assert record["resizing"].startswith("none: images are no squares")
    photo = np.random.default_rng(1).integers(0, 256, (6, 8, 3), np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    assert (classify.pixels_of(tmp_path / "photo.png", record) == photo).all()
    Image.fromarray(photo[:, :6]).save(tmp_path / "square.png")
    with pytest.raises(SystemExit, match=r"square.png must have 8 x 6 pixels"):
        classify.pixels_of(tmp_path / "square.png", record)


TRIED = r"""
int main(void) {
  const int8_t codes[] = {-5, 7, 7};
  printf("%d\n%.15g", best_class(codes), real_of(7));
  for (int i = 0; i < OUTPUTS; i++) printf("\n%s", CLASS_NAMES[i]);
  return 0;
}
"""


def test_the_c_program_gives_the_same_codes(shipped):
    if shutil.which("gcc") is None:
        pytest.skip("there is no gcc here")
    folder, pixels = shipped

    def compiled(source, program):
        strict = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror"]
        command = ["gcc", *strict, "-O2", source, "-o", program, "-lm"]
        subprocess.run(command, check=True, cwd=folder)
        return folder / program

    program = compiled("deploy.c", "deploy")
    record = json.loads((folder / "deploy.json").read_text())
    file = record["files"]["model.int8.tflite"]
    for image in pixels[:8]:
        done = subprocess.run([program], input=image.tobytes(), capture_output=True)
        assert done.returncode == 0
        assert done.stdout == classify.input_of(image, file).tobytes()
    done = subprocess.run([program], input=b"12", capture_output=True)
    assert done.returncode == 2 and b"there must be 192 pixels" in done.stderr
    # The other functions, from a program that has its own `main`.
    functions = (folder / "deploy.c").read_text().replace("int main(", "int unused(")
    (folder / "tried.c").write_text(functions + TRIED)
    done = subprocess.run([compiled("tried.c", "tried")], capture_output=True)
    best, real, *names = done.stdout.decode().split("\n")
    assert (best, tuple(names)) == ("1", COLOURS.class_names)
    gives = file["output"]
    assert float(real) == pytest.approx(gives["scale"] * (7 - gives["zero_point"]))


def test_records_of_earlier_versions_are_read(tmp_path):
    old = {
        "input": "float32 (pixels / 255 - mean) / std, RGB or grey, rows first",
        "image_shape": [8, 8, 1], "mean": [0.25], "std": [0.5],
        "class_names": list("9876543210"), "output": "logits, one for each class",
    }  # fmt: skip
    (tmp_path / "deploy.json").write_text(json.dumps(old))
    assert deployment.read(tmp_path / "deploy.json") == MINE


def test_nothing_is_overwritten_for_a_broken_file(shipped, tmp_path):
    real = tmp_path / "net.tflite"
    shutil.copy(shipped[0] / "model.float32.tflite", real)
    COLOURS.write_beside(real)
    names = {"net.tflite", "net.deploy.json", "net.deploy.py"}  # C is for integers
    assert {path.name for path in tmp_path.iterdir()} == names
    real.write_bytes(b"broken")
    before = (tmp_path / "net.deploy.json").read_text()
    with pytest.raises(ValueError, match="net.tflite is not a readable LiteRT file"):
        COLOURS.write_beside(real)
    assert (tmp_path / "net.deploy.json").read_text() == before
