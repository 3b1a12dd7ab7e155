"""Sparsity schedules against hand-worked values and tfmot's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compression.pruning import ConstantSparsity, PolynomialDecay


def test_cubic_by_hand():
    schedule = PolynomialDecay(0.8, begin=100, end=300, frequency=1)
    assert schedule(99) == 0.0
    assert schedule(100) == 0.0
    assert schedule(200) == pytest.approx(0.8 - 0.8 * 0.5**3)  # halfway: 0.7
    assert schedule(300) == schedule(10_000) == 0.8


def test_initial_sparsity_and_power_by_hand():
    schedule = PolynomialDecay(
        0.9, begin=0, end=10, initial=0.5, power=1.0, frequency=1
    )
    assert schedule(0) == pytest.approx(0.5)
    assert schedule(5) == pytest.approx(0.7)


def test_changes_only_every_frequency_steps_and_ends_on_time():
    schedule = PolynomialDecay(0.8, begin=5, end=98, frequency=10)
    levels = [schedule(step) for step in range(120)]
    changes = [i for i in range(1, 120) if levels[i] != levels[i - 1]]
    assert changes == [*range(15, 96, 10), 98]


@given(step=st.integers(0, 400), later=st.integers(0, 400))
def test_never_falls_and_stays_in_range(step, later):
    schedule = PolynomialDecay(0.9, begin=37, end=311, initial=0.2, frequency=7)
    assert 0 <= schedule(step) <= schedule(step + later) <= 0.9


def test_agrees_with_tfmot():
    """tfmot's schedule at the steps at which it prunes."""
    tfmot = pytest.importorskip("tensorflow_model_optimization")
    theirs = tfmot.sparsity.keras.PolynomialDecay(0.1, 0.85, 10, 210, 3, frequency=20)
    ours = PolynomialDecay(0.85, begin=10, end=210, initial=0.1, frequency=20)
    for step in range(10, 211, 20):
        due, sparsity = theirs(step)
        assert bool(due)
        assert ours(step) == pytest.approx(float(sparsity), abs=1e-6)


def test_constant():
    schedule = ConstantSparsity(0.6, begin=3)
    assert [schedule(step) for step in (0, 2, 3, 99)] == [0.0, 0.0, 0.6, 0.6]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"final": 1.0}, r"final sparsity must be in \[0, 1\), got 1.0"),
        ({"initial": -0.1}, "initial sparsity must be in"),
        ({"initial": 0.9}, "initial sparsity 0.9 is above the final 0.8"),
        ({"begin": 10}, "end 10 must come after begin 10"),
        ({"begin": -1}, "begin must not be negative, got -1"),
        ({"frequency": 0}, "frequency must be at least 1, got 0"),
        ({"power": 0}, "power must be positive, got 0"),
    ],
)
def test_bad_schedules(options, message):
    with pytest.raises(ValueError, match=message):
        PolynomialDecay(**{"final": 0.8, "begin": 0, "end": 10} | options)
    with pytest.raises(ValueError, match="got 1.5"):
        ConstantSparsity(1.5)
