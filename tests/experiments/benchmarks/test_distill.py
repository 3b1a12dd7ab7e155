"""`limbeck bench distill`: all compute the same loss, figures are computed right."""

import importlib.util
import json
from dataclasses import replace

import keras
import numpy as np
import pytest

from experiments.benchmarks import (
    distill,
    distill_aims,
    distill_cases,
    distill_data,
    distill_peers,
    distill_table,
    progress,
    setting,
)
from experiments.cli import main as cli

HAS_TORCH = importlib.util.find_spec("torch") is not None
WITH_TEACHER = [
    distill_cases.LIMBECK_CACHED,
    distill_cases.LIMBECK,
    distill_cases.LIMBECK_FUSED,
    distill_cases.LIMBECK_HALF,
    distill_cases.KERAS,
    distill_cases.HINTS_CACHED,
    distill_cases.HINTS,
    distill_cases.KERAS_HINTS,
]


@pytest.fixture(scope="module")
def quick():
    """The result of the command itself, and the progress that it reported."""
    patch, logged, results = pytest.MonkeyPatch(), [], []
    run = distill.run

    def untouched_threads(*, threads, **options):  # TensorFlow may have started
        results.append(run(**options))
        return results[-1]

    patch.setattr(distill, "run", untouched_threads)
    patch.setattr(progress, "report_progress", logged.append)
    try:
        assert cli.main(["bench", "distill", "--quick", "--batch", "4"]) == 0
    finally:
        patch.undo()
    return results[0], logged


@pytest.mark.slow
def test_a_quick_run_is_complete(quick):
    result, logged = quick
    assert json.loads(json.dumps(result)) == result
    cases = [row["case"] for row in result["results"]]
    torch = [distill_cases.TORCH_CACHED, distill_cases.TORCH] * HAS_TORCH
    first, *rest = WITH_TEACHER
    assert cases == [distill_cases.ALONE, first, distill_cases.TEACHER, *rest, *torch]
    assert result["batch"] == 4 and result["rounds"] == 2
    assert set(result["skipped"]) == (set() if HAS_TORCH else {"PyTorch"})
    assert "distill: round 2/2, 0:00 left" in logged
    for row in result["results"]:
        if row["case"] != distill_cases.TEACHER:
            allowed = 1e-3 if "cached" in row["case"] else 1e-4
            allowed = 1e-2 if "bfloat16" in row["case"] else allowed
            assert row["difference"] <= allowed
        assert ("times_keras" in row) == row["case"].startswith(("limbeck", "PyT"))


@pytest.mark.slow
def test_ratios_agree_with_the_seconds(quick):
    result, _ = quick
    rows = {row["case"]: row for row in result["results"]}
    seconds = {case: np.array(row["seconds"]) for case, row in rows.items()}
    for case, row in rows.items():
        rate = np.median(result["batch"] / seconds[case])
        assert row["images_per_second"]["median"] == pytest.approx(rate)
        cost = np.median(seconds[case] / seconds[distill_cases.ALONE])
        assert row["cost_of_student"]["median"] == pytest.approx(cost)
    hints = np.median(seconds[distill_cases.KERAS_HINTS] / seconds[distill_cases.HINTS])
    assert rows[distill_cases.HINTS]["times_keras"]["median"] == pytest.approx(hints)


def test_aims_by_hand():
    """Two rounds; the second one is twice as slow for all: the ratios stay."""
    seconds = {
        distill_cases.ALONE: [1.0, 2.0],
        distill_cases.TEACHER: [4.0, 8.0],
        distill_cases.LIMBECK: [5.5, 11.0],
        distill_cases.LIMBECK_CACHED: [1.1, 2.2],
        distill_cases.LIMBECK_HALF: [4.0, 8.0],
        distill_cases.KERAS: [4.4, 8.8],
    }
    ratios = [
        (aim["ratio"]["median"], aim["met"]) for aim in distill_aims.judged(seconds)
    ]
    expected = [(5.5 / 5, False), (1.1, True), (4.0, True), (1.1, False)]
    assert ratios == [(pytest.approx(ratio), met) for ratio, met in expected]


