"""For how long a candidate is trained in full, with much time and with little."""

import keras
import pytest
from keras import layers

from experiments import data as datasets
from experiments.data.augment import Augment
from experiments.runs.layout import SearchFolder
from experiments.search import pace, plan, short
from experiments.search.candidate import GIVEN, Candidate
from experiments.search.clock import Clock
from experiments.search.limits import Cost
from experiments.search.pace import STARTING, Pace
from experiments.search.plan import NOTHING, Planner
from experiments.search.trials import Result, Tried
from experiments.stages.distill import Distill
from experiments.stages.file import File
from experiments.stages.prune import Prune
from experiments.stages.teaching import Teaching
from experiments.training.settings import Training

MACS = 10 * 64
TRIED = Tried(3, Candidate(), Cost(900, 1.0, MACS), Result(0.5, 1.0, 1))
EPOCH = 0.1 * (1259 + 179 / 3)  # seconds
GOING_ON = 3 * STARTING + 2.5 * EPOCH  # and to go through all once more


@pytest.fixture
def planner(tmp_path, monkeypatch):
    """1,259 train and 179 validation images, of which a net takes 10 a second."""
    monkeypatch.setattr(pace, "_seconds_per_image", lambda *_: 0.1)
    monkeypatch.setattr(pace, "_seconds_to_read", lambda *_: 0.0)
    monkeypatch.setattr(pace, "seconds_to_answer", lambda *_: 0.0)
    monkeypatch.setattr(plan, "UNTIL", 1.0)
    image = keras.Input((8, 8, 1))
    model = keras.Model(image, layers.Dense(10)(layers.Flatten()(image)))
    data = datasets.load("digits")

    def of(seconds):
        clock = Clock(tmp_path / "clock.json", seconds + 5)  # which tests do not need
        its_pace = Pace(model, data, 64, Augment(pad=1))
        folder = SearchFolder(tmp_path)
        return Planner(model, data, 359, folder, clock, its_pace, writing=0.0)

    return of


@pytest.fixture
def kept(tmp_path):
    path = short.kept(SearchFolder(tmp_path), TRIED.number)
    path.parent.mkdir(parents=True)
    path.touch()


def test_with_time_a_training_begins_anew(planner, kept, capsys):
    found = planner(100 * EPOCH).plan(TRIED, starts=1)
    assert "trial" not in found and 60 < found["epochs"] < 80
    assert found["lessons"] == {"train_images": None, "views": 4}
    assert (
        f"a full training of {found['epochs']} epochs: the m" in capsys.readouterr()[0]
    )


def test_with_little_it_goes_on_from_the_short_one(planner, kept, capsys):
    found = planner(GOING_ON + 2 * EPOCH).plan(TRIED, starts=1)
    assert found["trial"] == TRIED.number and found["epochs"] < plan.FEW
    printed = capsys.readouterr().out
    assert "after its short one: the model whole" in printed
    assert "epochs fit into the time left, which are few" in printed


def test_of_fewer_images_too(planner, kept):
    found = planner(GOING_ON - EPOCH).plan(TRIED, starts=1)
    assert found["trial"] == TRIED.number
    assert 512 <= found["lessons"]["train_images"] < 1259


def test_where_another_machine_made_the_short_one_it_cannot(planner):
    found = planner(GOING_ON + 2 * EPOCH).plan(TRIED, starts=1)
    assert "trial" not in found and found["candidate"] == TRIED.candidate.as_dict()


def test_without_any_the_short_ones_stand(planner, kept, capsys):
    assert planner(3 * STARTING).plan(TRIED, starts=1) == NOTHING
    assert "no time is left for a full training" in capsys.readouterr().out


def test_what_goes_on_starts_once(planner, kept):
    """A student that is cut, and has zeros, is made by three trainings."""
    found = planner(GOING_ON + 1.5 * STARTING).plan(TRIED, starts=3)
    assert found["trial"] == TRIED.number
    assert found["lessons"]["train_images"] is None


@pytest.mark.parametrize(("sparsity", "kind"), [(0.0, Distill), (0.7, Prune)])
def test_what_goes_on_keeps_its_zeros(tmp_path, sparsity, kind):
    keras.Sequential([keras.Input((8,)), layers.Dense(10)]).save(tmp_path / "net.keras")
    start = File(str(tmp_path / "net.keras"))
    settings, teaching = Training(epochs=3), Teaching(GIVEN)
    candidate = Candidate("resnet20", width=0.5, keep=0.5, sparsity=sparsity)
    stage = candidate.going_on("full", start, settings, teaching)
    assert type(stage) is kind and stage.start is start
    assert stage.training.epochs == 3 and stage.teaching == teaching
    if sparsity:
        assert (stage.sparsity, stage.until) == (0.7, 0.0)
