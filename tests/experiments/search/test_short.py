"""What a short training is tried on next, when an estimate was wrong."""

import pytest

from experiments.search import short
from experiments.search.candidate import ROUND_TO, Candidate
from experiments.search.limits import Cost, Limits
from experiments.search.short import (
    _is_wanting,
    _try_what_just_fits,
    settings_of,
    suggest,
)
from experiments.search.trials import Result, Trials, Tried

NETS = {"saliencies": ("l2",), "sparsities": (0.0,), "nets": ("alexnet_small",)}


@pytest.fixture
def trials(tmp_path):
    return Trials(
        "t",
        tmp_path / "journal.jsonl",
        Limits(bytes=1000),
        0,
        lambda trial: suggest(trial, **NETS),
    )


def next_of(trials):
    cost, result = Cost(900, 1.0, 10), Result(0.5, 1.0, 1)
    tried = trials.step(lambda *_: cost, lambda *_: (result, cost))
    return tried.candidate


@pytest.mark.parametrize(
    ("size", "keep"),
    [(1250, 0.5 * 0.95 / 1.25), (500, 0.95), (100, 1.0)],
    ids=["too large", "much room", "more room than the net fills"],
)
def test_what_just_fits_comes_next(trials, size, keep):
    candidate = Candidate("alexnet_small", width=0.25, keep=0.5, budget="parameters")
    _try_what_just_fits(trials, Tried(0, candidate, Cost(size, 1.0, 10), None))
    found = next_of(trials)
    assert found.keep == pytest.approx(keep) and found.width == 0.25
    assert found.net == "alexnet_small" and found.budget == "parameters"


@pytest.mark.parametrize("size", [900, 5000], ids=["it fits", "far too large"])
def test_or_something_else_does(trials, size):
    candidate = Candidate(keep=0.5)
    _try_what_just_fits(trials, Tried(0, candidate, Cost(size, 1.0, 10), None))
    assert next_of(trials).keep != pytest.approx(0.5 * 0.95 / (size / 1000))


def test_a_candidate_is_asked_for_as_it_is(trials):
    candidate = Candidate(keep=0.3, budget="ram", bits=4, round_to=ROUND_TO)
    trials.add(settings_of(candidate))
    assert next_of(trials) == candidate


def test_after_its_time_a_search_goes_on_until_one_has_fitted(trials, monkeypatch):
    assert _is_wanting(trials)
    far_too_large = Cost(5000, 1.0, 10)
    trials.step(lambda *_: far_too_large, None)
    assert _is_wanting(trials)
    monkeypatch.setattr(short, "LATE", 1)
    assert not _is_wanting(trials)
    monkeypatch.undo()
    next_of(trials)
    assert not _is_wanting(trials)
