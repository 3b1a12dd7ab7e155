"""`limbeck bench search`: ratios at equal accuracy, and what is done by hand."""

import json

import keras
import pytest

import architectures
from compression import pruning
from experiments.benchmarks import search, search_table
from experiments.benchmarks.by_hand import GIVEN
from experiments.benchmarks.search import HAND, SEARCH, times_less
from experiments.cli import main as cli
from experiments.stages.channels import Channels
from experiments.stages.net import Net
from experiments.stages.quantize import Quantize
from tests.experiments.benchmarks.test_prune import SETTING


def file(top1, size):
    return {"top1": top1, "bytes": size}


PEERS = [file(0.90, 4000), file(0.80, 1000), file(0.70, 2000), file(0.60, 500)]


@pytest.mark.parametrize(
    ("top1", "size", "expected"),
    [
        (0.80, 500, 2.0),  # as accurate as one of them
        (0.85, 1000, 2.0),  # half-way from 1000 to 4000, in logarithms
        (0.95, 1000, 4.0),  # none is as accurate: than the most accurate
        (0.60, 1000, 0.5),  # larger than theirs
        (0.75, 500, 2**0.75),  # 2000 bytes for 0.70 are nobody's choice
        (0.50, 100, None),  # all are more accurate
    ],
)
def test_how_much_smaller_a_file_is_at_equal_accuracy(top1, size, expected):
    found = times_less(file(top1, size), PEERS, "bytes")
    assert found is None if expected is None else found == pytest.approx(expected)


def test_by_hand_everything_measured_is_an_int8_file():
    for case in (*search.CASES.values(), *search.QUICK.values()):
        recipe = case.by_hand.recipe("trial")
        measured = [stage for stage in recipe.stages if stage.exports]
        assert measured[0].name == GIVEN and measured[0].once
        assert all(isinstance(stage, Quantize) for stage in measured[1:])
        cuts = [stage for stage in recipe.stages if isinstance(stage, Channels)]
        by_rule = [stage for stage in cuts if stage.teaching is None]
        assert [stage.macs for stage in by_rule] == list(case.by_hand.cuts)
        assert {(stage.scope, stage.saliency) for stage in by_rule} == {("local", "l1")}
        assert len(measured) == 2 + len(by_rule) + (case.by_hand.width is not None)


@pytest.mark.parametrize("name", search.CASES)
def test_by_hand_every_cut_can_be_reached(name):
    by_hand = search.CASES[name].by_hand
    shape = (28, 28, 1) if by_hand.data == "mnist" else (32, 32, 3)
    if isinstance(by_hand.start, Net):
        options = {"input_shape": shape, "classes": 10, **by_hand.start.options}
        model = architectures.build(by_hand.start.name, **options)
    else:
        net = getattr(keras.applications, by_hand.start.name)
        model = net(input_shape=shape, weights=None, classifier_activation=None)
    for macs in by_hand.cuts:
        plan = pruning.plan_channels(model, macs=macs, saliency="l1", scope="local")
        assert all(plan.kept.values())


def row(by, way, top1, size, **ratios):
    costs = {"bytes": [size] * 2, "latency_ms": [0.5] * 2, "arena_bytes": [None, 900]}
    costs["seconds"] = [690, None]
    return {"net": "net", "by": by, "way": way, "top1": top1} | costs | ratios


def test_the_table_says_whether_aims_are_met():
    result = {
        "seeds": 2,
        "quick": False,
        "hours": {"net": 0.2},
        "data": {"net": "cifar10. A lossy copy."},
        "setting": SETTING,
        "skipped": {"board": "there is no mnist"},
        "results": [
            row(GIVEN, GIVEN, [0.9, 0.9], 4000),
            row(HAND, "int8", [0.89, 0.89], 1000),
            row(SEARCH, "500 bytes", [0.86, 0.88], 500, smaller=[2, 1], faster=[1, 1]),
            row(
                SEARCH, "9 bytes", [0.1, 0.1], 9, smaller=[None, 1], faster=[None, None]
            ),
        ],
    }
    text = search_table.as_text(result, width=200)
    said = " ".join(text.split())
    assert "87.00 ± 1.41" in said and "1.50 [1.00–2.00]" in said and "900 B" in said
    assert (
        "net, 500 bytes: bytes 1.50 times less, aim 1.5: met; time 1.00 times less, "
        "aim 1.3: missed; it took 11.5 to 11.5 minutes."
    ) in said
    assert "net, 9 bytes: bytes: all that was made by hand is more accurate" in said
    assert "net: 12 minutes a search; cifar10. A lossy copy." in said
    assert "Left out: board, there is no mnist." in said


@pytest.mark.slow
def test_everything_runs_and_goes_on(tmp_path, capsys):
    command = ["bench", "search", "--quick", "--json", "--out", str(tmp_path / "out")]
    assert cli.main(command) == 0
    first = json.loads(capsys.readouterr().out)["results"]
    assert [each["by"] for each in first] == [GIVEN, HAND, HAND, HAND, SEARCH]
    found = first[-1]
    assert (
        0 < found["seconds"][0] < 600
        and found["bytes"][0] <= 16_000
        and found["arena_bytes"][0] <= 16_000
    )
    assert cli.main(command) == 0  # all is there
    again = json.loads(capsys.readouterr().out)["results"]
    assert [each["top1"] for each in again] == [each["top1"] for each in first]
    assert again[-1]["seconds"] == found["seconds"]
