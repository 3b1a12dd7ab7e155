"""How many epochs fit into a time, after trainings that took one."""

import keras
import pytest

from experiments import data as datasets
from experiments.search import pace
from experiments.search.pace import STARTING, Pace


@pytest.fixture
def digits_pace(monkeypatch):
    """1,259 train and 179 validation images, of which the net takes 1,000 a second."""
    monkeypatch.setattr(pace, "_seconds_per_image", lambda *_: 1e-3)
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    return Pace(model, datasets.load("digits"), 64)


EPOCH = 1e-3 * (1259 + 179 / 3)


def test_seconds_and_epochs_by_hand(digits_pace):
    assert digits_pace.seconds(1.0, 10) == pytest.approx(STARTING + 10 * EPOCH)
    assert digits_pace.seconds(0.0, 10) == pytest.approx(STARTING + 2 * EPOCH)
    assert digits_pace.epochs(1.0, STARTING + 7.5 * EPOCH) == 7
    assert digits_pace.epochs(1.0, 1.0) == 1


def test_a_long_training_says_how_fast_steps_are(digits_pace):
    digits_pace.observe(1.0, 100, STARTING + 50 * EPOCH)
    assert digits_pace.epochs(1.0, STARTING + 10.1 * EPOCH) == 20
    digits_pace.observe(1.0, 100, STARTING + 400 * EPOCH)
    assert digits_pace.epochs(1.0, STARTING + 10.1 * EPOCH) == 2


def test_a_short_one_never_says_that_they_are_faster(digits_pace):
    digits_pace.observe(1.0, 1, STARTING / 2)
    assert digits_pace.epochs(1.0, STARTING + 10.1 * EPOCH) == 10
    digits_pace.observe(1.0, 1, STARTING + 5 * EPOCH)
    assert digits_pace.epochs(1.0, STARTING + 10.1 * EPOCH) == 2
