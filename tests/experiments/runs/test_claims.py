"""Claims: each is one process's, the dead lose theirs, and nobody else does."""

import dataclasses
import errno
import os
import subprocess
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.runs.claims import ALONE, WORKER, Claims
from experiments.runs.holder import Holder, parsed, this_process

ELSEWHERE = Holder("far", 1, "another machine", "0")


def left_by(folder, name, holder, *, age=0.0, number=1):
    """A claim as somebody else would have left it, so many seconds ago."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.{number}"
    path.write_text(holder.as_json())
    then = time.time() - age
    os.utime(path, (then, then))
    return path


@pytest.fixture
def claims(tmp_path):
    with Claims(tmp_path / "claims", WORKER) as found:
        yield found


@pytest.fixture(scope="module")
def ended():
    """A process of this machine that is no more."""
    process = subprocess.Popen(["true"])
    process.wait()
    return dataclasses.replace(this_process(), pid=process.pid)


@settings(max_examples=30)
@given(
    threads=st.integers(2, 6),
    dead=st.lists(st.booleans(), min_size=1, max_size=8),
)
def test_each_is_taken_exactly_once(tmp_path_factory, threads, dead):
    """By whoever comes first, also where a dead claim is taken over."""
    folder = tmp_path_factory.mktemp("claims") / "claims"
    for at, was_taken in enumerate(dead):
        if was_taken:
            left_by(folder, f"piece{at}", ELSEWHERE, age=1000)
    taken, together = [], threading.Barrier(threads)

    def take_all():
        with Claims(folder, WORKER) as own:
            together.wait()
            for at in range(len(dead)):
                if own.take(f"piece{at}"):
                    taken.append(at)
            together.wait()  # nobody gives back before all have tried

    workers = [threading.Thread(target=take_all) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(taken) == [*range(len(dead))]


def test_what_is_finished_leaves_nothing(tmp_path):
    folder = tmp_path / "claims"
    with Claims(folder, WORKER) as first:
        assert first.take("a") and not first.take("a")
        first.finish("a")
        assert [p.name for p in folder.iterdir()] == [f"{first.presence}.1"]
    assert not folder.exists()


def test_what_is_given_back_is_free_at_once(claims):
    with Claims(claims.folder, WORKER) as other:
        assert other.take("a") and not claims.take("a")
        other.give_back("a")
        assert claims.take("a")
        assert (claims.folder / "a.2").exists()  # numbers go up until it is finished
        assert claims.living() == {
            "a": this_process(),
            other.presence: this_process(),
        }
    claims.finish("a")
    assert not list(claims.folder.glob("a.*"))


def test_a_process_that_has_ended_here_is_dead_at_once(claims, ended):
    left_by(claims.folder, "a", ended)
    again = dataclasses.replace(this_process(), started="7")  # its number was reused
    left_by(claims.folder, "b", again)
    assert claims.living() == {}
    assert claims.take("a") and claims.take("b")


@pytest.mark.parametrize("holder", [ELSEWHERE, this_process()])
def test_whoever_shows_no_sign_of_life_is_dead(claims, holder):
    left_by(claims.folder, "a", holder, age=0.9 * claims.dead)
    left_by(claims.folder, "b", holder, age=1.1 * claims.dead)
    assert [*claims.living()] == ["a"]
    assert not claims.take("a") and claims.take("b")


def test_the_clock_is_the_file_servers(claims, monkeypatch):
    """Of two machines whose clocks are an hour apart, neither thinks the other dead."""
    left_by(claims.folder, "a", ELSEWHERE)
    an_hour_later = time.time() + 3600
    monkeypatch.setattr(time, "time", lambda: an_hour_later)
    assert [*claims.living()] == ["a"]


def test_a_claim_without_its_text_is_somebodys_until_it_is_old(claims):
    path = claims.folder / "a.1"
    path.touch()  # its maker was killed between making and writing it
    assert claims.living() == {"a": None} and not claims.take("a")
    os.utime(path, (0, 0))
    assert claims.take("a")


def test_it_beats(tmp_path):
    with Claims(tmp_path, WORKER, beat=0.01) as claims:
        assert claims.take("a")
        path = tmp_path / "a.1"
        os.utime(path, (0, 0))
        deadline = time.monotonic() + 10
        while path.stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert path.stat().st_mtime > 0


def test_who_was_thought_dead_is_told(tmp_path, capfd):
    lost = threading.Event()
    with Claims(tmp_path, WORKER, beat=0.01, when_lost=lost.set) as claims:
        assert claims.take("a")
        claims.require("a")
        left_by(tmp_path, "a", ELSEWHERE, number=2)
        assert lost.wait(10)
        with pytest.raises(TimeoutError, match="a was taken over .* life for 300 s"):
            claims.require("a")
    assert "thought this process dead" in capfd.readouterr().err
    assert (tmp_path / "a.2").exists()  # the other one's


def test_who_is_present(tmp_path, ended):
    left_by(tmp_path, "worker-0", ended)
    left_by(tmp_path, "alone-0", ELSEWHERE)
    left_by(tmp_path, "seed0-a", ended)
    with Claims(tmp_path, WORKER) as claims:
        assert claims.present() == claims.present(ALONE) == {"alone-0": ELSEWHERE}
        claims.tidy(finished=["seed0-b"])
        names = {path.stem for path in tmp_path.iterdir()}
        assert names == {"alone-0", "seed0-a", claims.presence}
        claims.tidy()
        assert not (tmp_path / "seed0-a.1").exists()


def test_a_holder_is_what_was_written_or_nobody():
    here = this_process()
    assert parsed(here.as_json()) == here and not here.has_ended
    assert str(here) == f"process {os.getpid()} on {here.host}"
    for text in ("", "7", "[]", "{}", '{"host": 1, "pid": 2, "machine": "", "x": 0}'):
        assert parsed(text) is None
    assert parsed(here.as_json().replace(f": {here.pid}", ': "7"')) is None
    assert not ELSEWHERE.has_ended and not ELSEWHERE.is_of_this_machine


def test_a_full_disk_leaves_no_claim(tmp_path, monkeypatch):
    """An empty one would be taken for that of a process that lives elsewhere."""

    folder, real = tmp_path / "claims", os.fdopen

    def full(handle, *how, **options):
        file = real(handle, *how, **options)
        monkeypatch.setattr(os, "fdopen", real)
        file.close()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fdopen", full)
    with (
        pytest.raises(OSError, match=r"No space left on device: '.*claims"),
        Claims(folder, ALONE),
    ):
        pass
    assert not [*folder.glob("alone*")]
    with Claims(folder, ALONE) as claims:
        assert not claims.present(WORKER)
