"""Cuts that are tried first: those that just fit."""

import pytest

import architectures
from compression import measure
from experiments import data as datasets
from experiments.search import proxies
from experiments.search.candidate import ROUND_TO
from experiments.search.clock import Clock
from experiments.search.estimates import Estimates
from experiments.search.limits import Cost, Limits


def test_they_take_nearly_all_that_files_may_take(tmp_path):
    data = datasets.load("digits")
    model = architectures.build("mlp", input_shape=(8, 8, 1), widths=(64, 64))
    whole = Cost(12_000, 1.0, measure.macs(model))
    estimates, limits = Estimates(model, whole), Limits(bytes=7_000)
    clock = Clock(tmp_path / "clock.json", 3600)
    found = list(proxies.just_fitting(model, data, estimates, clock, limits))
    kinds = [(each.budget, each.bits, each.saliency) for each in found]
    assert kinds[:2] == [("parameters", 8, "l2"), ("parameters", 8, "taylor")]
    assert len(set(kinds)) == len(kinds) and {"parameters", "macs"} <= {
        k[0] for k in kinds
    }
    for each in found:
        if each.saliency == "l2" and each.keep < 1:
            net = each.untrained(model, data, repaired=False)
            size = estimates.of(net, each).bytes
            assert 0.85 * 7_000 < size <= proxies.FULL * 7_000, each.words
    halves = [x.keep for x in found if (x.budget, x.saliency) == ("parameters", "l2")]
    assert halves[1] > 1.5 * halves[0]  # of 4 bits twice as many may stay


def test_they_keep_multiples_that_processors_train_fast(tmp_path):
    data = datasets.load("digits")
    model = architectures.build("mlp", input_shape=(8, 8, 1), widths=(60, 30))
    estimates = Estimates(model, Cost(12_000, 1.0, measure.macs(model)))
    clock = Clock(tmp_path / "clock.json", 1e-6)  # for the first budget alone
    limits = Limits(bytes=7_000)
    found = list(proxies.just_fitting(model, data, estimates, clock, limits))
    assert any(each.keep < 1 for each in found)
    for each in found:
        net = each.untrained(model, data, repaired=False)
        first, second, _ = (
            kernel.shape[-1] for kernel in net.weights if kernel.ndim > 1
        )
        assert first % ROUND_TO == 0
        assert second % ROUND_TO == 0 or second == 30, each.words


@pytest.mark.parametrize(
    ("least", "most", "found"),
    [(0.0, 0.5, 0.5), (0.3, 0.5, 0.5), (0.0, 0.01, None), (0.6, 0.5, None)],
    ids=["it can", "not so little", "too much at once", "what it can is too much"],
)
def test_the_largest_that_fits_is_found_where_a_net_cannot_lose_all(least, most, found):
    def fits(keep):
        if keep < least:
            raise ValueError("a net cannot lose so much")
        return keep <= most

    largest = proxies._largest((0.02, 1.0), fits)
    assert largest == (found and pytest.approx(found, rel=0.04))


def test_there_are_none_without_limits_and_few_without_time(tmp_path):
    data = datasets.load("digits")
    model = architectures.build("mlp", input_shape=(8, 8, 1), widths=(64, 64))
    estimates = Estimates(model, Cost(12_000, 1.0, measure.macs(model)))
    clock = Clock(tmp_path / "clock.json", 1e-6)
    for limits, kinds in ((Limits(max_drop=1.0), set()), (Limits(macs=2000), {"macs"})):
        found = proxies.just_fitting(model, data, estimates, clock, limits)
        assert {each.budget for each in found} == kinds


class Slow:
    """Trials, and the clock by which each takes a part of the time that is given."""

    limits = Limits()

    def __init__(self, part):
        self._part, self._tried = part, 0

    def __len__(self):
        return self._tried

    def add(self, settings):
        raise AssertionError(f"no limit on files: {settings} need not fit")

    def step(self, *_):
        self._tried += 1

    def left(self, until):
        return until - self._part * self._tried

    def note(self):
        pass


@pytest.mark.parametrize(
    ("part", "count"),
    [(0.001, 60), (0.01, 15), (0.0145, 12), (0.05, 5), (0.2, 3)],
    ids=["fast", "till its time", "a few at least", "till later", "three at least"],
)
def test_cuts_are_tried_in_their_part_of_the_time(part, count):
    slow = Slow(part)
    proxies.judge(slow, None, None, None, None, slow)
    assert len(slow) == count
