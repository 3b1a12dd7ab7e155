"""Students that fit a limit, by estimates that one written file has set right."""

import keras
import pytest

import architectures
from compression import measure
from compression.quantization import is_quantized
from experiments import data as datasets
from experiments.search import candidate, proxies
from experiments.search.candidate import Candidate
from experiments.search.estimates import Estimates
from experiments.search.files import Files
from experiments.search.limits import Cost, Limits
from experiments.stages.teaching import Teaching
from experiments.training.settings import Training


@pytest.mark.slow
def test_students_fill_the_limit_and_no_more(tmp_path, monkeypatch):
    monkeypatch.setattr(candidate, "STUDENTS", {"alexnet_small": {"dropout": 0.1}})
    data = datasets.load("mnist5k")
    model = architectures.build("alexnet_small", input_shape=(28, 28, 1), width=0.25)
    whole = Cost(400_000, 1.0, measure.macs(model))  # an estimate that is far off
    estimates = Estimates(model, whole)
    files, limits = Files(data, Limits()), Limits(bytes=40_000)
    found = proxies.students(data, files, estimates, limits, tmp_path / "s.tflite")
    assert not (tmp_path / "s.tflite").exists()
    narrow, cut = found
    assert narrow.keep == 1 and cut.keep < 1 and cut.width > narrow.width
    for each in found:
        net = each.untrained(None, data, repaired=False)
        size = files.write(net, 8, tmp_path / "net.tflite").bytes
        assert 0.6 * 40_000 < size <= 1.05 * 40_000, each.words


def test_without_limits_two_widths_of_each():
    data = datasets.load("digits")
    assert proxies.students(data, None, None, Limits(max_drop=1), None) == []
    assert Candidate("resnet20", 0.25).words == "resnet20 of width 0.25"


@pytest.mark.parametrize(
    "scaled",
    [keras.applications.mobilenet_v2, keras.applications.resnet],
    ids=lambda module: module.__name__.rpartition(".")[2],
)
def test_operations_without_kernel_that_scale_pixels_are_not_rounded(scaled):
    """Reversed channels are joined again by one; students have none of that."""
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="conv")(scaled.preprocess_input(image))
    model = keras.Model(image, keras.layers.Dense(3)(keras.layers.Flatten()(x)))
    how = ("aware", "full", Training(epochs=1), Teaching("model"))
    skip = candidate.stays_float(model)
    assert is_quantized(Candidate().quantizing(*how, skip).prepared(model))
