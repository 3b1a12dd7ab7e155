"""`limbeck export` and `limbeck measure`: one writes files, the other reads them."""

import json
import math
import shlex
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from compression.export import load_model
from experiments import deployment
from experiments.cli import export, measure
from experiments.cli import main as cli
from experiments.deployment import Deployment
from experiments.stages.file import File


def commands(examples):
    """The words of each example behind "limbeck"."""
    lines = examples.strip().splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines]


def test_the_examples(model_file, tmp_path, monkeypatch, capsys, refusal):
    """An int8 file and a SavedModel are written; what was written is measured."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.keras").write_bytes(model_file.read_bytes())
    _, int8, saved_model, header, *_ = commands(export.EXAMPLES)
    narrow = ("--calibration-method", "mse", "--weight-bits", "4", "--skip", "conv1")
    assert cli.main([*int8, *narrow]) == 0
    size = (tmp_path / "net.tflite").stat().st_size
    capsys.readouterr()
    assert cli.main(int8) == cli.main(saved_model) == 0
    out, err = capsys.readouterr()
    assert out.split() == ["net.tflite", "saved_model"]
    assert f"{Path('net.tflite').stat().st_size:,} bytes, zipped " in err
    assert "limbeck: net.tflite gives the model's answer for" in err
    assert (tmp_path / "saved_model/saved_model.pb").exists()
    assert cli.main(header) == 0
    assert "net_tflite[NET_TFLITE_LENGTH]" in Path("net.h").read_text()
    capsys.readouterr()
    bare, with_data, *_, whole = commands(measure.EXAMPLES)
    assert cli.main(bare) == 0
    assert "top1" not in capsys.readouterr().out
    assert cli.main([*with_data, "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["examples"] == 1000 and 0 <= row["top1"] <= 1
    narrow_size, size = size, (tmp_path / "net.tflite").stat().st_size
    assert narrow_size < 0.8 * size
    assert row["bytes"] == size < 0.3 * model_file.stat().st_size
    assert cli.main(whole) == 0
    parameters = json.loads(capsys.readouterr().out)["parameters"]
    weights = keras.saving.load_model(model_file).trainable_weights
    assert parameters == sum(math.prod(weight.shape) for weight in weights)
    assert row["parameters"] < parameters  # batch norm is folded
    line = refusal("export", "net.keras", "again.h")
    assert "header is made of a .tflite file, got net.keras: export that first" in line
    line = refusal("export", "net.keras", "again", "--float-ends")
    assert "--float-ends is of .tflite files" in line
    for bits in ("4", "0"):
        line = refusal("export", "net.keras", "again", "--weight-bits", bits)
        assert "--weight-bits and --skip are of .tflite files" in line
    line = refusal("export", "net.keras", "again.tflite", "--weight-bits", "0")
    assert "bits must be 8 or 4, got 0" in line
    assert not Path("again.h").exists() and not Path("again").exists()
    line = refusal("export", "net.tflite", "again.tflite")
    assert "net.tflite was exported already: give the .keras file" in line


@pytest.mark.slow
def test_the_examples_of_archives(model_file, tmp_path, monkeypatch, capsys, refusal):
    """Weights as they are, then rounded within a bound, then a .tflite file of that."""
    monkeypatch.chdir(tmp_path)
    Path("net.keras").write_bytes(model_file.read_bytes())
    archive, coarse, again = commands(export.EXAMPLES)[-3:]
    assert cli.main(archive) == 0
    capsys.readouterr()
    assert cli.main(["measure", "net.limbeck", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["kind"] == "archive"
    kept = found["bytes_encoded"]
    assert kept == Path("net.limbeck").stat().st_size
    assert kept < 0.95 * model_file.stat().st_size
    points = coarse.index("--max-drop") + 1
    assert cli.main([*coarse[:points], "30", *coarse[points + 1 :]]) == 0
    assert "after rounding, of 500 images" in capsys.readouterr().err
    assert Path("net.limbeck").stat().st_size < 0.2 * kept
    assert cli.main(again) == 0
    assert Path("net.tflite").exists()
    assert "bytes, zipped" in capsys.readouterr().err
    line = refusal("export", "net.keras", "again", "--max-drop", "1")
    assert "--max-drop is of archives: OUT must end in .limbeck" in line
    line = refusal("export", "net.keras", "again.limbeck", "--max-drop", "1")
    assert "--max-drop and --data go together" in line
    line = refusal("export", "net.keras", "again.limbeck", "--precision", "int8")
    assert "an archive holds the weights as they are" in line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["net.h", "--precision", "int8"], "as it is: leave out --precision"),
        (
            ["net.h", "--max-drop", 0, "--data", "digits"],
            "leave out --max-drop, --data",
        ),
        (["net.tflite", "--data", "digits"], "float32 looks at no images: leave out"),
        (["net", "--data", "digits"], "a SavedModel looks at no images: leave out --d"),
        (
            ["net.limbeck", "--max-drop", 100, "--data", "digits"],
            "must be below 100 po",
        ),
        (["net.limbeck", "--image-size", 8], "--image-size go with --data"),
        (["net.tflite", "--skip-bad-images"], "--skip-bad-images go with --data"),
        (["net.limbeck", "--max-drop", 200, "--data", "digits"], "must be 0 to 100"),
        (["net.limbeck", "--max-drop", "nan", "--data", "digits"], "must be 0 to 100"),
    ],
)
def test_options_that_would_be_ignored_are_refused(words, message, refusal):
    assert message in refusal("export", "net.tflite", *words)


def test_measure_refuses_options_of_images_without_images(refusal, model_file):
    for option in (["--split", "all"], ["--crops", "ten"], ["--skip-bad-images"]):
        assert "give" in refusal("measure", model_file, *option)


@pytest.mark.parametrize("verb", [["measure"], ["export", "a.tflite"]])
def test_a_missing_file_is_named(verb, refusal, tmp_path):
    assert "none.keras" in refusal(verb[0], tmp_path / "none.keras", *verb[1:])


def test_export_refuses(refusal, model_file, tmp_path):
    half = tmp_path / "half.keras"
    half.write_bytes(model_file.read_bytes()[:3000])
    line = refusal("export", half, tmp_path / "a.tflite")
    assert "half.keras is not a readable" in line
    line = refusal("export", model_file, tmp_path / "a.tflite", "--precision", "int4")
    assert "int4" in line and "int8" in line
    options = ("--precision", "int8", "--calibration-method", "best")
    line = refusal("export", model_file, tmp_path / "a.tflite", *options)
    assert "no calibration method called 'best'; choose from minmax, percentile" in line
    line = refusal("export", model_file, tmp_path / "a.tflite", "--skip", "conv")
    assert "--skip goes with --calibration-method" in line
    assert not (tmp_path / "a.tflite").exists()


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Function of names -> folder with these classes, each of a grey of its own."""

    def made(*names, parts=("",)):
        folder = tmp_path_factory.mktemp("photos")
        for part in parts:
            for name in names:
                home = folder / part / name
                home.mkdir(parents=True)
                for i in range(5):
                    pixels = np.full((32, 32, 3), 60 * GREY[name] + 10 + i, np.uint8)
                    Image.fromarray(pixels).save(home / f"{i}.png")
        return folder

    return made


