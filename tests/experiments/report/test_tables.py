"""Numbers of the tables, worked by hand, and what they refuse."""

import math

import pytest

from experiments import report


def table_of(text):
    """Cells of the first Markdown table by stage."""
    grid = [row for row in text.splitlines() if row.startswith("| ")]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in grid]
    heads = [head.split(" (")[0] for head in cells[0]]
    return {row[0]: dict(zip(heads, row, strict=True)) for row in cells[1:]}


def test_mean_deviation_and_ratios_by_hand(rows):
    table = table_of(report.markdown_table(rows(["teacher", "prune"], [0, 1, 2])))
    # 98.5, 98.7, 98.9: mean 98.7; squares 0.04 + 0 + 0.04 over n - 1 = 2, root 0.2.
    assert table["teacher"]["top-1 %"] == "98.70 ± 0.20"
    assert table["teacher"]["n"] == "3"
    assert table["teacher"]["zipped"] == "1.00 MB"  # no ratio to itself
    assert table["prune"] == {
        "stage": "prune",
        "net": "alexnet_small",
        "top-1 %": "96.70 ± 0.20",
        "n": "3",
        "parameters": "33,000 (7,100)",
        "MACs": "3.10 M (10x)",  # 31 M / 3.1 M
        "bytes": "140 kB (7.9x)",  # 1100 / 140 = 7.857
        "zipped": "40.0 kB (25x)",  # 1000 / 40
        "latency ms": "0.102 [0.092–0.122] (7.8x)",  # 0.8 / 0.102 = 7.843
    }


def test_one_seed_has_no_deviation(rows):
    table = table_of(report.markdown_table(rows(["distill"], [0])))
    assert table["distill"]["top-1 %"] == "97.00"
    assert table["distill"]["n"] == "1"


def test_standard_error_by_hand(rows):
    [row] = rows(["teacher"], [0])
    text = report.markdown_table([row | {"top1": 0.9}])
    # sqrt(0.9 * 0.1 / 1000) = 0.009487
    assert "1,000 test images" in text
    assert "standard error of 0.95 points" in text


def test_standard_error_is_a_range_over_stages(rows):
    teacher, student = rows(["teacher", "distill"], [0])
    text = report.markdown_table([teacher | {"top1": 0.9}, student | {"top1": 0.5}])
    assert "standard error of 0.95 to 1.58 points" in text  # sqrt(.25 / 1000) = .01581


def test_null_and_infinite_values_are_left_out(rows):
    first, second = rows(["teacher"], [0, 1])
    first["top1"], second["latency_ms"] = math.nan, None
    table = table_of(report.markdown_table([first, second]))
    assert table["teacher"]["top-1 %"] == "98.70"  # of seed 1 alone
    assert table["teacher"]["n"] == "1"
    nothing = first | dict.fromkeys(("bytes", "macs", "latency_ms", "parameters"))
    table = table_of(report.markdown_table([nothing]))
    assert table["teacher"]["bytes"] == table["teacher"]["MACs"] == "–"
    assert table["teacher"]["top-1 %"] == "–"
    assert table["teacher"]["n"] == "0"


@pytest.mark.parametrize("key", ["net", "data", "split", "precision"])
def test_a_summary_never_mixes(rows, key):
    first, second = rows(["teacher"], [0, 1])
    with pytest.raises(ValueError, match=f"stage 'teacher' mix {key} .* and 'other'"):
        report.markdown_table([first, second | {key: "other"}])


def test_a_seed_counts_once(rows):
    with pytest.raises(ValueError, match="stage 'teacher' has two rows of seed 1"):
        report.markdown_table(rows(["teacher"], [0, 1, 1]))


def test_stages_on_different_data_are_shown_but_not_compared(rows):
    teacher, student = rows(["teacher", "distill"], [0])
    table = table_of(report.markdown_table([teacher | {"data": "cifar10"}, student]))
    assert table["teacher"]["data"] == "cifar10 test"
    assert table["distill"]["data"] == "mnist5k test"
    assert table["distill"]["bytes"] == "140 kB"


def test_the_teacher_can_be_named(rows):
    measured = rows(["distill", "teacher"], [0])
    table = table_of(report.markdown_table(measured, teacher="teacher"))
    assert table["distill"]["bytes"].endswith("(7.9x)")
    with pytest.raises(ValueError, match="no stage called 'nobody'"):
        report.markdown_table(measured, teacher="nobody")


def test_markdown_cells_hold_no_markup(rows):
    [row] = rows(["teacher"], [0])
    text = report.markdown_table([row | {"net": "a|b<script>[x](y)\n`c`"}], note="n|m")
    assert r"a\|b&lt;script&gt;[x\](y) \`c\`" in text
    assert r"n\|m" in text


def test_ram_on_a_board_is_a_column_where_somebody_looked(rows):
    """Rows of earlier versions, which say nothing of it, give the table they gave."""
    old = rows(["teacher", "int8"], [0])
    assert "arena" not in report.markdown_table(old)
    teacher, int8 = old
    text = report.markdown_table(
        [
            teacher | {"arena_bytes": 221_960, "board_refusal": None},
            int8 | {"arena_bytes": 14_256, "board_refusal": None},
        ]
    )
    table = table_of(text)
    assert table["teacher"]["arena"] == "222 kB"
    assert table["int8"]["arena"] == "14.3 kB (16x)"  # 221,960 / 14,256 = 15.57
    assert "Arena: RAM that TensorFlow Lite Micro needs" in text
    assert "No arena" not in text


def test_why_there_is_no_arena_is_said(rows):
    teacher, int8 = rows(["teacher", "int8"], [0])
    lacks = {"arena_bytes": None, "board_refusal": "it lacks GELU"}
    found = {"arena_bytes": 14_256, "board_refusal": None}
    text = report.markdown_table([teacher | lacks, int8 | found])
    assert table_of(text)["teacher"]["arena"] == "–"
    assert "No arena of teacher float32: it lacks GELU." in text
    text = report.markdown_table([teacher | lacks, int8 | lacks])
    assert "No arena: it lacks GELU." in text
