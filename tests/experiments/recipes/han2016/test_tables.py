"""Error against bytes, worked by hand, beside the papers' points."""

import pytest

from experiments.recipes.han2016 import recipe, tables
from experiments.tables.summary import stage_summaries
from experiments.tables.table import as_markdown

FILE = {"bytes": 1_070_000, "bytes_zipped": 60_000}


@pytest.fixture
def summaries():
    rows = [
        {"stage": "teacher", "seed": 0, "top1": 0.995, "nonzero": 431_080, **FILE},
        {"stage": "fc_dense", "seed": 0, "top1": 0.984, "nonzero": 266_610, **FILE},
        *(
            {
                "stage": "fc_taught_rounded_3",
                "seed": seed,
                "top1": 0.98 + seed / 100,
                "nonzero": 4_000,
                "bytes_encoded": 5_000 + 200 * seed,
                **FILE,
            }
            for seed in (0, 1)
        ),
    ]
    return stage_summaries(rows)


def test_a_line_a_stage_and_the_papers_points(summaries):
    ours, quoted = (as_markdown(each) for each in tables.tables(summaries))
    assert "teacher" not in ours
    assert (
        "| fc_taught_rounded_3 | LeNet-300-100 | the same, rounded | 1.50 ± 0.71 | 2 | "
        "4,000 | 1,070,000 | 60,000 | 5,100 |" in ours
    )
    assert "| fc_dense | LeNet-300-100 | dense | 1.60 | 1 |" in ours
    assert "| LeNet-5 (Caffe) | Deep Compression | 0.74 | 44 |" in quoted


def test_the_picture_names_its_points_in_words(summaries):
    [picture] = tables.pictures(summaries)
    assert "variational dropout, taught, rounded 1.50 % in 5.1 kB" in picture
    assert tables.pictures(summaries[:2]) == []


@pytest.mark.parametrize("each", [recipe.RECIPE, recipe.FULL])
def test_every_stage_has_a_line(each):
    for stage in each.stages[1:]:
        found = tables.STAGE.fullmatch(stage.name)
        assert found, stage.name
        if found[3]:
            assert stage.max_drop == int(found[3]) / 10
            assert found[2].endswith("_rounded")
