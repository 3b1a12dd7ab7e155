"""Run folders that lack something, and folders that are none."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from experiments import report
from experiments.report import curves
from experiments.report.folder import read


def texts(run):
    """Summary, page and Markdown, made without a crash."""
    page = report.write(run)
    return report.summary(run), page.read_text(), (run / "report.md").read_text()


def test_stages_stand_in_the_recipes_order(make_run, put_rows, rows):
    run = make_run(seeds=[0])
    put_rows(run, rows(["int8", "distill", "teacher"], [0]))
    found = read(run)
    assert [each.stage for each in found.summaries] == ["teacher", "distill", "int8"]
    assert found.teacher.stage == "teacher"
    assert found.gaps == ("stage prune is not finished",)


def test_whole_run_lacks_nothing(make_run):
    assert read(make_run()).gaps == ()


def test_no_run_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere is not a run folder.*demo"):
        report.summary(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="no rows.jsonl"):
        report.write(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"stage": "prune", ', r"rows\.jsonl, line 2 is not JSON"),
        ("[1, 2]", "line 2: it must be an object, got a list of 2; delete it and run"),
        ('{"stage": "prune"}', "line 2: it lacks 'seed'"),
    ],
)
def test_malformed_row(make_run, rows, line, message):
    run = make_run()
    first = json.dumps(rows(["teacher"], [0])[0])
    (run / "rows.jsonl").write_text(f"{first}\n{line}\n")
    with pytest.raises(ValueError, match=message):
        report.write(run)


def test_malformed_records(make_run):
    run = make_run()
    (run / "recipe.json").write_text("{")
    with pytest.raises(ValueError, match=r"recipe\.json is not JSON"):
        report.write(run)
    (run / "recipe.json").write_text("[]")
    with pytest.raises(
        ValueError, match=r"recipe\.json: it must be an object, got a list"
    ):
        report.write(run)


def test_malformed_declarations(make_run):
    run = make_run()
    (run / "stages.json").write_text("[]")
    with pytest.raises(ValueError, match=r"stages\.json: it must be an object"):
        report.write(run)


FORMER = (
    {"kind": "Train", "name": "teacher", "net": {"name": "resnet20"}},
    {"kind": "Distill", "name": "distill", "teacher": "teacher"},
    {"kind": "Prune", "name": "prune", "start": "distill", "teacher": "teacher"},
    {"kind": "Quantize", "name": "int8", "start": "prune"},
)


def test_an_older_run_without_declarations(make_run, write_record):
    run = make_run()
    write_record(run, "recipe.json", stages=FORMER)
    (run / "stages.json").unlink()
    found = read(run)
    assert [each.stage for each in found.summaries] == [s["name"] for s in FORMER]
    assert found.teacher.stage == "teacher" and found.gaps == ()
    starts = [before and before.stage for before in map(found.before, found.summaries)]
    assert starts == [None, None, "distill", "prune"]
    assert "since distill: zipped bytes 3.1x smaller" in report.summary(run)
    assert len(curves.pictures(found, "prune")) == 3  # the sparsity is one of them


def test_the_teacher_is_the_first_that_is_declared(make_run):
    run = make_run()
    declared = json.loads((run / "stages.json").read_text())
    declared["distill"]["teacher"] = None
    declared["prune"]["teacher"] = "distill"
    (run / "stages.json").write_text(json.dumps(declared))
    assert read(run).teacher.stage == "distill"
    declared["prune"]["teacher"] = None
    (run / "stages.json").write_text(json.dumps(declared))
    shutil.rmtree(run / "stages/seed0/measure")
    found = read(run)
    assert found.teacher.stage == "teacher"  # the first stage
    assert found.gaps == ()  # without a teacher nobody disagrees with it


def test_rows_alone_make_a_report(make_run):
    run = make_run()
    for name in ("recipe", "environment", "data", "stages"):
        (run / f"{name}.json").unlink()
    shutil.rmtree(run / "stages")
    for text in texts(run):
        assert "recipe.json is missing" in text
        assert "environment.json is missing" in text
        assert "no training history of stage prune, seed 2" in text
        assert "no images on which teacher and student disagree were kept" in text
        assert "98.70 ± 0.20" in text


def test_no_rows_yet(make_run):
    run = make_run()
    (run / "rows.jsonl").write_text("")
    for text in texts(run):
        assert "stage teacher is not finished" in text


def test_a_seed_lacks_a_stage(make_run, put_rows, rows):
    run = make_run()
    measured = rows(["teacher", "distill"], [0, 1]) + rows(["teacher"], [2])
    put_rows(run, measured)
    for text in texts(run):
        assert "stage distill has no row of seed 2" in text
        assert "stage int8 is not finished" in text
        assert "97.10 ± 0.14" in text  # 97.0 and 97.2: 0.2 / sqrt(2)


def test_one_stage_alone(make_run, put_rows, rows):
    run = make_run()
    put_rows(run, rows(["distill"], [0]))
    summary, page, _ = texts(run)
    assert "No row of the teacher" in summary
    assert "No row of the teacher" in page


def test_every_measurement_null(make_run, put_rows, rows):
    run = make_run()
    keys = ("stage", "seed", "net", "data", "split")
    measured = [
        {key: row[key] if key in keys else None for key in row}
        for row in rows(["teacher", "distill", "prune", "int8"], [0, 1])
    ]
    put_rows(run, measured)
    _, page, _ = texts(run)
    assert "Fewer than two files were measured" in page


def test_unreadable_extras(make_run):
    run = make_run()
    (run / "stages/seed1/prune/history.json").write_text("{")
    (run / "stages/seed0/measure/disagreements.npz").write_bytes(b"PK no archive")
    for text in texts(run):
        assert "unreadable training history of stage prune, seed 1" in text
        assert "unreadable images of disagreement of seed 0" in text


def test_diverged_training(make_run):
    run = make_run(seeds=[0])
    path = run / "stages/seed0/prune/history.json"
    columns = json.loads(path.read_text())
    columns["loss"][-1], columns["val_loss"][-1] = float("nan"), None
    path.write_text(json.dumps(columns))
    _, page, _ = texts(run)
    assert "prune: loss by epoch." in page


def test_pickles_are_not_loaded(make_run):
    run = make_run()
    path = run / "stages/seed0/measure/disagreements.npz"
    with np.load(path) as stored:
        arrays = dict(stored)
    np.savez(path, **arrays | {"images": np.array([{}, {}], dtype=object)})
    assert "unreadable images of disagreement of seed 0" in read(run).gaps


def test_full_agreement_is_reported(make_run, put_disagreements):
    run = make_run()
    images = np.zeros((0, 28, 28, 1), np.uint8)
    put_disagreements(run / "stages/seed0/measure", images)
    for text in texts(run):
        assert "teacher and student agree on every test image" in text


def test_disagreements_of_a_later_seed(make_run, put_disagreements):
    run = make_run()
    put_disagreements(run / "stages/seed0/measure", np.zeros((0, 8, 8, 1), np.uint8))
    put_disagreements(run / "stages/seed2/measure", np.zeros((3, 8, 8, 3), np.uint8))
    found = read(run)
    assert (found.disagreements.seed, len(found.disagreements.images)) == (2, 3)
    assert found.gaps == ()


def test_report_needs_neither_keras_nor_tensorflow(make_run):
    run = make_run(seeds=[0])
    code = (
        "import sys; from pathlib import Path; from experiments import report\n"
        "assert 'matplotlib' not in sys.modules\n"
        "report.write(Path(sys.argv[1]))\n"
        "heavy = {'keras', 'tensorflow', 'matplotlib.pyplot'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code, str(run)], check=True)