GREY = {"a": 0, "b": 1, "c": 2, "d": 3}


@pytest.fixture(scope="module")
def grey_net(tmp_path_factory):
    """Right about every image of `photos`, as normalised when it was trained."""
    path = tmp_path_factory.mktemp("run") / "model.keras"
    mean, std = 0.4, 0.25
    image = keras.Input((28, 28, 3))
    x = keras.layers.GlobalAveragePooling2D()(image)
    dense = keras.layers.Dense(3)
    model = keras.Model(image, dense(x))
    # Logit i is largest where the grey is nearest to that of class i.
    centres = (np.array([12.0, 72.0, 132.0]) / 255 - mean) / std
    dense.set_weights([np.tile(2 * centres / 3, (3, 1)), -(centres**2)])
    model.save(path)
    Deployment((28, 28, 3), (mean,) * 3, (std,) * 3, ("a", "b", "c")).write(
        path.parent / "deploy.json"
    )
    return path


def measured(capsys, *words):
    assert cli.main(["measure", *map(str, words), "--json"]) == 0
    out, err = capsys.readouterr()
    return json.loads(out), err


def test_images_are_taken_as_the_net_was_trained(grey_net, photos, tmp_path, capsys):
    """Fewer classes than in training, and an exported file elsewhere."""
    file = tmp_path / "phone.tflite"
    assert cli.main(["export", str(grey_net), str(file)]) == 0
    capsys.readouterr()
    for names in ("abc", "bc"):
        for model in (grey_net, file):
            row, err = measured(capsys, model, "--data", f"folder:{photos(*names)}")
            assert row["top1"] == 1.0 and row["examples"] == len(names)
            assert err == ""


