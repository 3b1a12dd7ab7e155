"""Plans of both kinds that somebody edited: read as they stand, or refused by name."""

import json

import pytest

from compression.pruning import ChannelPlan, load_plan
from compression.quantization import PrecisionPlan, load_precision_plan

CHANNELS = ChannelPlan("net", {"conv": 4, "größe": 2}, {"conv": (0, 3), "größe": (1,)})
PRECISIONS = PrecisionPlan("net", {"conv": "int4", "fc": "int8"}, ("odd*",))


@pytest.mark.parametrize(
    ("plan", "load"), [(CHANNELS, load_plan), (PRECISIONS, load_precision_plan)]
)
def test_a_plan_is_read_as_it_was_written(plan, load, tmp_path):
    plan.save(tmp_path / "plan.json")
    assert load(tmp_path / "plan.json") == plan


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("[0, 3]", "[0, 1.7]", "1.7 is no whole number"),
        ("[0, 3]", "[0, true]", "True is no whole number"),
        ("[0, 3]", '"03"', "'03' is no list"),
        ("[0, 3]", "[0, Infinity]", "inf is no whole number"),
        ('"channels": 4', '"channels": "4"', "'4' is no whole number"),
        ('"größe"', '"conv"', "'conv' stands there twice"),
        ('"net": "net"', '"net": null', "None is no text"),
        ("[0, 3]", "[" * 100_000, "RecursionError|Expecting value"),
    ],
)
def test_odd_channel_plans_are_refused(old, new, reason, tmp_path):
    refused(CHANNELS, load_plan, old, new, reason, tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('["odd*"]', '"odd*"', r"'odd\*' is no list"),
        ('["odd*"]', "[3]", "3 is no text"),
        ('"int4"', "4", "4 is no text"),
        ('"fc"', '"conv"', "'conv' stands there twice"),
    ],
)
def test_odd_precision_plans_are_refused(old, new, reason, tmp_path):
    refused(PRECISIONS, load_precision_plan, old, new, reason, tmp_path)


def refused(plan, load, old, new, reason, folder):
    path = folder / "plan.json"
    plan.save(path)
    content = path.read_text(encoding="utf-8")
    for key in ("größe", "conv"):  # JSON may write letters as numbers
        content = content.replace(json.dumps(key), f'"{key}"')
    assert old in content
    path.write_text(content.replace(old, new), encoding="utf-8")
    with pytest.raises(ValueError, match=rf"plan.json is not a .* plan .*({reason})"):
        load(path)
