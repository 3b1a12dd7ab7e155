import pytest

from experiments.search import clock as clocks
from experiments.search.clock import Clock


def test_time_is_counted_over_resumes(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(clocks.time, "perf_counter", lambda: now[0])
    first = Clock(tmp_path / "clock.json", seconds=60)
    now[0] += 20
    assert first.used == 20 and first.left() == 40 and first.left(0.5) == 10
    first.note()
    now[0] += 1000  # the machine was off
    again = Clock(tmp_path / "clock.json", seconds=60)
    now[0] += 5
    assert again.used == 25 and again.left() == 35


def test_a_damaged_clock_is_named(tmp_path):
    (tmp_path / "clock.json").write_text("{")
    with pytest.raises(ValueError, match=r"clock\.json.*delete it"):
        Clock(tmp_path / "clock.json", seconds=60)