def test_all_images_can_be_measured(grey_net, photos, capsys):
    data = f"folder:{photos('b', 'c')}"
    words = (grey_net, "--data", data, "--split")
    counts = {
        split: measured(capsys, *words, split)[0]["examples"]
        for split in ("train", "validation", "test", "all")
    }
    assert counts == {"train": 6, "validation": 2, "test": 2, "all": 10}


def test_classes_that_are_no_ones_are_refused(grey_net, photos, tmp_path, refusal):
    line = refusal("measure", grey_net, "--data", f"folder:{photos('b', 'd')}")
    assert "classes that the model was not trained on: d; its own are a, b, c" in line
    alone = tmp_path / "alone.keras"
    alone.write_bytes(grey_net.read_bytes())
    line = refusal("measure", alone, "--data", f"folder:{photos('b', 'c')}")
    assert "gives 3 logits" in line and "has 2 classes: which is which?" in line


def test_without_a_record_positions_are_taken_with_a_word(
    grey_net, photos, tmp_path, capsys
):
    alone = tmp_path / "alone.keras"
    alone.write_bytes(grey_net.read_bytes())
    _, err = measured(capsys, alone, "--data", f"folder:{photos('a', 'b', 'c')}")
    assert (
        "no deploy.json of it beside" in err
        and "3 classes are matched by position" in err
    )


def test_a_file_is_measured_with_the_pixels_that_it_was_made_by(
    grey_net, photos, tmp_path, capsys
):
    """What was asked for, or found out, stands beside it; gone with the file."""
    alone, file = tmp_path / "alone.keras", tmp_path / "phone.tflite"
    alone.write_bytes(grey_net.read_bytes())
    data = ("--data", f"folder:{photos(*'abc')}")
    words = ["export", str(alone), str(file), "--precision", "int8", *data]
    assert cli.main([*words, "--normalisation", "0.4/0.25"]) == 0
    known = deployment.beside(file)
    assert known.mean == (0.4,) * 3 and known.class_names == tuple("abc")
    capsys.readouterr()
    row, err = measured(capsys, file, *data)
    assert row["top1"] == 1.0 and err == ""
    assert cli.main(["export", str(alone), str(file)]) == 0
    assert "phone.deploy.json was of the file that" in capsys.readouterr().err
    assert deployment.beside(file) is None


def known_net(path, mean):
    """Two files: of a net for `photos`, and what it was trained on."""
    image = keras.Input((28, 28, 3))
    x = keras.layers.GlobalAveragePooling2D()(image)
    keras.Model(image, keras.layers.Dense(3)(x)).save(path)
    Deployment((28, 28, 3), (mean,) * 3, (0.25,) * 3, tuple("abc")).write_beside(path)
    return path


def test_a_file_is_not_read_by_the_record_of_one_that_stood_there(
    grey_net, photos, tmp_path, capsys, refusal
):
    phone, other = tmp_path / "phone.tflite", tmp_path / "other.tflite"
    assert cli.main(["export", str(grey_net), str(phone)]) == 0
    net = known_net(tmp_path / "net.keras", 0.1)
    assert cli.main(["export", str(net), str(other)]) == 0
    phone.write_bytes(other.read_bytes())
    capsys.readouterr()
    data = ("--data", f"folder:{photos(*'abc')}")
    line = refusal("measure", phone, *data)
    assert "phone.deploy.json is of another phone.tflite, by its sha256" in line
    (tmp_path / "phone.deploy.json").unlink()
    assert "no deploy.json of it beside" in measured(capsys, phone, *data)[1]


