"""The choice between float32 and bfloat16: by time, once, and as if never measured."""

import keras
import numpy as np
import pytest

from experiments.data import load
from experiments.data.augment import Augment
from experiments.runs.layout import StageFolder
from experiments.stages import fitting
from experiments.stages.base import Job
from experiments.stages.net import Net
from experiments.stages.train import Train
from experiments.training import precision
from experiments.training.settings import Training

BATCH = np.zeros((4, 6), "float32"), np.zeros(4, int)


def small():
    return keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])


@pytest.mark.parametrize(
    ("half", "chosen"), [(1.0, "float32"), (0.96, "float32"), (0.9, "mixed_bfloat16")]
)
def test_the_faster_by_a_twentieth_is_taken(monkeypatch, half, chosen):
    """Of each the fastest round; the nets that are timed have the two policies."""
    rounds = iter([5.0, 5.0, 1.0, 9.0, 2.0, half])

    def seconds(model, batch):
        return next(rounds)

    built = []

    def build():
        built.append(keras.config.dtype_policy().name)
        return small()

    monkeypatch.setattr(precision, "step_seconds", seconds)
    assert precision.faster_precision(build, BATCH) == chosen
    assert built == ["float32", "mixed_bfloat16"]
    assert keras.config.dtype_policy().name == "float32"


def test_both_are_really_timed():
    assert precision.faster_precision(small, BATCH) in ("float32", "mixed_bfloat16")


@pytest.fixture
def job(tmp_path):
    return Job(
        data=load("digits"),
        augment=Augment(),
        seed=3,
        folder=StageFolder(tmp_path),
        stages=(),
        cache=tmp_path,
        load=lambda name: None,
    )


def test_what_was_measured_stays_when_a_training_goes_on(monkeypatch, job, capsys):
    answers = iter(["mixed_bfloat16", "float32"])

    def measured(build, batch):
        assert batch[0].shape == (64, 8, 8, 1)
        build()
        return next(answers)

    monkeypatch.setattr(fitting, "faster_precision", measured)
    stage = Train(
        "net", Net("mlp", {"widths": (4,)}), Training(epochs=1, precision="measure")
    )
    keras.utils.set_random_seed(job.seed)
    expected = stage.start.built(job.data).get_weights()
    for _ in range(2):  # the second one reads the folder
        keras.utils.set_random_seed(job.seed)
        assert fitting.precision(stage, job) == "mixed_bfloat16"
        built = stage.start.built(job.data).get_weights()
        for a, b in zip(expected, built, strict=True):
            np.testing.assert_array_equal(a, b)
    assert "net trains in mixed_bfloat16, measured" in capsys.readouterr().out
    assert next(answers) == "float32"
    job.folder.precision.write_text('"float8"')
    with pytest.raises(ValueError, match="precision.json.*float32 or mixed_bfloat16"):
        fitting.precision(stage, job)


def test_a_model_that_was_written_keeps_its_precision(job):
    stage = Train("net", "pre", Training(epochs=1, precision="measure"))
    assert fitting.precision(stage, job) == "float32"
