"""Candidates with zeros: what they are before training, and how they are trained."""

import numpy as np
import pytest

import architectures
from experiments import data as datasets
from experiments.search.candidate import SPARSITIES, Candidate, sparsities_for
from experiments.search.limits import Limits
from experiments.stages.channels import Channels
from experiments.stages.distill import Distill
from experiments.stages.prune import Prune
from experiments.stages.teaching import Teaching
from experiments.training.settings import Training

HOW = Training(epochs=8), Teaching("model")


def test_the_smallest_weights_are_zero_at_once_and_the_model_stays():
    model = architectures.build("mlp", input_shape=(8, 8, 1), widths=(64, 64))
    before = model.get_weights()
    net = Candidate(sparsity=0.8).untrained(model, datasets.load("digits"))
    kernels = [w for w in before if w.ndim > 1]
    size = sum(kernel.size for kernel in kernels)
    values = np.abs(np.concatenate([kernel.ravel() for kernel in kernels]))
    left = np.concatenate([w.ravel() for w in net.get_weights() if w.ndim > 1])
    assert (left == 0).sum() == round(0.8 * size)
    assert np.abs(left[left != 0]).min() >= np.quantile(values, 0.79)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("candidate", "kinds"),
    [
        (Candidate(sparsity=0.8), [Prune]),
        (Candidate(keep=0.5, sparsity=0.8), [Channels, Prune]),
        (Candidate("alexnet_small", 0.125, sparsity=0.8), [Distill, Prune]),
        (
            Candidate("alexnet_small", 0.25, keep=0.5, sparsity=0.8),
            [Distill, Channels, Prune],
        ),
    ],
    ids=lambda value: value.words if isinstance(value, Candidate) else "",
)
def test_it_is_pruned_last(candidate, kinds):
    stages = candidate.training("trained", *HOW)
    assert [type(stage) for stage in stages] == kinds
    assert stages[-1].name == "trained" and stages[-1].sparsity == 0.8
    assert stages[-1].exports and not any(stage.exports for stage in stages[:-1])
    made = {"model"}
    for stage in stages:
        assert made.issuperset(stage.inputs)
        made.add(stage.name)
    assert sum(stage.training.epochs for stage in stages) == 8
    assert "80% zeros" in candidate.words
    assert candidate.quantizing("aware", "trained", *HOW).keep_zeros


def test_zeros_are_tried_where_zipped_bytes_are_limited():
    assert sparsities_for(Limits(bytes=1000)) == (0.0,)
    assert sparsities_for(Limits(bytes_zipped=1000)) == SPARSITIES
