"""Rows of several seeds -> summaries: order, grouping, means."""

import math

import pytest

from experiments.tables.summary import file_summaries, stage_summaries


def test_files_are_grouped_by_form(rows):
    files = file_summaries(stage_summaries(rows(["prune", "int8"], [0, 1])))
    assert [(file.stage, file.form, file.seeds) for file in files] == [
        ("prune", "litert float32", (0, 1)),
        ("prune", "saved_model float32", (0, 1)),
        ("int8", "litert int8", (0, 1)),
        ("int8", "litert float16", (0, 1)),
        ("int8", "saved_model int8", (0, 1)),
    ]
    assert files[3].mean("bytes") == 75_600  # 1.8 * 42,000


def row(stage, seed, **measured):
    return {"stage": stage, "seed": seed, **measured}


def test_mean_and_sample_deviation_leave_out_what_is_no_number():
    values = (1.0, 3.0, math.nan, None, True)
    rows = [row("a", seed, x=value) for seed, value in enumerate(values)]
    [summary] = stage_summaries(rows)
    assert summary.values("x") == [1.0, 3.0]
    assert summary.mean("x") == 2.0
    assert summary.deviation("x") == pytest.approx(math.sqrt(2))  # (1 + 1) / (2 - 1)
    assert summary.mean("y") is None and summary.deviation("y") is None


def test_stages_come_in_the_order_asked_for_then_as_they_are_found():
    rows = [row(stage, 0) for stage in ("extra", "b", "other", "a")]
    found = [each.stage for each in stage_summaries(rows, order=["a", "b"])]
    assert found == ["a", "b", "extra", "other"]


def test_what_all_seeds_share_counts_once():
    rows = [row("teacher", seed, once=True, x=1.0) for seed in (2, 0, 1)]
    [summary] = stage_summaries(rows)
    assert summary.seeds == (0,) and summary.deviation("x") is None
