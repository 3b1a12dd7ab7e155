"""How many epochs fit into a time, after trainings that took one."""

import keras
import pytest

from experiments import data as datasets
from experiments.data.augment import Augment
from experiments.search import pace
from experiments.search.pace import STARTING, Pace


@pytest.fixture
def digits_pace(monkeypatch):
    """1,259 train and 179 validation images, of which the net takes 1,000 a second."""
    monkeypatch.setattr(pace, "_seconds_per_image", lambda *_: 1e-3)
    monkeypatch.setattr(pace, "_seconds_to_read", lambda *_: 0.0)
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    return Pace(model, datasets.load("digits"), 64, Augment(pad=1))


EPOCH = 1e-3 * (1259 + 179 / 3)


def test_seconds_and_epochs_by_hand(digits_pace):
    assert digits_pace.seconds(1.0, 10) == pytest.approx(STARTING + 10 * EPOCH)
    assert digits_pace.seconds(0.0, 10) == pytest.approx(STARTING + 2 * EPOCH)
    assert digits_pace.epochs(1.0, STARTING + 7.5 * EPOCH) == 7
    assert digits_pace.epochs(1.0, 1.0) == 1


def test_a_long_training_says_how_fast_steps_are(digits_pace):
    digits_pace.observe(1.0, 100, STARTING + 50 * EPOCH)
    assert digits_pace.epochs(1.0, STARTING + 10.1 * EPOCH) == 20
    digits_pace.observe(1.0, 100, STARTING + 400 * EPOCH)  # 450 for 200
    assert digits_pace.epochs(1.0, STARTING + 10.1 * EPOCH) == 4


def test_a_short_one_says_how_long_starting_takes(digits_pace):
    digits_pace.observe(1.0, 1, 4 * STARTING + EPOCH)
    assert digits_pace.starting == pytest.approx(4 * STARTING)
    assert digits_pace.epochs(1.0, 4 * STARTING + 10.1 * EPOCH) == 10
    digits_pace.observe(1.0, 2, 4 * STARTING + 2 * EPOCH, graphs=2)
    assert digits_pace.starting == pytest.approx(2 * STARTING)
    digits_pace.observe(1.0, 1, 3 * STARTING)  # the least counts
    assert digits_pace.starting == pytest.approx(2 * STARTING)
    digits_pace.observe(1.0, 1, STARTING / 2)
    assert digits_pace.starting == STARTING
    assert digits_pace.epochs(1.0, STARTING + 10.1 * EPOCH) == 10
    digits_pace.observe(1.0, 1, STARTING + 100 * EPOCH)  # but it was not short
    assert digits_pace.epochs(1.0, STARTING + 40.4 * EPOCH) == 2  # 20 times at most
    digits_pace.observe(1.0, 100, STARTING + 200 * EPOCH)  # 300 for 101
    assert digits_pace.epochs(1.0, STARTING + 30.3 * EPOCH) == 10


def test_images_must_be_read(digits_pace):
    digits_pace.to_read = 2e-3
    read = 2e-3 * (1259 + 179)
    found = digits_pace.seconds(0.0, 10)  # which does not shrink with the net
    assert found == pytest.approx(STARTING + 10 * (0.2 * EPOCH + read))


def test_a_net_takes_the_time_that_its_own_step_takes(digits_pace, monkeypatch):
    monkeypatch.setattr(pace, "_seconds_per_image", lambda *_: 0.6e-3)
    share = digits_pace.share(None)
    assert share == pytest.approx(0.5)
    assert digits_pace.seconds(share, 10) == pytest.approx(STARTING + 6 * EPOCH)
    monkeypatch.setattr(pace, "_seconds_per_image", lambda *_: 0.1e-3)
    assert digits_pace.share(None) == 0.0


def test_reading_is_timed():
    found = pace._seconds_to_read(datasets.load("digits"), 64, Augment(pad=1))
    assert found > 0
