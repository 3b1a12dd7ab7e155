"""Whole small runs that processes share: rows equal those of a run by itself."""

import dataclasses
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments.data.augment import Augment
from experiments.recipe import Recipe
from experiments.runs import failures, pieces, stage_run
from experiments.runs.alone import alone, among
from experiments.runs.claims import Claims
from experiments.runs.holder import Holder, parsed
from experiments.runs.layout import RunFolder
from experiments.runs.prepared import prepare
from experiments.runs.run import run
from experiments.runs.share import take_part
from experiments.stages.base import Export
from experiments.stages.distill import Distill
from experiments.stages.net import Net
from experiments.stages.quantize import Quantize
from experiments.stages.teaching import Teaching
from experiments.stages.train import Train
from experiments.stages.training_stage import TrainingStage
from experiments.training.progress import Progress
from experiments.training.settings import Training

pytestmark = pytest.mark.usefixtures("eagerly", "no_board")

ROOT = Path(__file__).resolve().parents[3]
LITERT = (Export("litert"),)
SHORT = Training(epochs=2, batch_size=400, learning_rate=3e-3)
RECIPE = Recipe(
    name="small",
    data="digits",
    augment=Augment(pad=2),
    stages=(
        Train("teacher", Net("mlp", {"widths": (24,)}), SHORT, exports=(), once=True),
        Train("student", Net("mlp", {"widths": (8,)}), SHORT, exports=LITERT),
        Distill(
            "distill",
            Net("mlp", {"widths": (8,), "dropout": 0.1}),
            SHORT,
            Teaching("teacher", views=2),
            exports=(),
        ),
        Quantize("int8", "distill", exports=(Export("litert", "int8"),)),
    ),
)
SEEDS = (0, 1)
LONGER = dataclasses.replace(
    RECIPE,
    stages=tuple(
        dataclasses.replace(stage, training=dataclasses.replace(SHORT, epochs=25))
        if isinstance(stage, TrainingStage)
        else stage
        for stage in RECIPE.stages
    ),
)
NAMES = [
    *("once-teacher", "seed0-student", "seed0-distill", "seed0-int8"),
    *("seed0-measure", "seed1-student", "seed1-distill", "seed1-int8"),
    "seed1-measure",
]
MEASURED = ["seed0-measure", "seed1-measure"]  # with which all rows are there
CHANGES_EVERY_TIME = {
    *("latency_ms", "latency_low_ms", "latency_high_ms", "seconds"),
    *("images_per_second", "teacher_cache"),
}


def lasting(value):
    """Rows without their timings."""
    if isinstance(value, dict):
        return {k: lasting(v) for k, v in value.items() if k not in CHANGES_EVERY_TIME}
    return [lasting(v) for v in value] if isinstance(value, list) else value


