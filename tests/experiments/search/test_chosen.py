from pathlib import Path

import pytest

from experiments.search.candidate import Candidate
from experiments.search.chosen import best_file, next_steps, to_train
from experiments.search.files import Written
from experiments.search.limits import Cost, Limits
from experiments.search.trials import Result, Tried

REFERENCE = 0.95


def file(size, top1, keep=0.5):
    cost = Cost(size, 1.0, 10)
    return Written("full", Path("x"), Candidate(keep=keep), cost, top1)


def tried(number, size, top1):
    result = None if top1 is None else Result(top1, 0.1, epochs=1)
    return Tried(number, Candidate(keep=0.5), Cost(size, 1.0, 10), result)


FILES = [file(100, 0.80), file(200, 0.94), file(300, 0.949), file(400, 0.96)]


def test_with_a_limit_the_most_accurate_that_fits():
    assert best_file(FILES, Limits(bytes=350), REFERENCE).file is FILES[2]


def test_with_a_drop_the_smallest_that_keeps_it():
    assert best_file(FILES, Limits(max_drop=1.0), REFERENCE).file is FILES[1]
    assert best_file(FILES, Limits(max_drop=0.2), REFERENCE).file is FILES[2]


def test_both_hold_together():
    limits = Limits(bytes=250, max_drop=1.0)
    assert best_file(FILES, limits, REFERENCE).file is FILES[1]


def test_a_limit_that_nothing_meets_names_the_nearest():
    with pytest.raises(ValueError, match=r"takes 100 bytes, 2\.00 of the 50"):
        best_file(FILES, Limits(bytes=50), REFERENCE)


def test_a_drop_that_nothing_keeps_names_the_best():
    with pytest.raises(ValueError, match=r"has 80\.00% and takes 100 bytes"):
        best_file(FILES, Limits(bytes=150, max_drop=0.5), REFERENCE)


def test_what_more_and_less_would_cost():
    better, smaller = next_steps(FILES, FILES[1], Limits())
    assert "+0.90 points for +100 bytes" in better
    assert "-14.00 points for -100 bytes" in smaller
    worse_and_larger = file(500, 0.5)
    assert next_steps([*FILES, worse_and_larger], FILES[3], Limits())[0].startswith(
        "the next smaller"
    )


def test_where_zipped_bytes_are_limited_steps_are_in_those():
    sizes = ((100, 0.80), (200, 0.90), (300, 0.95))
    files = [
        Written("full", Path("x"), Candidate(), Cost(500, 1.0, 10, None, zipped), top1)
        for zipped, top1 in sizes  # all of 500 bytes: zeros only zip to less
    ]
    limits = Limits(bytes_zipped=250)
    better, smaller = next_steps(files, files[1], limits)
    assert "+5.00 points for +100 bytes zipped" in better
    assert "-10.00 points for -100 bytes zipped" in smaller
    with pytest.raises(ValueError, match="and takes 200 bytes zipped"):
        best_file(files, Limits(bytes_zipped=250, max_drop=0), REFERENCE)


def test_a_limit_has_the_most_accurate_trained_in_full():
    some = [tried(0, 90, 0.90), tried(1, 80, 0.93), tried(2, 70, None)]
    assert to_train(some, Limits(bytes=100), REFERENCE) is some[1]


def test_a_drop_has_the_smallest_trained_that_may_keep_it():
    # A full training is expected to make up for half of what is lacking.
    some = [tried(0, 90, 0.945), tried(1, 80, 0.935), tried(2, 70, 0.90)]
    assert to_train(some, Limits(max_drop=0.8), REFERENCE) is some[1]
    assert to_train(some, Limits(max_drop=0.1), REFERENCE) is some[0]


def test_nothing_was_tried():
    assert to_train([tried(0, 90, None)], Limits(bytes=80), REFERENCE) is None
