"""Our errors beside the paper's figures, worked by hand."""

import pytest

from experiments import records, report
from experiments.recipes.hinton2015 import tables as hinton2015
from experiments.tables.summary import stage_summaries

STAGES = {  # errors of two seeds
    "teacher": (70, 74),
    "student": (150, 150),
    "units30": (400, 410),
    "units30_t1": (390, 380),
    "units30_t20": (420, 430),
    "units30_t4": (360, 370),
    "without_3": (200, 210),
    "without_3_bias": (100, 120),
    "only_7_8": (4000, 5000),
}


@pytest.fixture
def paper_rows():
    made = []
    for stage, each in STAGES.items():
        for seed, errors in enumerate(each):
            row = {
                "stage": stage, "seed": seed, "net": "mlp", "data": "mnist",
                "split": "test", "format": "litert", "precision": "float32",
                "errors": errors, "examples": 10_000, "top1": 1 - errors / 10_000,
                "errors_by_class": [errors - 30 - seed, 0, 0, 30 + seed, *[0] * 6],
            }  # fmt: skip
            if stage == "without_3_bias":
                row["bias_shift"] = (3.0, 4.0)[seed]
            made.append(row)
    return made


def test_errors_by_hand(paper_rows):
    nets, temperatures = hinton2015.tables(stage_summaries(paper_rows))
    cells = {row[0].text: [cell.text for cell in row[2:]] for row in nets.cells}
    # Sample deviation of (70, 74): sqrt(8).
    assert cells["teacher"] == ["72.0 ± 2.8", "", "", "2", "67", "", ""]
    assert cells["student"] == ["150.0 ± 0.0", "", "", "2", "146", "", ""]
    assert cells["without_3"] == ["205.0 ± 7.1", "30.5", "", "2", "206", "133", ""]
    bias = ["110.0 ± 14.1", "30.5", "+3.5 ± 0.7", "2", "109", "14", "+3.5"]
    assert cells["without_3_bias"] == bias
    assert cells["only_7_8"] == ["45.00 ± 7.07 %", "", "", "2", "47.3 %", "", ""]
    assert "distill" not in cells  # it was not run
    heads = [column.heading for column in temperatures.columns[1:]]
    assert heads == ["labels alone", "T = 1", "T = 4", "T = 20"]
    [row] = temperatures.cells
    assert [cell.text for cell in row[1:]] == [
        *("405.0 ± 7.1", "385.0 ± 7.1", "365.0 ± 7.1", "425.0 ± 7.1")
    ]


def test_the_figures_are_the_papers():
    """Section 3, as quoted in the project's issue."""
    quoted = [tuple(figure) for figure in hinton2015.PUBLISHED.values()]
    assert quoted == [
        ("67", "", ""), ("146", "", ""), ("74", "", ""),
        ("206", "133", ""), ("109", "14", "+3.5"),
        ("47.3 %", "", ""), ("13.2 %", "", "-7.6"),
    ]  # fmt: skip


def test_one_seed_has_no_deviation(paper_rows):
    one = [row for row in paper_rows if row["seed"] == 0]
    nets, _ = hinton2015.tables(stage_summaries(one))
    assert nets.cells[0][2].text == "70.0"


def test_the_picture_names_its_points_in_words(paper_rows):
    [svg] = hinton2015.pictures(stage_summaries(paper_rows))
    assert "385 at 1, 365 at 4, 425 at 20" in svg
    few = [row for row in paper_rows if row["stage"] in ("teacher", "units30_t4")]
    assert hinton2015.pictures(stage_summaries(few)) == []


def test_rows_of_the_recipe_have_its_table(paper_rows):
    own = report.markdown_table(paper_rows, recipe="hinton2015")
    assert "| paper: errors |" in own and "arXiv:1503.02531, section 3" in own
    usual = report.markdown_table(paper_rows, recipe="demo")
    assert "paper" not in usual and "latency" in usual
    for row in paper_rows:  # the paper's figures mean nothing for other data
        row["data"] = "digits"
    elsewhere = report.markdown_table(paper_rows, recipe="hinton2015")
    assert "paper" not in elsewhere


def test_report_and_readme_show_it(paper_rows, make_run, put_rows, write_record):
    run = make_run()
    put_rows(run, paper_rows)
    write_record(run, "recipe.json", name="hinton2015", stages=[])
    text = report.write(run).read_text()
    for part in (text, (run / "report.md").read_text()):
        assert "Beside the paper" in part and "47.3 %" in part
    assert 'aria-label="Mean test errors of students with 30 units' in text
    write_record(run, "environment.json", command="limbeck reproduce hinton2015")
    records.record(run, run / "experiments")
    table = records.table(run.name, run / "experiments")
    assert table.startswith("`limbeck reproduce hinton2015`")
    assert "72.0 ± 2.8" in table and "T = 20" in table
