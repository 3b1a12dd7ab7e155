"""The stage that chooses bits by layer: its file, its plan, the bound that it keeps."""

import keras
import pytest

from compression.quantization import is_quantized, load_precision_plan
from experiments.recipe import Recipe
from experiments.runs.layout import RunFolder
from experiments.runs.run import run
from experiments.stages.base import Export
from experiments.stages.mixed_precision import MixedPrecision
from experiments.stages.net import Net
from experiments.stages.quantize import Quantize
from experiments.stages.train import Train
from experiments.training.settings import Training

pytestmark = pytest.mark.usefixtures("eagerly")

DENSE = Train(
    "dense",
    Net("mlp", {"widths": (24,)}),
    Training(epochs=2, batch_size=128, learning_rate=1e-2),
    exports=(),
)
INT8 = Quantize("int8", "dense", exports=(Export("litert", "int8"),))
ANY = MixedPrecision("any", "dense", max_drop=100, images=100)
NONE = MixedPrecision("none", "dense", max_drop=1.0)
RECIPE = Recipe(name="small", data="digits", stages=(DENSE, INT8, ANY, NONE))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return RunFolder(run(RECIPE, tmp_path_factory.mktemp("runs") / "whole"))


@pytest.mark.slow
def test_without_a_bound_all_weights_have_four_bits(finished):
    home = finished.stage("any", 0)
    assert is_quantized(keras.models.load_model(home.model))
    plan = load_precision_plan(home.plan)
    assert "float32" not in plan.layers.values()
    assert plan.layers["logits"] == "int4"
    rows = {row["stage"]: row for row in finished.read_rows()}
    assert rows["any"]["bytes"] < rows["int8"]["bytes"]
    assert 0.5 <= rows["any"]["weight_share"] < 0.51


def test_the_bound_is_kept_on_validation(finished):
    rows = {row["stage"]: row for row in finished.read_rows()}
    assert rows["none"]["mixed_drop"] <= 1.0
    assert rows["none"]["weight_share"] <= 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_drop": -1.0}, "max_drop must be 0 to 100 percentage points, got -1.0"),
        ({"images": 0}, "images must be positive, got 0"),
        ({"calibration": 0}, "calibration must be positive, got 0"),
    ],
)
def test_wrong_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MixedPrecision("mixed", "dense", **options)
