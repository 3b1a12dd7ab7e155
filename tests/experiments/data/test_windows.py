"""Windows of images: of pixels, and of JPEG bytes that are decoded in part."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from experiments.data.decoding import (
    decode_rgb,
    upright_jpeg,
    upright_jpeg_file,
    window_of,
    window_of_jpeg,
)


def photograph(height, width):
    """Smooth colours, as JPEG keeps them well."""
    y, x = np.mgrid[0:height, 0:width] / 40
    waves = [np.sin(x + k) * np.cos(y * (k + 1) / 2) for k in range(3)]
    return np.clip(127 + 90 * np.stack(waves, axis=-1), 0, 255).astype(np.uint8)


def jpeg(pixels, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95, **options)
    return file.getvalue()


def at(*corner):
    return lambda height, width: [tf.constant(edge) for edge in corner]


@pytest.mark.parametrize(
    "corner",
    [
        (0, 0, 200, 300),
        (13, 7, 101, 77),
        (5, 40, 32, 32),
        (1, 2, 20, 16),  # grows
        (150, 250, 50, 50),
        (3, 9, 65, 140),  # decoded at half the size
        (7, 21, 190, 270),  # at a quarter
        (199, 299, 1, 1),
        (0, 17, 200, 1),
    ],
)
@pytest.mark.parametrize("size", [32, 8])
def test_a_window_of_jpeg_is_that_of_its_pixels(corner, size):
    encoded = jpeg(photograph(200, 300))
    pixels = decode_rgb(encoded)
    wanted = window_of(pixels, at(*corner), size).numpy().astype(int)
    got = window_of_jpeg(encoded, at(*corner), size, channels=3).numpy().astype(int)
    assert got.shape == (size, size, 3)
    halved = min(corner[2:]) >= 2 * size  # a half, a quarter: pixels are averaged
    # Its edges lie up to half a pixel off, of the image that was decoded smaller.
    assert np.abs(got - wanted).max() <= (16 if halved else 4)
    assert np.abs(got - wanted).mean() < (4 if halved else 0.6)


def test_a_window_that_grows_needs_no_antialiasing():
    pixels = photograph(60, 50)
    whole = at(10, 5, 20, 30)
    found = window_of(tf.constant(pixels), whole, 48)
    cut = pixels[10:30, 5:35]
    wanted = tf.image.resize(cut, (48, 48), antialias=True)
    assert np.abs(found.numpy() - wanted.numpy()).max() <= 0.51


def test_a_window_that_shrinks_is_antialiased():
    lines = np.zeros((64, 64, 3), np.uint8)
    lines[::2] = 255
    found = window_of(tf.constant(lines), at(0, 0, 64, 64), 16).numpy()
    assert np.abs(found[2:-2].astype(int) - 127).max() < 10


def test_grey_jpeg_has_one_channel():
    encoded = jpeg(photograph(40, 40)[..., 0])
    found = window_of_jpeg(encoded, at(4, 4, 30, 30), 16, channels=1)
    assert found.shape == (16, 16, 1)


def test_only_upright_jpeg_is_cut(tmp_path):
    pixels = photograph(20, 30)
    exif = Image.Exif()
    exif[0x0112] = 6
    files = {
        "plain.jpg": (jpeg(pixels), True),
        "turned.jpg": (jpeg(pixels, exif=exif), False),
        "image.png": (tf.io.encode_png(pixels).numpy(), False),
    }
    for name, (content, wanted) in files.items():
        path = tmp_path / name
        path.write_bytes(content)
        encoded, may_be_cut = upright_jpeg_file(str(path))
        assert (encoded.numpy(), bool(may_be_cut)) == (content, wanted)
        streamed, is_jpeg = upright_jpeg(content)
        assert streamed == content and bool(is_jpeg) == name.endswith("jpg")


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_jpeg_has_the_pixels_of_other_programs(mode):
    pixels = photograph(70, 90) + np.random.default_rng(0).integers(0, 30, (70, 90, 3))
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).convert(mode).save(file, "JPEG")
    by_pillow = np.asarray(Image.open(file).convert("RGB")).astype(int)
    ours = decode_rgb(file.getvalue()).numpy().astype(int)
    assert np.abs(ours - by_pillow).max() <= 1  # the fast transform is 5 off
