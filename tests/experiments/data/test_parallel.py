import numpy as np
import pytest
import tensorflow as tf

from experiments.cores import usable_cores
from experiments.data import load
from experiments.data.parallel import mapped, untuned
from experiments.data.pipeline import evaluation_batches, training_batches, view_batches


@pytest.mark.parametrize("deterministic", [True, False])
def test_every_element_once(deterministic):
    squares = mapped(
        tf.data.Dataset.range(1000), lambda x: x * x, deterministic=deterministic
    )
    found = list(untuned(squares).as_numpy_iterator())
    found = found if deterministic else sorted(found)
    np.testing.assert_array_equal(found, np.arange(1000) ** 2)


def test_no_pipeline_starts_a_tuner():
    """Also where it is part of another one."""
    data = load("digits")
    trained = training_batches(data, batch_size=64, seed=0).dataset
    seen = view_batches(data, view=0, seed=0, batch_size=64)
    for batches in (trained, seen, evaluation_batches(data, "validation")):
        assert batches.options().autotune.enabled is False
    both = tf.data.Dataset.zip((trained, seen)).map(lambda a, b: a).prefetch(2)
    assert both.options().autotune.enabled is False


def test_cores_where_a_system_does_not_tell(monkeypatch):
    assert usable_cores() >= 1
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 5)
    assert usable_cores() == 5
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert usable_cores() == 1
