"""The kernels of a stage, in a table and as pictures."""

import base64
import io
import re

import numpy as np
from PIL import Image

from experiments.report import kernels
from experiments.report.folder import read


def test_a_line_a_kernel(make_run):
    found = kernels.table(read(make_run(seeds=(0,))), "prune")
    [cells] = [[cell.text for cell in row] for row in found.cells]
    assert cells == ["conv1", "36", "100.00", "25.00", "28", "4.80"]


def test_runs_of_earlier_versions_have_neither(make_run):
    run = make_run(seeds=(0,))
    for name in ("kernels.json", "filters.npz"):
        (run / "stages/seed0/measure" / name).unlink()
    found = read(run)
    assert kernels.table(found, "prune") is None and not found.gaps
    assert kernels.picture(found, "prune") == ""


def test_filters_go_from_black_to_white(make_run):
    html = kernels.picture(read(make_run(seeds=(0,))), "teacher")
    sheet = image_of(html)
    assert sheet.shape == (4, 16, 4)  # four of 3 x 3, a pixel between
    first = sheet[:3, :3]
    assert (first[..., 3] == 255).all() and first[0, 0, 0] == 0
    assert first[-1, -1].tolist() == [255] * 4
    assert (sheet[3, :, 3] == 0).all() and (sheet[:, 3, 3] == 0).all()


def test_a_filter_of_one_value_is_grey(make_run):
    run = make_run(seeds=(0,))
    filters = np.full((3, 3, 3, 1), 7, "f4")
    path = run / "stages/seed0/measure/filters.npz"
    np.savez(path, **{"stages": np.array(["teacher"]), "0": filters})
    sheet = image_of(kernels.picture(read(run), "teacher"))
    assert (sheet[:3, :3, :3] == 128).all()
    assert kernels.picture(read(run), "prune") == ""


def image_of(html):
    [source] = re.findall(r"base64,([^\"]+)", html)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source))))
