"""Precisions by layer: chosen under a bound, written down, exported."""

import json

import keras
import numpy as np
import pytest
from keras import layers

from compression.quantization import (
    PrecisionPlan,
    load_precision_plan,
    mixed_precision,
    quantize_by_plan,
    sensitivity,
)
from compression.quantization.precision_plan import weight_bytes

pytestmark = pytest.mark.usefixtures("eagerly")
RNG = np.random.default_rng(0)


def net_and_data():
    """Four bits hold "even" exactly, but not "uneven": it has one large weight.

    The images carry their class: channel 0 is 1, 2 or 3, and logit i is largest where
    it is i + 1.
    """
    image = keras.Input((4, 4, 2), name="image")
    x = layers.Conv2D(2, 1, name="even")(image)
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    model = keras.Model(image, layers.Dense(3, name="uneven")(x), name="net")
    model.get_layer("even").kernel.assign(np.eye(2).reshape(1, 1, 2, 2))
    model.get_layer("uneven").kernel.assign([[2.0, 4.0, 6.0], [20.0, 0.0, 0.0]])
    model.get_layer("uneven").bias.assign([-1.0, -4.0, -9.0])
    labels = np.arange(60) % 3
    images = np.zeros((60, 4, 4, 2), "float32")
    images[..., 0] = labels[:, None, None] + 1
    images[..., 1] = RNG.uniform(0, 1e-3, (60, 4, 4))
    return model, [(images, labels)]


def test_layers_that_bear_four_bits_get_them():
    model, data = net_and_data()
    found = mixed_precision(model, data, max_drop=0)
    assert found.plan.layers == {
        "image": "int8",
        "even": "int4",
        "gap": "int8",
        "uneven": "int8",
    }
    assert found.top1 == found.float_top1 == 1.0 and found.images == 60
    assert found.checks == 3  # all in int8; two in int4, then one
    assert (found.weight_bytes, found.int8_bytes, found.float_bytes) == (8, 10, 40)
    dearest = found.costs[0]
    assert (dearest.layer, dearest.precision) == ("uneven", "int4")
    assert dearest.top1 > 0.3
    wide = mixed_precision(model, data, max_drop=100)
    assert wide.plan.layers["uneven"] == "int4" and wide.checks == 2
    only = mixed_precision(model, data, max_drop=0, precisions=["int4"])
    assert only.plan.layers == found.plan.layers | {
        "uneven": "float32",
        "gap": "float32",
    }


def test_what_is_lowered_is_the_cheapest_found_by_few_checks():
    """A check of each layer after the other would fit the images by chance."""
    keras.utils.set_random_seed(1)
    wide = {"activation": "tanh", "kernel_initializer": "orthogonal"}
    net = [layers.Dense(8, name=f"fc{i}", **wide) for i in range(5)]
    model = keras.Sequential([keras.Input((8,)), *net, layers.Dense(5, name="logits")])
    images = RNG.normal(size=(100, 8)).astype("float32")
    labels = np.asarray(model(images)).argmax(-1)
    found = mixed_precision(model, [(images, labels)], max_drop=8)
    lowered = {name for name, kind in found.plan.layers.items() if kind == "int4"}
    assert 0 < len(lowered) < 6  # of all dense layers
    cost = {(row.layer, row.precision): row for row in found.costs}
    prices = {
        row.layer: (row.loss - cost[row.layer, "int8"].loss) / row.weights
        for row in found.costs
        if row.precision == "int4"
    }
    assert lowered == set(sorted(prices, key=prices.get)[: len(lowered)])
    assert found.checks <= 1 + 4  # all in int8; all in int4, then by halves
    assert 100 * (found.float_top1 - found.top1) <= 8


def test_layers_are_ranked_by_a_few_images_and_judged_by_all():
    model, data = net_and_data()
    few = mixed_precision(model, data, max_drop=0, ranking=6)
    first = [(data[0][0][:6], data[0][1][:6])]
    assert list(few.costs) == sensitivity(model, first, calibration=[data[0][0]])
    assert few.images == 60 and few.top1 == 1.0
    for wrong in (0, -1, 2.5, "x"):
        with pytest.raises(ValueError, match="ranking must be"):
            mixed_precision(model, data, max_drop=0, ranking=wrong)


def test_a_bound_that_images_alone_miss_is_refused():
    model, data = net_and_data()
    calibration = [data[0][0] * 0]  # all images become zeros
    with pytest.raises(
        ValueError, match="rounding the images alone costs 66.67 points"
    ):
        mixed_precision(model, data, max_drop=5, calibration=calibration)
    with pytest.raises(ValueError, match="max_drop must be 0 to 100.*, got -1"):
        mixed_precision(model, data, max_drop=-1)


def test_a_plan_is_a_file_that_can_be_edited(tmp_path):
    model, data = net_and_data()
    path = tmp_path / "plan.json"
    plan = PrecisionPlan("net", {"even": "int4", "uneven": "float32"}, ("gap",))
    plan.save(path)
    assert load_precision_plan(path) == plan
    assert '    "even": "int4",\n' in path.read_text()
    record = json.loads(path.read_text())
    record["layers"]["even"] = "int16x8"
    path.write_text(json.dumps(record))
    edited = load_precision_plan(path)
    with pytest.raises(
        ValueError, match="mixes float32, int8, int4 by layer; int16x8 is"
    ):
        quantize_by_plan(model, edited, data)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"format": "limbeck channel plan 1"}', '{"format": 3}', "\xff"],
)
def test_other_files_are_no_plans(text, tmp_path):
    path = tmp_path / "plan.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match="plan.json is not a precision plan"):
        load_precision_plan(path)
    with pytest.raises(FileNotFoundError):
        load_precision_plan(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("layers_of", "message"),
    [
        ({"odd": "int8"}, "another net .*: 'net' has no layer 'odd'"),
        (
            {"even": "int2"},
            "a precision called 'int2'; choose from float32, int8, int4",
        ),
        ({"image": "float32"}, "leaves 'image' float32: .*rounds inputs"),
        ({"gap": "int4"}, "bits: no layer called 'gap' is quantized; there are even"),
    ],
)
def test_plans_that_no_file_can_hold_are_refused(layers_of, message):
    model, data = net_and_data()
    with pytest.raises(ValueError, match=message):
        quantize_by_plan(model, PrecisionPlan("net", layers_of), data)


def test_operations_are_in_plans_by_their_names():
    image = keras.Input((6,), name="image")
    x = layers.Dense(4, name="dense")(image)
    x = keras.ops.concatenate([x * 2.0, x + 1.0], axis=-1)
    model = keras.Model(image, layers.Dense(3, name="last")(x), name="net")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 6)).astype("float32"), rng.integers(0, 3, 8)
    kinds = {row.kind: row.layer for row in sensitivity(model, [(x, y)])}
    assert {"Multiply", "Add", "Concatenate"} < set(kinds)
    plan = dict.fromkeys(kinds.values(), "int8") | {kinds["Add"]: "float32"}
    found = quantize_by_plan(model, PrecisionPlan("net", plan), [x])
    np.testing.assert_allclose(found(x), model(x), atol=0.1)
    plan |= {kinds["Concatenate"]: "float32"}
    with pytest.raises(ValueError, match="float32: .*rounds inputs, concatenations"):
        quantize_by_plan(model, PrecisionPlan("net", plan), [x])


def test_bytes_of_odd_numbers_of_weights():
    weights = {"a": 3, "b": 5}
    assert weight_bytes(weights, "int4") == 2 + 3
    assert weight_bytes(weights, {"a": "float32", "b": "int8"}) == 17