def test_a_record_of_another_file_is_refused_before_anything_is_written(
    grey_net, tmp_path, monkeypatch, refusal
):
    known_net(tmp_path / "net.keras", 0.1)
    before = (tmp_path / "net.deploy.json").read_text()

    def never(*_, **__):
        raise AssertionError("the work was begun")

    monkeypatch.setattr("compression.export.litert", never)
    monkeypatch.setattr("compression.export.saved_model", never)
    for out in (tmp_path / "net.tflite", tmp_path / "net"):
        line = refusal("export", grey_net, out)
        assert f"{out} must have another name than {tmp_path / 'net.keras'}" in line
    assert (tmp_path / "net.deploy.json").read_text() == before


def test_a_file_without_a_record_gets_none_from_its_neighbour(
    grey_net, photos, tmp_path, capsys
):
    net = known_net(tmp_path / "net.keras", 0.1)
    alone = tmp_path / "alone.keras"
    alone.write_bytes(grey_net.read_bytes())
    for name in ("net", "net.tflite", "net.limbeck"):
        assert cli.main(["export", str(alone), str(tmp_path / name)]) == 0
        assert deployment.of_file(tmp_path / name) is None
    assert deployment.of_file(net).mean == (0.1,) * 3
    # One that knows nothing takes the place of an archive that a record was of.
    (tmp_path / "net.limbeck").write_bytes(b"x")
    deployment.of_file(net).write_beside(tmp_path / "net.limbeck")
    capsys.readouterr()
    assert cli.main(["export", str(alone), str(tmp_path / "net.limbeck")]) == 0
    assert "net.limbeck has replaced, and says no more of it" in capsys.readouterr().err
    assert deployment.of_file(tmp_path / "net.limbeck") is None
    assert deployment.of_file(net).mean == (0.1,) * 3


def test_an_archive_is_rounded_whatever_the_model_ends_in(
    grey_net, photos, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(export, "FEW", 4)
    net = keras.saving.load_model(grey_net)
    softmax = keras.Model(net.input, keras.layers.Softmax()(net.output))
    softmax.save(tmp_path / "net.keras")
    folder = photos(*"abc", parts=("train", "val", "test"))
    words = ["--data", f"folder:{folder}", "--normalisation", "0.4/0.25"]
    out = tmp_path / "net.limbeck"
    command = ["export", str(tmp_path / "net.keras"), str(out), "--max-drop", "1"]
    assert cli.main([*command, *words]) == 0
    told = capsys.readouterr()
    assert "the softmax is taken off" in told.err
    assert "top-1 on 3 others, which chose nothing: " in told.err
    assert told.out == f"{out}\n"
    assert deployment.of_file(out).mean == (0.4,) * 3


def test_the_size_of_the_images_is_the_models(model_file, tmp_path, capsys):
    """Digits of 8 px, a net for 28 px."""
    out = tmp_path / "net.tflite"
    words = ["--precision", "int8", "--data", "digits"]
    assert cli.main(["export", str(model_file), str(out), *words]) == 0
    capsys.readouterr()
    row, _ = measured(capsys, out, "--data", "digits")
    assert row["examples"] == 359


@pytest.mark.parametrize(
    ("shape", "layer", "words", "message"),
    [
        (
            (64,),
            keras.layers.Flatten(),
            [],
            "keras.layers.Reshape((64,)), net]) around it",
        ),
        (
            (1, 8, 8),
            keras.layers.GlobalAveragePooling2D(data_format="channels_first"),
            [],
            "images (1, 8, 8), channels first, and images have them last: build",
        ),
        (
            (8, 8, 1),
            keras.layers.Flatten(),
            ["--image-size", 9],
            "takes images of 8 px: leave out --image-size 9",
        ),
    ],
)
def test_data_that_no_net_like_this_takes(  # noqa: PLR0913, two fixtures
    shape, layer, words, message, tmp_path, refusal
):
    image = keras.Input(shape)
    net = keras.Model(image, keras.layers.Dense(10)(layer(image)))
    net.save(file := tmp_path / "net.keras")
    assert message in refusal("measure", file, "--data", "digits", *words)


def test_a_net_for_one_number_of_images_is_written_for_any(tmp_path, capsys):
    image = keras.Input((8, 8, 1), batch_size=32)
    net = keras.Model(image, keras.layers.Dense(10)(keras.layers.Flatten()(image)))
    net.save(file := tmp_path / "net.keras")
    for out in ("net.tflite", "saved_model"):
        assert cli.main(["export", str(file), str(tmp_path / out)]) == 0
    out = str(tmp_path / "b.tflite")
    assert (
        cli.main(["quantize", str(file), "--precision", "dynamic", "--out", out]) == 0
    )
    capsys.readouterr()


def test_arrays_of_oblongs_suit_a_net_of_such(tmp_path, capsys, refusal):
    """Images of files are cut to squares, arrays are not."""
    image = keras.Input((6, 9, 1))
    net = keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(image)))
    net.save(file := tmp_path / "net.keras")
    assert File(str(file)).image_side is None
    x = np.random.default_rng(0).integers(0, 256, (40, 6, 9)).astype(np.uint8)
    np.savez(tmp_path / "data.npz", x=x, y=np.arange(40) % 2)
    words = ["--data", f"npz:{tmp_path / 'data.npz'}"]
    row, _ = measured(capsys, file, *words)
    assert row["examples"] == 8
    for more in (["--image-size", "6"], ["--crops", "ten"]):
        line = refusal("measure", file, *words, *more)
        assert f"images of 6 x 9 px, no squares: leave out {more[0]}" in line
    line = refusal("measure", file, "--data", "digits")
    assert "of 6 x 9 px, those of digits are 8 x 8: images are cut to squares" in line
    line = refusal("train", file, "--data", "digits", "--out", tmp_path / "run")
    assert "are (8, 8, 1): images are cut to squares only, but arrays" in line


