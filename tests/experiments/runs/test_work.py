"""Processes that share pieces: of threads, and of real ones that are killed."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from experiments.runs import failures
from experiments.runs.claims import WORKER, Claims
from experiments.runs.ready import Piece
from experiments.runs.work import work

ROOT = Path(__file__).resolve().parents[3]
QUICK = {"poll": 0.02, "say": lambda line: None}


class Fake:
    """Pieces of a run that leave a file each, and note what they do."""

    def __init__(self, folder):
        self.folder, self.ran, self.failing = folder, [], {}

    def piece(self, name, *needs):
        done = self.folder / name

        def run(require):
            if error := self.failing.get(name):
                raise error
            self.ran.append(name)
            require()
            done.touch()

        return Piece(name, name, needs, done.exists, run, self.folder / f"{name}.error")

    def pieces(self):
        return [
            self.piece("a"),
            self.piece("b", "a"),
            self.piece("c"),
            self.piece("d", "b", "c"),
        ]

    def work(self, **options):
        with Claims(self.folder / "claims", WORKER) as claims:
            return work(self.pieces(), claims, **QUICK | options)


@pytest.fixture
def fake(tmp_path):
    return Fake(tmp_path)


def test_one_process_does_all_and_then_nothing(fake):
    lines = []
    found = fake.work()
    assert fake.ran == found.done == ["a", "b", "c", "d"]
    assert found.finished == {"a", "b", "c", "d"}
    assert not found.failed and not found.held_up
    assert fake.work(say=lines.append).done == []
    assert lines == [f"{name}: finished before" for name in "abcd"]
    assert not (fake.folder / "claims").exists()


def test_many_do_each_piece_once(fake):
    workers = [threading.Thread(target=fake.work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(fake.ran) == ["a", "b", "c", "d"]


def test_what_fails_is_kept_and_left_alone_until_somebody_comes_later(fake):
    fake.failing = {"a": ValueError("no such\nnet")}
    lines = []
    found = fake.work(say=lines.append)
    assert fake.ran == ["c"] and found.held_up == ["b", "d"]
    assert lines == ["a has failed: no such net"]
    kept = failures.kept(fake.folder / "a.error")
    assert found.failed == {"a": kept} and kept["error"] == "no such net"
    assert kept["by"].startswith(f"process {os.getpid()} on ")
    assert "ValueError: no such\nnet\n" in kept["trace"]
    fake.failing = {}
    again = fake.work()
    assert again.done == ["a", "b", "d"] and not again.failed
    assert not (fake.folder / "a.error").exists()


def test_others_do_not_try_again_what_fails_meanwhile(fake):
    """They were at work when it failed."""
    fake.failing = {"a": ValueError("no")}
    with Claims(fake.folder / "claims", WORKER) as other:
        assert other.take("a")
        waiting, found = threading.Event(), []

        def say(line):
            if "waiting" in line:
                waiting.set()

        worker = threading.Thread(target=lambda: found.append(fake.work(say=say)))
        worker.start()
        assert waiting.wait(10)
        failures.keep(fake.folder / "a.error", ValueError("elsewhere"))
        other.give_back("a")
        worker.join()
    assert found[0].failed["a"]["error"] == "elsewhere"
    assert found[0].done == ["c"] and found[0].held_up == ["b", "d"]


@pytest.mark.parametrize("error", [OSError(28, "disk is full"), MemoryError()])
def test_a_machine_that_cannot_does_no_more(fake, error):
    fake.failing = {"a": error}
    with pytest.raises(type(error)):
        fake.work()
    assert fake.ran == [] and failures.kept(fake.folder / "a.error")
    assert (fake.folder / "claims/a.1").stat().st_mtime == 0  # given back


def test_an_interruption_is_no_failure(fake):
    fake.failing = {"a": KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        fake.work()
    fake.failing = {"a": TimeoutError("taken over")}
    with pytest.raises(TimeoutError):
        fake.work()
    assert failures.kept(fake.folder / "a.error") is None
    fake.failing = {}
    assert fake.work().finished == {"a", "b", "c", "d"}


def test_without_waiting_it_ends_where_others_are_at_work(fake):
    lines = []
    with Claims(fake.folder / "claims", WORKER) as other:
        other.take("a")
        found = fake.work(wait=False, say=lines.append)
    assert found.done == ["c"] and found.finished == {"c"}
    assert lines == [f"nothing else is ready; others are at a (process {os.getpid()} "
                     f"on {os.uname().nodename})"]  # fmt: skip


def test_it_takes_over_from_whoever_dies_while_it_waits(fake):
    other = Claims(fake.folder / "claims", WORKER)
    with other:
        other.take("a")
        worker = threading.Thread(target=fake.work)
        worker.start()
        time.sleep(0.1)
        os.utime(fake.folder / "claims/a.1", (0, 0))  # as if it had not beaten
        worker.join(10)
        assert not worker.is_alive() and "a" in fake.ran


LIGHT = """
import json, os, sys, time
from pathlib import Path
from experiments.runs.claims import WORKER, Claims
from experiments.runs.ready import Piece
from experiments.runs.work import work

EPOCHS = 6
folder = Path(sys.argv[1])

def note(*words):
    with open(folder / "log", "a") as log:
        log.write(json.dumps(words) + "\\n")

def piece(name, *needs):
    done, checkpoint = folder / name, folder / f"{name}.checkpoint"
    def run(require):
        epochs = int(checkpoint.read_text()) if checkpoint.exists() else 0
        for epoch in range(epochs, EPOCHS):
            note("epoch", name, epoch)
            time.sleep(0.03)
            beside = folder / f"{name}.{os.getpid()}"
            beside.write_text(str(epoch + 1))
            beside.rename(checkpoint)
        require()
        note("finished", name)
        checkpoint.rename(done)
    return Piece(name, name, needs, done.exists, run, folder / f"{name}.error")

pieces = [p for seed in "012" for p in (
    piece(f"teacher{seed}"), piece(f"student{seed}"),
    piece(f"distill{seed}", f"teacher{seed}"), piece(f"int8{seed}", f"distill{seed}"))]
with Claims(folder / "claims", WORKER, beat=0.2, dead=3) as claims:
    found = work(pieces, claims, poll=0.05, say=lambda line: None)
    claims.tidy(found.finished)
assert len(found.finished) == len(pieces) and not found.failed
"""


def test_four_processes_that_are_killed_do_each_piece_once(tmp_path):
    """A kill costs at most the epoch in which it came."""

    def start():
        command = [sys.executable, "-c", LIGHT, str(tmp_path)]
        return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT)})

    chance, kills = random.Random(0), 0
    workers = [start() for _ in range(4)]
    while kills < 5 and any(worker.poll() is None for worker in workers):
        time.sleep(chance.uniform(0.3, 0.6))
        at = chance.randrange(4)
        if workers[at].poll() is None:
            workers[at].send_signal(signal.SIGKILL)
            workers[at].wait()
            workers[at] = start()
            kills += 1
    assert [worker.wait(60) for worker in workers] == [0] * 4 and kills
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    epochs = [tuple(line) for line in lines if line[0] == "epoch"]
    assert len(set(epochs)) == 12 * 6 <= len(epochs) <= 12 * 6 + kills
    finished = [line[1] for line in lines if line[0] == "finished"]
    assert len(set(finished)) == 12 <= len(finished) <= 12 + kills
    assert not (tmp_path / "claims").exists()
