"""A finished stage is one whose files and inputs are those that it was made of."""

import dataclasses
import json
import shutil

import keras
import pytest

from experiments import records
from experiments.recipe import Recipe
from experiments.report import folder as report
from experiments.runs import measured
from experiments.runs import run as running
from experiments.runs.fingerprints import of_file, of_model, rows_as_measured
from experiments.runs.layout import RunFolder
from experiments.runs.run import run
from experiments.stages.base import Export
from experiments.stages.distill import Distill
from experiments.stages.net import Net
from experiments.stages.quantize import Quantize
from experiments.stages.teaching import Teaching
from experiments.stages.train import Train
from experiments.training.settings import Training

pytestmark = pytest.mark.usefixtures("eagerly", "no_board")

LITERT = (Export("litert"),)
SHORT = Training(epochs=1, batch_size=600, learning_rate=3e-3)
NET = Net("mlp", {"widths": (8,)})
RECIPE = Recipe(
    name="small",
    data="digits",
    stages=(
        Train("teacher", NET, SHORT, exports=LITERT),
        Distill("student", NET, SHORT, Teaching("teacher", views=1), exports=LITERT),
        Quantize("int8", "student", exports=(Export("litert", "int8"),)),
    ),
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return run(RECIPE, tmp_path_factory.mktemp("runs") / "small")


@pytest.fixture
def folder(finished, tmp_path):
    return RunFolder(shutil.copytree(finished, tmp_path / "run"))


def test_rows_hold_the_hashes_of_what_they_measured(folder):
    for row in folder.read_rows():
        for file in row["files"]:
            assert file["sha256"] == of_file(folder.path / file["file"])


def test_a_changed_byte_or_a_missing_file_is_named(folder):
    path = folder.stage("int8", 0).exported("litert", "int8")
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="model.int8.tflite is not what its stage"):
        run(RECIPE, folder.path)
    path.unlink()
    with pytest.raises(ValueError, match="int8.tflite is missing; delete the folder"):
        run(RECIPE, folder.path)


def test_a_changed_digit_in_measured_rows_is_named(folder):
    """On resume, in a report and when it is recorded; the way out helps."""
    path = folder.measure(0).rows
    rows = path.read_text()
    digit = rows.index('"top1": 0.') + len('"top1": 0.')
    path.write_text(rows[:digit] + str(9 - int(rows[digit])) + rows[digit + 1 :])
    readers = (lambda: run(RECIPE, folder.path), lambda: report.read(folder.path))
    for reader in (*readers, lambda: records.record(folder.path)):
        with pytest.raises(ValueError, match="rows.json is not what the measurement "):
            reader()
    shutil.rmtree(folder.measure(0).path)
    run(RECIPE, folder.path)
    assert report.read(folder.path).summaries


def test_rows_are_those_that_were_measured(folder):
    rows = folder.read_rows()
    rows[1]["top1"] += 0.001
    folder.rows.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(
        ValueError, match="jsonl: the row of stage 'student', seed 0, i"
    ):
        report.read(folder.path)
    run(RECIPE, folder.path)  # which gathers them again
    report.read(folder.path)


def test_a_changed_history_is_left_out_of_the_report(folder):
    path = folder.stage("student", 0).history
    path.write_text(path.read_text().replace("0.", "1.", 1))
    found = report.read(folder.path)
    assert "altered training history of stage student, seed 0" in " ".join(found.gaps)
    assert list(found.histories["student"]) == []


def test_rows_alone_are_taken_as_they_are(folder):
    """Of a run folder whose stages were not kept."""
    shutil.rmtree(folder.path / "stages")
    assert len(rows_as_measured(folder)) == 3


def test_files_that_people_add_do_not_matter(folder, monkeypatch):
    (folder.stage("student", 0).path / "notes.txt").write_text("good")
    monkeypatch.setattr(
        measured, "measured_rows", lambda *_: pytest.fail("it measured again")
    )
    run(RECIPE, folder.path)


@pytest.mark.slow
def test_the_same_teacher_trained_again_leaves_its_students(folder, capsys):
    """Deleted, trained to the same weights: only its own files are measured again."""
    before = of_model(folder.stage("teacher", 0).model)
    shutil.rmtree(folder.stage("teacher", 0).path)
    run(RECIPE, folder.path)
    assert of_model(folder.stage("teacher", 0).model) == before
    lines = capsys.readouterr().out
    assert "student: finished before\n" in lines and "int8: finished before\n" in lines


def test_another_teacher_makes_other_students(folder, capsys, monkeypatch):
    """Also where the run was killed before it had measured the new teacher."""
    rows = folder.read_rows()
    shutil.rmtree(folder.stage("teacher", 0).path)
    longer = dataclasses.replace(SHORT, learning_rate=1e-2)
    other = dataclasses.replace(
        RECIPE,
        stages=(dataclasses.replace(RECIPE.stages[0], training=longer),)
        + RECIPE.stages[1:],
    )
    folder.recipe.write_text(json.dumps(other.as_dict()))  # as if it had been so

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(running, "measure", killed)
        with pytest.raises(KeyboardInterrupt):
            run(other, folder.path, stages=["teacher"])
    run(other, folder.path)
    lines = capsys.readouterr().out
    assert "student: finished before, but with another teacher than there is" in lines
    assert "int8: finished before, but with another student than there is" in lines
    again = folder.read_rows()
    for old, new in zip(rows, again, strict=True):
        assert old["stage"] == new["stage"] and old["sha256"] != new["sha256"]
        assert new["sha256"] == of_file(folder.path / new["file"])


def test_a_run_folder_without_fingerprints_is_trusted(folder):
    """Earlier versions wrote none: its stages stay, its files are measured again."""
    for name in ("teacher", "student", "int8"):
        folder.stage(name, 0).fingerprints.unlink()
    folder.measure(0).fingerprints.unlink()
    measured = folder.measure(0).rows
    rows = json.loads(measured.read_text())
    for row in rows:
        for part in (row, *row["files"]):
            del part["sha256"]
    measured.write_text(json.dumps(rows))
    run(RECIPE, folder.path)
    assert all(row["sha256"] for row in folder.read_rows())


def test_a_model_saved_twice_has_one_fingerprint(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.save(tmp_path / "a.keras")
    keras.models.load_model(tmp_path / "a.keras").save(tmp_path / "b.keras")
    assert of_model(tmp_path / "a.keras") == of_model(tmp_path / "b.keras")
    model.layers[0].bias.assign([1.0, 0.0])
    model.save(tmp_path / "c.keras")
    assert of_model(tmp_path / "a.keras") != of_model(tmp_path / "c.keras")