def test_ten_crops_of_larger_images_are_averaged(
    grey_net, model_file, photos, capsys, refusal
):
    data = ("--data", f"folder:{photos(*'abc')}")
    row, _ = measured(capsys, grey_net, *data, "--crops", "ten")
    plain, _ = measured(capsys, grey_net, *data)
    assert row["top1"] == 1.0 and row["examples"] == 3
    assert row["loss"] == pytest.approx(plain["loss"], abs=1e-3)  # they are all grey
    line = refusal("measure", grey_net, "--crops", "ten")
    assert "--crops are of images: give --data" in line
    words = ["measure", str(model_file), "--data", "digits", "--crops", "ten"]
    assert cli.main(words) == 2
    assert "mirror images, and those of digits mean" in capsys.readouterr().err


def test_a_grey_net_is_measured_on_photographs(photos, tmp_path, capsys, refusal):
    image = keras.Input((28, 28, 1))
    net = keras.Model(image, keras.layers.Dense(3)(keras.layers.Flatten()(image)))
    net.save(file := tmp_path / "net.keras")
    data = f"folder:{photos(*'abc')}"
    line = refusal("measure", file, "--data", data)
    assert f"1 channels, {data} has 3: give the data as grey:{data}" in line
    assert measured(capsys, file, "--data", f"grey:{data}")[0]["examples"] == 3


@pytest.mark.parametrize("name", ["net.onnx", "net.h5", "net.pb", "net.TFLITE"])
def test_other_kinds_of_files_are_refused(name, refusal, model_file, tmp_path):
    line = refusal("export", model_file, tmp_path / name)
    assert f"writes no {Path(name).suffix} file: OUT must end in .tflite, .h" in line
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("verb", ["export", "measure", "train"])
@pytest.mark.parametrize(
    ("name", "way_out"),
    [
        (
            "net.weights.h5",
            "has weights and no net: build its net, let it load_weights",
        ),
        ("net.onnx", "must be a "),
    ],
)
def test_a_file_that_holds_no_net_of_keras(verb, name, way_out, refusal, tmp_path):
    (tmp_path / name).touch()
    words = {"export": [tmp_path / "net.tflite"], "train": ["--data", "digits"]}
    line = refusal(verb, tmp_path / name, *words.get(verb, ()))
    assert f"{name} {way_out}" in line


