"""How fast candidates learn, by what they know."""

import pytest

from experiments.search.rates import FRESH, KNOWING, learning_rate

BOUNDS = {"chance": 0.1, "reference": 0.9}


@pytest.mark.parametrize(
    ("top1", "rate"),
    [(0.1, FRESH), (0.05, FRESH), (0.9, KNOWING), (0.95, KNOWING), (0.5, 9.5e-4)],
    ids=["nothing", "less than nothing", "all", "more", "half"],
)
def test_the_more_it_knows_the_slower(top1, rate):
    assert learning_rate(top1, **BOUNDS) == pytest.approx(rate)


def test_a_model_that_guesses_has_nothing_to_forget():
    assert learning_rate(0.1, chance=0.1, reference=0.1) == FRESH