def rows_of(out):
    return lasting(RunFolder(out).read_rows())


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    return run(RECIPE, tmp_path_factory.mktemp("runs") / "serial", seeds=SEEDS)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Prepared by one process, and done by another that knows the folder alone."""
    out = tmp_path_factory.mktemp("runs") / "shared"
    prepare(RECIPE, out, seeds=SEEDS, command="limbeck demo --seeds 2")
    return out, take_part(out)


@pytest.mark.slow
def test_rows_are_those_of_a_run_by_itself(serial, shared):
    out, found = shared
    assert found.finished == {*NAMES, "report"} and not found.failed
    assert found.done == [n for n in NAMES if n not in MEASURED] + MEASURED
    assert rows_of(out) == rows_of(serial)
    command = RunFolder(out).read_environment()["command"]
    assert command == "limbeck demo --seeds 2"
    left = {path.name for path in out.iterdir()}
    assert left == {path.name for path in serial.iterdir()}
    assert "claims" not in left and not list(out.rglob("*.error.json"))


@pytest.mark.slow
def test_a_finished_run_is_only_looked_at(shared, capsys):
    out, _ = shared
    before = {path: path.stat().st_mtime_ns for path in out.rglob("model.*")}
    assert take_part(out).done == []
    assert {path: path.stat().st_mtime_ns for path in before} == before
    printed = capsys.readouterr().out
    assert printed.count("finished before") == len(NAMES) + 1  # and the rows
    run(RECIPE, out, seeds=SEEDS)  # and by itself likewise


@pytest.mark.slow
def test_the_report_is_written_when_there_are_other_rows(shared):
    out, _ = shared
    folder, written = RunFolder(out), []

    def report():
        written.append(folder.read_rows())
        folder.page.touch()

    assert take_part(out, report=report).done == ["report"]
    assert take_part(out, report=report).done == [] and len(written) == 1
    folder.rows.write_text("")  # as a killed process may leave it
    assert take_part(out, report=report).done == ["report"]
    assert written[0] == written[1]


def test_a_stage_that_fails_holds_up_what_needs_it_alone(tmp_path, monkeypatch, capsys):
    student = dataclasses.replace(RECIPE.stages[1], name="other", exports=())
    stages = (RECIPE.stages[0], student)
    recipe = dataclasses.replace(RECIPE, stages=stages)
    prepare(recipe, tmp_path)
    run_stage = pieces.run_stage

    def failing(this, stage, seed, require):
        if stage.name == "other":
            raise RuntimeError("out of\nluck")
        run_stage(this, stage, seed, require)

    with monkeypatch.context() as patch:
        patch.setattr(pieces, "run_stage", failing)
        found = take_part(tmp_path)
    assert found.done == ["once-teacher"]
    assert found.held_up == ["seed0-measure", "report"]
    assert found.failed["seed0-other"]["error"] == "out of luck"
    assert "[seed 0] other has failed: out of luck" in capsys.readouterr().out
    error = RunFolder(tmp_path).stage("other", 0).error
    assert failures.kept(error) == found.failed["seed0-other"]
    assert take_part(tmp_path).done == ["seed0-other", "report"]  # nothing is measured
    assert not error.exists() and RunFolder(tmp_path).read_rows() == []


def test_what_a_folder_has(tmp_path):
    folder = RunFolder(tmp_path / "run")
    home = folder.stage("teacher", 0).path
    assert not folder.has(home)
    home.mkdir(parents=True)
    assert folder.has(home) and folder.has(home.parent)
    assert not folder.has(folder.stage("student", 0).path)


def test_alone_or_among_others(tmp_path):
    folder = RunFolder(tmp_path)
    pid = rf"running in .* \(process {os.getpid()} on "
    with among(folder), among(folder) as claims:
        assert len(claims.present()) == 1
        with pytest.raises(BlockingIOError, match=pid), alone(folder):
            pass
    with alone(folder), pytest.raises(BlockingIOError, match=pid), among(folder):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


@pytest.mark.parametrize(
    ("kind", "age", "is_free"),
    [("alone", 0, False), ("worker", 0, False), ("worker", 1000, True)],
)
def test_a_process_of_another_machine_is_respected(tmp_path, kind, age, is_free):
    """No lock of a file is seen from there."""
    folder = RunFolder(tmp_path)
    folder.claims.mkdir()
    path = folder.claims / f"{kind}-1.1"
    path.write_text(Holder("far", 7, "another machine", "0").as_json())
    os.utime(path, (time.time() - age,) * 2)
    if is_free:
        with alone(folder):
            assert not path.exists()
        return
    with pytest.raises(BlockingIOError, match="process 7 on far"), alone(folder):
        pass
    if kind == "alone":
        with pytest.raises(BlockingIOError, match="on far"), among(folder):
            pass
    else:
        with among(folder) as claims:
            assert isinstance(claims, Claims)


def test_a_stage_that_others_have_taken_over_is_not_put_in_its_place(
    tmp_path, monkeypatch
):
    recipe = dataclasses.replace(RECIPE, stages=RECIPE.stages[:1])
    out = prepare(recipe, tmp_path)

    class Lost(Claims):
        def require(self, name):
            raise TimeoutError(f"{name} was taken over")

    monkeypatch.setattr("experiments.runs.alone.Claims", Lost)
    with pytest.raises(TimeoutError, match="once-teacher was taken over"):
        take_part(out)
    assert not RunFolder(out).stage("teacher", 0, once=True).path.exists()
    monkeypatch.undo()
    assert "once-teacher" in take_part(out).done


def test_killed_when_it_was_all_but_finished_it_trains_no_more(tmp_path, monkeypatch):
    recipe = dataclasses.replace(RECIPE, stages=RECIPE.stages[:1])
    prepare(recipe, tmp_path)
    home = RunFolder(tmp_path).stage("teacher", 0, once=True)

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stage_run, "put_in_place", killed)
        with pytest.raises(KeyboardInterrupt):
            take_part(tmp_path)
    assert not home.path.exists()
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "on_epoch_end", killed)
        patch.setattr(Progress, "on_train_batch_end", killed)
        assert "once-teacher" in take_part(tmp_path).done
    assert home.model.is_file() and not home.only_while_unfinished()
    home.begun.touch()
    home.checkpoint().touch()  # killed between taking its place and removing these
    run(recipe, tmp_path)
    assert not home.only_while_unfinished()


def test_nothing_is_to_be_taken_part_in(tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a run folder; --prepare makes"):
        take_part(tmp_path)
    prepare(RECIPE, tmp_path)
    with pytest.raises(ValueError, match="no stage called 'studnet'.*mean student"):
        take_part(tmp_path, stages=["studnet"])


WHOLE = """
import sys
from tests.experiments.runs.test_share import LONGER, SEEDS
from experiments.runs.prepared import prepare
from experiments.runs.run import run
run(LONGER, sys.argv[1], seeds=SEEDS)
prepare(LONGER, sys.argv[2], seeds=SEEDS)
"""


@pytest.mark.slow
def test_four_processes_that_are_killed_at_work(tmp_path):
    """SIGKILL in a stage, again and again: rows are those of a run left alone."""
    whole, out = tmp_path / "whole", tmp_path / "shared"
    own = {"PYTHONPATH": str(ROOT), "LIMBECK_CACHE": str(tmp_path / "teachers")}

    def start(*words):
        return subprocess.Popen(
            [sys.executable, *map(str, words)],
            cwd=ROOT,
            env=os.environ | own,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def at_work():
        """The claims on pieces, and who holds them."""
        found = {path: parsed(path.read_text()) for path in out.glob("claims/*-*.*")}
        return {
            path.stem: holder.pid
            for path, holder in found.items()
            if holder and not path.name.startswith("worker-")
        }

    process = start("-c", WHOLE, whole, out)
    printed = [process.communicate()[0]]
    assert process.returncode == 0, printed
    work = ("-m", "experiments.cli", "work", out)
    workers = [start(*work) for _ in range(4)]
    chance, killed = random.Random(0), []
    while len(killed) < 6 and any(worker.poll() is None for worker in workers):
        time.sleep(chance.uniform(0.5, 3))
        holders = {pid: name for name, pid in at_work().items()}
        for at, worker in enumerate(workers):
            if worker.pid in holders and worker.poll() is None:
                worker.send_signal(signal.SIGKILL)
                printed.append(worker.communicate()[0])
                workers[at] = start(*work)
                killed.append(holders[worker.pid])
                break
    printed += [worker.communicate(timeout=900)[0] for worker in workers]
    print(f"killed at {killed}")
    assert [worker.returncode for worker in workers] == [0] * 4, printed
    assert len(killed) > 2 and rows_of(out) == rows_of(whole)
    assert (out / "report.html").exists()
    assert not list(out.rglob("*.partial")) and not (out / "claims").exists()
    ends = "".join(printed[1:]).count("  done in ")
    assert 7 <= ends <= 7 + len(killed)