def test_a_file_that_would_run_its_own_code(refusal, tmp_path):
    image = keras.Input((8, 8, 1))
    doubled = keras.layers.Lambda(lambda x: x * 2)(image)
    keras.Model(image, doubled).save(file := tmp_path / "net.keras")
    line = refusal("measure", file)
    assert f"{file} has a Lambda layer, whose code would be run: make it a" in line


@pytest.mark.parametrize("verb", ["train", "compress"])
def test_a_net_that_was_never_built(verb, refusal, tmp_path):
    keras.Sequential([keras.layers.Dense(3)]).save(file := tmp_path / "net.keras")
    line = refusal(verb, file, "--data", "digits", "--out", tmp_path / "run")
    assert "model must be built and have one input, got Sequential" in line


def test_images_are_not_cut_to_the_channels_of_a_net_that_has_them_first(
    refusal, tmp_path
):
    image = keras.Input((1, 8, 8))
    pooled = keras.layers.GlobalAveragePooling2D(data_format="channels_first")(image)
    keras.Model(image, pooled).save(file := tmp_path / "net.keras")
    line = refusal("train", file, "--data", "digits", "--out", tmp_path / "run")
    assert "takes images (1, 8, 8), channels first, and images have them last" in line


@pytest.mark.parametrize("kind", [".tflite", ".limbeck", ".h"])
def test_a_folder_is_not_written_as_a_file(kind, refusal, tmp_path, model_file):
    out = tmp_path / f"folder{kind}"
    out.mkdir()
    model = "net.tflite" if kind == ".h" else model_file
    assert "is a folder: give the name of a file" in refusal("export", model, out)


@pytest.mark.parametrize("verb", ["export", "measure"])
def test_a_file_of_keras_former_format_has_a_way_out(verb, refusal, tmp_path):
    (tmp_path / "net.h5").touch()
    out = [tmp_path / "net.tflite"] if verb == "export" else []
    line = refusal(verb, tmp_path / "net.h5", *out)
    assert "net.h5 is of Keras's former format: load it with keras.models.load" in line


def test_images_without_labels_calibrate(grey_net, photos, tmp_path, capsys, refusal):
    """Accuracy needs labels; ranges do not, nor what lies beside a model."""
    folder, file = photos(*"abc"), tmp_path / "net.tflite"
    words = ["--data", f"unlabelled:{folder}"]
    command = ["export", str(grey_net), str(file), "--precision", "int8"]
    assert cli.main([*command, *words]) == 0
    capsys.readouterr()
    row, err = measured(capsys, file, "--data", f"folder:{folder}")
    assert row["top1"] == 1.0 and err == ""
    alone = tmp_path / "alone.keras"
    alone.write_bytes(grey_net.read_bytes())
    command[1:3] = str(alone), str(tmp_path / "b.tflite")
    assert cli.main([*command, *words]) == 0
    assert "alone.keras: pixels are normalised as train" in capsys.readouterr().err
    assert deployment.beside(tmp_path / "b.tflite") is None
    line = refusal("measure", grey_net, *words)
    assert "has no labels, and they are needed: give images in a folder" in line


@pytest.mark.parametrize("end", ["sigmoid", None])
def test_one_output_for_two_classes_is_two_logits(end, photos, tmp_path, capsys):
    """For what counts answers or asks labels; a sigmoid's net stays one elsewhere."""
    keras.utils.set_random_seed(0)
    net = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(8, 3, activation="relu", name="conv"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(1, activation=end),
        ]
    )
    net.save(tmp_path / "net.keras")
    folder = photos(*"ab", parts=("train", "val", "test"))
    data = ["--data", f"folder:{folder}", "--normalisation", "0..1"]
    out = tmp_path / "net.limbeck"
    command = ["export", str(tmp_path / "net.keras"), str(out), "--max-drop", "60"]
    assert cli.main([*command, *data]) == 0
    assert "two logits in place of one output" in capsys.readouterr().err
    assert load_model(out).output_shape == (None, 2)
    cut = tmp_path / "cut.keras"
    command = ["prune", str(tmp_path / "net.keras"), "--saliency", "taylor"]
    assert cli.main([*command, *data, "--macs", "0.5", "--out", str(cut)]) == 0
    smaller = keras.saving.load_model(cut)
    assert smaller.output_shape == (None, 1)
    assert smaller.get_layer("conv").filters == 4