@pytest.mark.slow
def test_the_table_notes_how_it_was_measured(quick):
    result, _ = quick
    text = distill_table.as_text(result)
    assert max(map(len, text.splitlines())) <= 110
    for row in result["results"]:
        assert any(line.startswith(row["case"]) for line in text.splitlines())
    words = " ".join(text.split())
    assert words.count("Met: ") + words.count("Not met: ") == 4
    assert "the aim is at most 1.1." in words and "the aim is at least 3." in words
    assert (
        "random images of 32 px (their content does not change the time), 4 a step"
        in words
    )
    assert "speeds and aims mean nothing" in words
    assert ("Left out: PyTorch, it is not installed" in words) is not HAS_TORCH


@pytest.mark.slow
def test_an_absent_pytorch_is_mentioned(quick, monkeypatch):
    result = quick[0] | {"skipped": {"PyTorch": "it is not installed: pip install x"}}
    text = distill_table.as_text(result)
    assert "Left out: PyTorch, it is not installed: pip install x." in text
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n: None if n == "torch" else find_spec(n)
    )
    device, why = setting.torch_device()
    assert device is None and "it is not installed" in why


@pytest.mark.slow
def test_json_is_printed(quick, monkeypatch, capsys):
    asked = {}

    def run(**options):
        asked.update(options)
        return quick[0]

    monkeypatch.setattr(distill, "run", run)
    words = ["bench", "distill", "--rounds", "3", "--threads", "1", "--json"]
    assert cli.main(words) == 0
    assert json.loads(capsys.readouterr().out) == quick[0]
    assert asked.pop("log") is progress.report_progress
    assert asked == {"rounds": 3, "threads": 1, "batch": None, "quick": False}


@pytest.mark.slow
def test_kerass_own_default_is_refused(monkeypatch):
    """`LogitsDistillation()` without an argument is not Hinton's loss."""
    kind = keras.distillation.LogitsDistillation
    monkeypatch.setattr(
        keras.distillation, "LogitsDistillation", lambda t, loss: kind(t)
    )
    with pytest.raises(RuntimeError, match="keras.distillation does not compute the"):
        distill.run(quick=True)


@pytest.mark.slow
def test_a_cache_of_other_images_is_refused(monkeypatch):
    outputs = distill_data.outputs

    def shifted(*args):
        return {k: np.roll(v, 1, axis=1) for k, v in outputs(*args).items()}

    monkeypatch.setattr(distill_data, "outputs", shifted)
    with pytest.raises(RuntimeError, match="limbeck, cached does not compute the same"):
        distill.run(quick=True)


def test_students_start_alike_and_apart():
    nets = distill_peers.nets("resnet20")
    one, other = (replace(nets, dropout=d).new_student() for d in (0.0, 0.1))
    for w, same in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(w, same)
    assert [n.get_layer("drop6").rate for n in (one, other)] == [0.0, 0.1]
    one.layers[1].kernel.assign(one.layers[1].kernel + 1)
    assert (one.layers[1].kernel != nets.student.layers[1].kernel).numpy().all()


def test_repeated_images_have_repeated_outputs(tmp_path):
    data = distill_data.random_data(10, distinct=4)
    np.testing.assert_array_equal(data.train.images[4:8], data.train.images[:4])
    nets = distill_peers.nets("resnet20")
    teacher = distill_peers.limbeck(nets).teacher_outputs
    [rows] = distill_data.outputs(teacher, data, tmp_path)["teacher_logits"]
    assert isinstance(rows, np.memmap) and rows.dtype == "float16"
    assert rows.shape == (10, 10) and len(np.unique(rows, axis=0)) == 4
    np.testing.assert_array_equal(rows[8:], rows[:2])
