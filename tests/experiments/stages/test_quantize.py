"""The stage of post-training quantization: its steps, its files, what its row says."""

import keras
import numpy as np
import pytest

from compression.export import load
from compression.quantization import calibrate
from compression.quantization.fake_quantize import weight_codes
from experiments.data import datasets
from experiments.data.pipeline import evaluation_batches
from experiments.recipe import Recipe
from experiments.runs.layout import RunFolder
from experiments.runs.run import run
from experiments.stages.base import Export
from experiments.stages.net import Net
from experiments.stages.quantize import Quantize
from experiments.stages.quantize_aware import QuantizeAware
from experiments.stages.train import Train
from experiments.stages.writing import train_images
from experiments.training.settings import Training

pytestmark = pytest.mark.usefixtures("eagerly")

SHORT = Training(epochs=3, batch_size=128, learning_rate=3e-3)
DENSE = Train("dense", Net("mlp", {"widths": (24,)}), SHORT, exports=())
INT8 = (Export("litert", "int8"),)
ALL = Quantize(
    *("all", "dense"),
    equalise=True,
    adaround=5,
    correct_bias=True,
    method="mse",
    bits=4,
    exports=INT8,
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    recipe = Recipe("small", "digits", (DENSE, ALL))
    return RunFolder(run(recipe, tmp_path_factory.mktemp("runs") / "whole"))


@pytest.mark.slow
def test_the_file_is_that_of_the_calibrated_net(finished):
    home = finished.stage("all", 0)
    model = keras.models.load_model(home.model)
    data = datasets.load("digits")
    quantized = calibrate(model, train_images(data, 256), "mse", bits=4)
    images = np.concatenate(
        [np.asarray(x) for x, _ in evaluation_batches(data, "test")]
    )
    runner = load(home.exported("litert", "int8"))
    apart = np.abs(runner(images) - quantized.predict(images, verbose=0))
    assert apart.max() <= 1.01 * runner.gives.scale
    for layer in model.layers:  # AdaRound has left codes
        if hasattr(layer, "kernel"):
            codes, scales = weight_codes(layer.kernel, bits=4)
            real = np.asarray(codes) * np.asarray(scales)
            np.testing.assert_allclose(layer.kernel, real, atol=1e-6)


def test_the_row_says_what_was_done(finished):
    [row] = [row for row in finished.read_rows() if row["stage"] == "all"]
    done = "equalised, rounding learnt, biases corrected, ranges by mse"
    assert row["quantized"] == done
    assert row["what"] == (
        "the dense net in 8-bit integers with weights of 4 bits, calibrated on train "
        f"images, {done}"
    )
    assert row["top1"] > 0.4  # of a net of three epochs; chance is 0.1
    plain = Quantize("plain", "dense")
    assert plain.what == "the dense net in 8-bit integers, calibrated on train images"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "best"}, "no calibration method called 'best'; choose from minmax"),
        ({"bits": 2}, "bits must be 8 or 4, got 2"),
        ({"adaround": -1}, "adaround must not be negative, got -1"),
    ],
)
def test_bad_settings_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Quantize("a", "dense", **arguments)


def test_a_quantized_net_is_refused_before_anything_runs(tmp_path):
    twice = Quantize("twice", "qat", equalise=True)
    stages = (DENSE, QuantizeAware("qat", "dense", SHORT), twice)
    with pytest.raises(ValueError, match="stage 'twice': 'mlp' is quantized already"):
        run(Recipe("twice", "digits", stages), tmp_path / "run")
    assert not (tmp_path / "run").exists()
