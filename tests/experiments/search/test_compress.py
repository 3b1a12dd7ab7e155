"""The whole of it on real digits of 8x8 pixels, with a net that learns them at once."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from keras import layers

import experiments
from compression import export, measure
from experiments import data as datasets
from experiments.data.fingerprint import content
from experiments.data.pipeline import first_batches
from experiments.deployment import Deployment
from experiments.report import summary, write
from experiments.runs.fingerprints import of_file
from experiments.runs.layout import RunFolder, SearchFolder
from experiments.search import pace, proxies, short
from experiments.search.candidate import Candidate
from experiments.search.compress import carry_out
from experiments.search.lessons import Lessons
from experiments.search.limits import Limits
from experiments.search.pace import Pace
from experiments.search.request import Request
from experiments.search.search import TRAINING, Search
from experiments.search.trials import Trials
from experiments.stages.file import File

SECONDS = 6


def net():
    image = keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(16, 3, padding="same", name="conv1")(image)
    x = layers.BatchNormalization(name="norm1")(x)
    x = layers.ReLU(name="relu1")(x)
    x = layers.Conv2D(32, 3, strides=2, padding="same", name="conv2")(x)
    x = layers.ReLU(name="relu2")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, layers.Dense(10, name="logits")(x), name="net")


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    """A net that knows most digits, with what an app must know beside it."""
    keras.utils.set_random_seed(0)
    data = datasets.load("digits")
    model = net()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss, jit_compile=False)
    images, labels = map(
        np.concatenate, zip(*first_batches(data, "train"), strict=True)
    )
    model.fit(images, labels, epochs=6, batch_size=64, verbose=0)
    path = tmp_path_factory.mktemp("model") / "net.keras"
    model.save(path)
    Deployment.of(data).write_beside(path)
    return path


@pytest.fixture(autouse=True)
def _small(monkeypatch, tmp_path):
    monkeypatch.setenv("LIMBECK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(proxies, "FEWEST", 3)
    monkeypatch.setattr(proxies, "MOST", 3)
    monkeypatch.setattr(short, "LONGEST", 2)
    monkeypatch.setattr(short, "suggest", cut_in_eight_bits)
    monkeypatch.setattr(Pace, "epochs", lambda *_: 8)  # however slow the machine is


def cut_in_eight_bits(trial, **_):
    """One kind of candidate: fewer graphs to build."""
    return Candidate(keep=trial.suggest_float("keep", 0.5, 0.8))


def request(model_file, **limits):
    hours = SECONDS / 3600
    return Request(File(str(model_file)), "digits", Limits(**limits), hours=hours)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("runs") / "compress"


@pytest.mark.slow
def test_from_a_file_and_a_limit_to_the_smaller_file(
    model_file, out, monkeypatch, capsys
):
    found = carry_out(request(model_file, bytes=9_000), out)
    assert found.file == out / "net.tflite"
    assert found.file.stat().st_size == found.bytes <= 9_000
    assert found.test_top1 > 0.5
    assert (out / "net.h").is_file() and (out / "net.deploy.json").is_file()
    record = json.loads((out / "search" / "found.json").read_text())
    [taken] = [row for row in record["tried"] if row.get("taken")]
    assert taken["bytes"] == found.bytes and taken["top1"] == found.validation_top1

    # Asked again, nothing is tried or trained again.
    def never(*_):
        raise AssertionError("tried again")

    monkeypatch.setattr(Trials, "step", never)
    before = found.file.read_bytes()
    again = carry_out(request(model_file, bytes=9_000), out)
    assert again.file.read_bytes() == before and again.test_top1 == found.test_top1
    assert "in another --out" not in capsys.readouterr().out
    longer = dataclasses.replace(request(model_file, bytes=9_000), hours=1.0)
    assert carry_out(longer, out).file.read_bytes() == before
    assert "0.00166667, and stays: with more, search in another --out" in (
        capsys.readouterr().out
    )


@pytest.mark.slow
def test_zipped_bytes_are_met_by_zeros(model_file, tmp_path, monkeypatch):
    def with_zeros(trial, **_):
        keep = trial.suggest_float("keep", 0.7, 0.9)
        return Candidate(keep=keep, sparsity=0.7)

    monkeypatch.setattr(short, "suggest", with_zeros)
    limits = {"bytes_zipped": 6_000, "max_drop": 100}
    found = carry_out(request(model_file, **limits), tmp_path / "run")
    size = measure.zipped_size(found.file)  # with its own, shorter name
    assert size <= found.bytes_zipped <= min(size + 50, 6_000)
    assert "70% zeros" in found.words and found.bytes > found.bytes_zipped
    net = export.load_model(tmp_path / "run/stages/seed0/aware/model.keras")
    kernels = [w.numpy() for w in net.weights if w.path.endswith("kernel")]
    zero = sum((kernel == 0).sum() for kernel in kernels)
    assert zero / sum(kernel.size for kernel in kernels) > 0.65
    page = write(tmp_path / "run").read_text()
    assert "tried-zipped" in page


@pytest.mark.slow
def test_what_is_too_heavy_learns_from_fewer_images(
    model_file, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(pace, "_seconds_per_image", lambda *_: 1.0)
    monkeypatch.setattr(Pace, "mostly_starts", lambda *_: False)
    asked, out = request(model_file, bytes=9_000), RunFolder(tmp_path / "run")
    found = carry_out(asked, out.path)
    assert found.file.stat().st_size == found.bytes <= 9_000
    printed = capsys.readouterr().out
    assert "512 of 1,259 train images can be looked at in the time left" in printed
    assert "teacher cache: 1 view x 512 images" in printed
    assert "teacher cache: 1 view x 1,259 images" not in printed
    data = out.read_data()
    assert (data["train"], data["validation"], data["test"]) == (512, 73, 359)
    # The full training goes on from the short one: it is too short to begin anew.
    assert "after its short one" in printed
    [full] = [each for each in out.read_recipe()["stages"] if each["name"] == "full"]
    trials = out.search.path.glob("trials/*/trained/model.keras")
    assert full["start"]["sha256"] in map(of_file, trials)
    assert full["training"]["learning_rate"] < TRAINING.learning_rate
    # Choices are made on all validation images, and it goes on with what it has.
    assert Lessons.read(out.search.lessons) == Lessons(512, views=1)
    taken = [row for row in out.search.read_found()["tried"] if row.get("taken")]
    assert (taken[0]["top1"] * 179) % 1 == pytest.approx(0, abs=1e-6)
    assert carry_out(asked, out.path).test_top1 == found.test_top1


@pytest.mark.slow
def test_without_time_for_a_full_training_the_short_ones_stand(
    model_file, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(pace, "_seconds_per_image", lambda *_: 1.0)
    out = RunFolder(tmp_path / "run")
    found = carry_out(request(model_file, bytes=9_000), out.path)
    assert "no time is left for a full training" in capsys.readouterr().out
    assert found.file.stat().st_size == found.bytes <= 9_000
    [taken] = [row for row in out.search.read_found()["tried"] if row.get("taken")]
    assert taken["how"] == "short training"
    assert {path.name for path in out.path.glob("stages/*/*")} >= {"model", "whole"}
    assert not out.stage("full", 0).path.exists()


@pytest.mark.slow
def test_of_what_machines_share_each_takes_its_own_files(model_file, tmp_path):
    """A candidate of the other one is known by what it scored, and trained here."""
    url = f"sqlite:///{tmp_path / 'trials.db'}"
    asked = request(model_file, bytes=9_000)
    here = carry_out(asked, tmp_path / "here", storage=url)
    there = carry_out(asked, tmp_path / "there", storage=url)
    assert here.file.is_file() and there.file.is_file()
    trials = (tmp_path / "here" / "search").glob("trials/*/*.tflite")
    rows = RunFolder(tmp_path / "there").search.read_found()["tried"]
    how = [row["how"] for row in rows]
    assert how.count("untrained") and how.count("short training") < len([*trials])
    other = Search(request(model_file, bytes=8_000), SearchFolder(tmp_path), url)
    assert not other.trained and not other.untrained


@pytest.mark.slow
def test_the_report_shows_what_was_tried(model_file, out):
    page = write(out).read_text()
    assert "What was tried" in page and "the most accurate of" in page
    assert "tried-bytes" in page
    assert "compress on digits" in summary(out)


@pytest.mark.slow
def test_a_folder_belongs_to_one_request(model_file, out):
    with pytest.raises(ValueError, match=r"another limits.*--out"):
        carry_out(request(model_file, bytes=8_000), out)


def test_a_folder_of_others_is_refused_before_the_search(model_file, tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(ValueError, match="not empty and not a run folder"):
        carry_out(request(model_file, bytes=9_000), tmp_path)
    (tmp_path / "recipe.json").write_text("{}")
    with pytest.raises(ValueError, match="holds a run that is no search"):
        carry_out(request(model_file, bytes=9_000), tmp_path)
    assert not (tmp_path / "search").exists()


def test_a_folder_belongs_to_its_images_wherever_they_lie(tmp_path):
    """A net that knows nothing: it is looked at after the images are."""
    net().save(path := tmp_path / "net.keras")
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8), np.uint8)
    labels = np.arange(60) % 10
    np.savez(tmp_path / "images.npz", x=images, y=labels)
    name = f"npz:{tmp_path / 'images.npz'}"
    asked = Request(File(str(path)), name, Limits(bytes=9_000))
    began = asked.as_dict() | {"data": "npz:elsewhere.npz"}
    began["content"] = content(datasets.load(name))
    began_at = RunFolder(tmp_path / "run").search.request
    began_at.parent.mkdir(parents=True)
    began_at.write_text(json.dumps(began))
    with pytest.raises(ValueError, match="no better than guessing"):
        carry_out(asked, tmp_path / "run")
    np.savez(tmp_path / "images.npz", x=255 - images, y=labels)
    with pytest.raises(ValueError, match="images of npz:.* have changed since the sea"):
        carry_out(asked, tmp_path / "run")


def test_a_model_that_knows_nothing_is_told_so_first(tmp_path):
    path = tmp_path / "net.keras"
    net().save(path)
    with pytest.raises(ValueError, match=r"no better than guessing"):
        carry_out(request(path, bytes=9_000), tmp_path / "run")


def test_a_limit_that_cannot_be_met_says_what_can(model_file, tmp_path):
    with pytest.raises(ValueError, match=r"takes [\d,]+ bytes, [\d.]+ of the 500"):
        carry_out(request(model_file, bytes=500), tmp_path / "run")
    assert not (tmp_path / "run" / "net.tflite").exists()


def test_ctrl_c_leaves_the_best_so_far(model_file, tmp_path, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("experiments.search.compress.run", interrupted)
    monkeypatch.setattr(Pace, "epochs", lambda *_: 4)
    with pytest.raises(KeyboardInterrupt):
        carry_out(request(model_file, bytes=9_000), tmp_path / "run")
    assert (tmp_path / "run" / "net.tflite").is_file()
    printed = capsys.readouterr().out
    assert "the best so far" in printed
    assert "4 of 200 epochs fit into the time left" in printed


def test_a_folder_belongs_to_one_model(tmp_path):
    """The one that lies there, of a model in memory, is of a call before."""
    model = net()
    model.get_layer("conv1").bias.assign(np.full(16, 1e3))  # it knows nothing
    for _ in range(2):
        with pytest.raises(ValueError, match="no better than guessing"):
            experiments.compress(model, "digits", bytes=9_000, out=tmp_path)
    model.get_layer("conv1").bias.assign(np.full(16, 2e3))
    with pytest.raises(ValueError, match=r"a search with another model; give another"):
        experiments.compress(model, "digits", bytes=9_000, out=tmp_path)


def test_it_is_a_function_of_the_package():
    assert callable(experiments.compress)
