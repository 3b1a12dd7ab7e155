"""Images in grey, or in three channels: Pillow's conversion is the reference."""

import numpy as np
import pytest
from PIL import Image

from experiments.data import image_folder, load
from experiments.data.pipeline import evaluation_batches
from experiments.runs.identity import anywhere


@pytest.fixture
def folder(tmp_path):
    """Two classes of noise, all images the same."""
    pixels = np.random.default_rng(0).integers(0, 256, (30, 30, 3), np.uint8)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(4):
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    return tmp_path


@pytest.mark.parametrize("in_memory", [True, False])
def test_photographs_in_grey(folder, in_memory, monkeypatch):
    if not in_memory:
        monkeypatch.setattr(image_folder, "MEMORY_LIMIT", 0)
    data = load(f"grey:folder:{folder}", image_size=30)
    assert data.name == f"grey:folder:{folder}" and data.image_shape == (30, 30, 1)
    assert data.train.in_memory == in_memory
    with Image.open(folder / "a/0.png") as image:
        expected = np.asarray(image.convert("L"), np.float32)[..., None]
    assert data.mean == pytest.approx([expected.mean() / 255], abs=2e-3)
    images, _ = next(iter(evaluation_batches(data, "train")))
    pixels = 255 * (images[0] * data.std + data.mean)
    np.testing.assert_allclose(pixels, expected, atol=1.01)  # Pillow rounds otherwise
    assert load(f"grey:folder:{folder}[b,a]").class_names == ("b", "a")


def test_grey_in_three_channels():
    data, grey = load("rgb:digits"), load("digits")
    assert data.image_shape == (8, 8, 3) and data.mean == pytest.approx(grey.mean * 3)
    np.testing.assert_array_equal(data.test.images, np.repeat(grey.test.images, 3, -1))
    assert load("grey:digits").image_shape == (8, 8, 1)


def test_a_folder_in_grey_may_move():
    here, there = "grey:folder:/a[x,y]", "grey:folder:/b[x,y]"
    assert anywhere({"data": here}, "data") == anywhere({"data": there}, "data")
    assert anywhere({"data": here}, "data") != anywhere({"data": here[5:]}, "data")
    with pytest.raises(ValueError, match="did you mean grey:"):
        load("gray:digits")
