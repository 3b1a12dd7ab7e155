"""Which pieces of a run can be done now."""

from pathlib import Path

from experiments.runs.ready import Piece, held_up, ready


def piece(name, *needs, last=False):
    return Piece(name, name, needs, lambda: False, print, Path(name), last)


PIECES = [
    piece("teacher"),
    piece("student"),
    piece("distill", "teacher"),
    piece("measure", "teacher", "student", "distill", last=True),
    piece("other"),
    piece("report", "measure", last=True),
]


def names(pieces):
    return [each.name for each in pieces]


def test_what_needs_nothing_or_only_what_is_finished():
    assert names(ready(PIECES, (), ())) == ["teacher", "student", "other"]
    found = ready(PIECES, {"teacher"}, ())
    assert names(found) == ["student", "distill", "other"]


def test_measurements_come_last():
    found = ready(PIECES, {"teacher", "student", "distill"}, ())
    assert names(found) == ["other", "measure"]


def test_what_failed_is_not_ready_and_holds_up_what_needs_it():
    found = ready(PIECES, {"student"}, {"teacher"})
    assert names(found) == ["other"]
    assert names(held_up(PIECES, {"teacher"})) == ["distill", "measure", "report"]
    assert held_up(PIECES, ()) == []


def test_in_the_end_nothing_is():
    assert ready(PIECES, set(names(PIECES)), ()) == []
