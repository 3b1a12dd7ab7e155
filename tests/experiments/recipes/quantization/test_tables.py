"""The table of quantization: forms of a net beside its float file."""

import pytest

from experiments.recipes.quantization import recipe, tables
from experiments.tables.summary import stage_summaries
from experiments.tables.table import as_markdown


def file(precision, top1, size, **more):
    return {
        "format": "litert",
        "precision": precision,
        "top1": top1,
        "bytes": size,
        **more,
    }


def row(stage, files, seed=0, **more):
    return {
        "stage": stage,
        "seed": seed,
        "net": "n",
        **files[0],
        "files": files,
        **more,
    }


FLOATS = [
    file("float32", 0.90, 1e6, arena_bytes=2e5),
    file("float16", 0.899, 5e5),
    file("dynamic", 0.895, 2.6e5),
]
ROWS = [
    *(row("resnet20", FLOATS, seed) for seed in (0, 1)),
    row("resnet20_kl", [file("int8", 0.88, 2.5e5)], 0),
    row("resnet20_kl", [file("int8", 0.90, 2.5e5)], 1),
    row("mobilenet_qat4", [file("int8", 0.7, 1e5)]),
]


def lines(rows):
    text = as_markdown(tables.tables(stage_summaries(rows))[0])
    assert "lossy JPEG copy" in text
    return [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in text.splitlines()
        if line.startswith(("| ResNet", "| Mobile", "| small", "| VGG", "| Goog"))
    ]


def test_each_form_stands_beside_the_float_file():
    whole, half, dynamic, kl, alone = lines(ROWS)
    assert whole[1:5] == ["float32", "90.00 ± 0.00", "", "2"]
    assert (whole[6], whole[8]) == ("1.00 MB", "200 kB")
    assert half[1:4] == ["float16 weights", "89.90 ± 0.00", "-0.10"]
    assert dynamic[1] == "dynamic int8"
    assert kl[1:4] == ["int8, KL divergence", "89.00 ± 1.41", "-1.00"]
    assert alone[1:4] == ["4-bit weights, trained with their rounding", "70.00", ""]
    assert alone[8] == "–"


def test_published_changes_are_computed():
    text = as_markdown(tables.published())
    assert "| MobileNetV2 | 71.88 | 71.66 | -0.22 | with training |" in text


@pytest.mark.parametrize("which", ["RECIPE", "FULL"])
def test_every_stage_has_a_line(which):
    stages = getattr(recipe, which).stages
    rows = [row(stage.name, [file("int8", 0.5, 1.0)]) for stage in stages]
    assert len(lines(rows)) == len(stages) == 6 * 8 + 2 * 3


def test_the_picture_names_each_net():
    [picture] = tables.pictures(stage_summaries(ROWS))
    assert "ResNet-20 89.0 at 250,000 bytes" in picture
    assert tables.pictures([]) == []
