import keras
import numpy as np
import pytest

import architectures
from compression import export, measure
from experiments import data as datasets
from experiments.search.candidate import Candidate
from experiments.search.estimates import Estimates
from experiments.search.limits import Cost


def net(width, name="alexnet_small"):
    made = architectures.build(name, input_shape=(28, 28, 1), classes=10, width=width)
    for variable in made.trainable_variables:  # a trained net has biases
        if len(variable.shape) == 1:
            variable.assign(variable + 0.1)
    return made


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Nets and the bytes of their int8 files."""
    keras.utils.set_random_seed(0)
    found = {}
    images = np.random.default_rng(0).normal(size=(4, 28, 28, 1))
    for width in (0.25, 0.0625):
        path = tmp_path_factory.mktemp("files") / "net.tflite"
        made = net(width)
        export.litert(made, path, precision="int8", calibration=[images])
        found[width] = made, measure.size(path)
    return found


def test_bytes_are_near_those_of_the_file(written):
    whole, size = written[0.25]
    smaller, truth = written[0.0625]
    estimates = Estimates(whole, Cost(size, 1.0, measure.macs(whole)))
    assert estimates.of(whole, Candidate()).bytes == pytest.approx(size, rel=0.01)
    assert estimates.of(smaller, Candidate()).bytes == pytest.approx(truth, rel=0.06)


def test_what_was_measured_corrects_estimates(written):
    whole, size = written[0.25]
    estimates = Estimates(whole, Cost(size, 2.0, measure.macs(whole), 1000))
    before = estimates.of(whole, Candidate("alexnet_small"))
    assert before.latency_ms == pytest.approx(2.0) and before.arena_bytes == 1000
    estimates.learn(before, Cost(2 * before.bytes, 3.0, 1, 500), "alexnet_small")
    after = estimates.of(whole, Candidate("alexnet_small"))
    assert after.bytes == pytest.approx(2 * before.bytes, rel=1e-3)
    assert after.latency_ms == pytest.approx(3.0) and after.arena_bytes == 500
    assert estimates.of(whole, Candidate()) == before  # other nets are others


def test_four_bits_are_half_of_the_kernels(written):
    whole, size = written[0.25]
    estimates = Estimates(whole, Cost(size, 1.0, measure.macs(whole)))
    kernels = sum(int(np.prod(v.shape)) for v in whole.weights if len(v.shape) > 1)
    difference = (
        estimates.of(whole, Candidate()).bytes
        - estimates.of(whole, Candidate(bits=4)).bytes
    )
    assert difference == pytest.approx(kernels / 2, abs=2)


HOW = {
    "precision": "int8",
    "calibration": [np.random.default_rng(0).normal(size=(4, 28, 28, 1))],
}


@pytest.fixture(scope="module")
def like_trained(tmp_path_factory):
    """A net, and what its int8 file costs."""
    keras.utils.set_random_seed(0)
    whole, random = net(0.25), np.random.default_rng(0)
    for kernel in whole.trainable_variables:  # as trained ones are distributed
        if len(kernel.shape) > 1:
            values = random.normal(size=kernel.shape)
            kernel.assign(values / np.sqrt(np.prod(kernel.shape[:-1])))
    path = tmp_path_factory.mktemp("net") / "net.tflite"
    export.litert(whole, path, **HOW)
    size, zipped = measure.size(path), measure.zipped_size(path)
    return whole, Cost(size, 1.0, measure.macs(whole), bytes_zipped=zipped)


@pytest.mark.parametrize(("sparsity", "bits"), [(0.0, 8), (0.5, 4), (0.9, 8), (0.9, 4)])
def test_zipped_bytes_are_near_those_of_the_file(
    sparsity, bits, like_trained, tmp_path
):
    whole, cost = like_trained
    candidate = Candidate(bits=bits, sparsity=sparsity)
    made = candidate.untrained(whole, None)
    path = tmp_path / "net.tflite"
    export.litert(made, path, weight_bits=bits, **HOW)
    found = Estimates(whole, cost).of(made, candidate).bytes_zipped
    assert found == pytest.approx(measure.zipped_size(path), rel=0.2)


def test_a_student_takes_before_training_what_it_takes_once_trained(tmp_path):
    """Biases of zero would be left out of the file: a tenth of a small one."""
    keras.utils.set_random_seed(0)
    data = datasets.load("mnist5k")
    student = Candidate("alexnet_small", 0.06).untrained(None, data)
    sizes, random = [], np.random.default_rng(0)
    for number in range(2):
        path = tmp_path / f"{number}.tflite"
        images = random.normal(size=(4, 28, 28, 1))
        export.litert(student, path, precision="int8", calibration=[images])
        sizes.append(measure.size(path))
        for variable in student.weights:
            variable.assign(variable + 0.1 * random.uniform(size=variable.shape))
    assert sizes[0] == pytest.approx(sizes[1], rel=0.01)
