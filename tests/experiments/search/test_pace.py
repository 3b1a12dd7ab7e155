"""How many epochs fit into a time, after trainings that took one."""

import keras
import pytest

from experiments import data as datasets
from experiments.data.augment import Augment
from experiments.search import pace
from experiments.search.lessons import Lessons
from experiments.search.pace import STARTING, Pace
from experiments.stages.teaching import Teaching


@pytest.fixture
def digits_pace(monkeypatch):
    """1,259 train and 179 validation images, of which the net takes 1,000 a second."""
    monkeypatch.setattr(pace, "_seconds_per_image", lambda *_: 1e-3)
    monkeypatch.setattr(pace, "_seconds_to_read", lambda *_: 0.0)
    monkeypatch.setattr(pace, "seconds_to_answer", lambda *_: 0.0)
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    return Pace(model, datasets.load("digits"), 64, Augment(pad=1))


EPOCH = 1e-3 * (1259 + 179 / 3)


def test_epochs_by_hand(digits_pace):
    assert digits_pace.epoch(1.0) == pytest.approx(EPOCH)
    assert digits_pace.epoch(0.0) == pytest.approx(0.2 * EPOCH)
    assert digits_pace.epochs(1.0, STARTING + 7.5 * EPOCH) == 7
    assert digits_pace.epochs(1.0, 3 * STARTING + 7.5 * EPOCH, starts=3) == 7
    assert digits_pace.epochs(1.0, 1.0) == 1


def test_a_long_training_says_how_fast_steps_are(digits_pace):
    digits_pace.observe(1.0, 100, STARTING + 50 * EPOCH)
    assert digits_pace.epochs(1.0, STARTING + 10.1 * EPOCH) == 20
    digits_pace.observe(1.0, 100, STARTING + 400 * EPOCH)  # 450 for 200
    assert digits_pace.epochs(1.0, STARTING + 10.1 * EPOCH) == 4


def test_each_training_of_several_starts(digits_pace):
    digits_pace.observe(1.0, 100, 3 * STARTING + 50 * EPOCH, starts=3)
    assert digits_pace.epochs(1.0, STARTING + 10.1 * EPOCH) == 20


def test_a_short_one_says_how_long_starting_takes(digits_pace):
    digits_pace.observe(1.0, 1, 4 * STARTING + EPOCH)
    assert digits_pace.starting == pytest.approx(4 * STARTING)
    assert digits_pace.epochs(1.0, 4 * STARTING + 10.1 * EPOCH) == 10
    digits_pace.observe(1.0, 2, 4 * STARTING + 2 * EPOCH, starts=2)
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
    read = 2e-3 * (1259 + 179)  # which does not shrink with the net
    assert digits_pace.epoch(0.0) == pytest.approx(0.2 * EPOCH + read)


def test_a_net_takes_the_time_that_its_own_step_takes(digits_pace, monkeypatch):
    monkeypatch.setattr(pace, "_seconds_per_image", lambda *_: 0.6e-3)
    share = digits_pace.share(None)
    assert share == pytest.approx(0.5)
    assert digits_pace.epoch(share) == pytest.approx(0.6 * EPOCH)
    monkeypatch.setattr(pace, "_seconds_per_image", lambda *_: 0.1e-3)
    assert digits_pace.epoch(digits_pace.share(None)) == pytest.approx(0.1 * EPOCH)
    share = digits_pace.share(None, times=3.0)
    assert digits_pace.epoch(share) == pytest.approx(0.3 * EPOCH)


def test_the_teacher_speaks_once(digits_pace):
    digits_pace.to_answer = 1e-3
    teaching = 1e-3 * (4 * 1259 + 179)
    assert digits_pace.teaching(Lessons()) == pytest.approx(teaching)
    some = Lessons(train_images=500, views=1)
    assert digits_pace.teaching(some) == pytest.approx(500 / 1259 * 1e-3 * (1259 + 179))
    assert digits_pace.epochs(1.0, STARTING + teaching + 7.5 * EPOCH) == 7
    digits_pace.observe(1.0, 100, STARTING + teaching + 50 * EPOCH)
    assert digits_pace.teaching(Lessons()) == 0 < digits_pace.teaching(some)
    assert digits_pace.epochs(1.0, STARTING + 10.1 * EPOCH) == 20


def test_where_there_is_time_all_images_are_learned_from(digits_pace):
    digits_pace.per_image = 0.1
    epoch = 100 * EPOCH
    assert digits_pace.lessons(1.0, STARTING + 4.1 * epoch) == Lessons()
    assert digits_pace.lessons(1.0, STARTING + 3.9 * epoch) == Lessons(views=2)
    assert digits_pace.lessons(1.0, STARTING + 1.01 * epoch) == Lessons(views=1)
    how = {"passes": 2.5, "starts": 2}
    assert digits_pace.lessons(1.0, 2 * STARTING + 2.6 * epoch, **how).views == 1
    assert digits_pace.lessons(1.0, 2 * STARTING + 10.1 * epoch, **how) == Lessons()


@pytest.mark.parametrize(("passes", "starts"), [(1.0, 1), (2.5, 2)])
def test_else_as_many_as_are_seen_once(digits_pace, passes, starts):
    digits_pace.per_image, digits_pace.to_answer = 0.1, 0.03
    how = {"passes": passes, "starts": starts}
    once = digits_pace.teaching(Lessons(views=1)) + passes * 100 * EPOCH
    seconds = starts * STARTING + once * 600.5 / 1259
    lessons = digits_pace.lessons(1.0, seconds, **how)
    assert lessons == Lessons(train_images=600, views=1)
    needed = digits_pace.teaching(lessons) + passes * digits_pace.epoch(1.0, lessons)
    assert needed == pytest.approx(600 / 1259 * once)
    assert digits_pace.lessons(1.0, 0.0, **how) == Lessons(512, views=1)


def test_what_the_teacher_has_said_is_learned_again(digits_pace):
    digits_pace.per_image, digits_pace.to_answer = 0.1, 0.1
    seconds = STARTING + 100 * EPOCH * 1200 / 1259  # of which it would teach for half
    assert digits_pace.lessons(1.0, seconds).train_images == 574
    for count in (500, 1150, 1210):
        digits_pace.hear(Lessons(count, views=1))
    assert digits_pace.lessons(1.0, seconds) == Lessons(1150, views=1)


def test_what_would_only_start_is_not_worth_it(digits_pace):
    assert digits_pace.mostly_starts(3 * STARTING, 3)
    assert digits_pace.mostly_starts(4.4 * STARTING, 3)
    assert not digits_pace.mostly_starts(4.6 * STARTING, 3)
    digits_pace.observe(1.0, 1, 2 * STARTING + EPOCH)
    assert digits_pace.mostly_starts(7.4 * STARTING, 3)
    assert not digits_pace.mostly_starts(7.6 * STARTING, 3)


def test_what_is_cut_starts_as_late_as_the_model(digits_pace):
    digits_pace.building = 4 * STARTING
    assert digits_pace.starts(2, given=True) == 8 * STARTING
    assert digits_pace.starts(2, given=False) == 2 * STARTING


def test_what_is_soon_learned_is_learned_whole(digits_pace):
    assert EPOCH < STARTING
    assert digits_pace.lessons(1.0, 0.0) == Lessons()


def test_what_the_images_are(tmp_path):
    data = datasets.load("digits")
    assert Lessons().images_of(data) is data
    assert Lessons(600, 1).images_of(data).train.size == 600
    assert Lessons(600, 1).taught(Teaching("model")).views == 1
    Lessons(600, 1).write(tmp_path / "lessons.json")
    assert Lessons.read(tmp_path / "lessons.json") == Lessons(600, 1)
    (tmp_path / "lessons.json").write_text('{"train_images": "all", "views": 1}')
    with pytest.raises(ValueError, match=r"lessons.json: train_images must .* remove"):
        Lessons.read(tmp_path / "lessons.json")


def test_answers_are_timed():
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    assert pace.seconds_to_answer(model, datasets.load("digits")) > 0


def test_reading_is_timed():
    found = pace._seconds_to_read(datasets.load("digits"), 64, Augment(pad=1))
    assert found > 0
