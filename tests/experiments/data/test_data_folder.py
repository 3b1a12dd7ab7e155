"""A folder of real image files, as people have them."""

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from experiments.data import image_folder, load


def photograph(height, width, seed):
    """A smooth RGB picture, which JPEG keeps nearly as it is."""
    y, x = np.mgrid[0:height, 0:width]
    phase = np.random.default_rng(seed).uniform(0, 6, 3)
    waves = np.sin(x[..., None] / 9 + y[..., None] / 7 + phase)
    return Image.fromarray((127.5 + 120 * waves).astype(np.uint8))


@pytest.fixture
def folder(tmp_path):
    """Two classes of ten pictures of mixed sizes and formats, and some clutter."""
    for label, name in enumerate(["oak", "ash"]):
        (tmp_path / name).mkdir()
        for i in range(10):
            picture = photograph(40 + 3 * i, 50 + i, seed=10 * label + i)
            suffix = ["jpg", "PNG", "jpeg"][i % 3]
            picture.save(tmp_path / name / f"{i}.{suffix}")
    (tmp_path / "oak" / ".hidden.jpg").write_bytes(b"not an image")
    (tmp_path / "oak" / "notes.txt").write_text("not an image")
    (tmp_path / ".cache").mkdir()
    (tmp_path / "readme.md").write_text("not a class")
    return tmp_path


def test_classes_splits_and_default_size(folder):
    data = load(f"folder:{folder}")
    assert data.class_names == ("ash", "oak")
    assert (data.train.size, data.validation.size, data.test.size) == (14, 2, 4)
    for split, of_each in ((data.train, 7), (data.validation, 1), (data.test, 2)):
        np.testing.assert_array_equal(np.bincount(split.labels), [of_each] * 2)
    # Shorter sides 40, 43, ..., 58, then width 58 and 59: the median is 53.5.
    assert data.image_shape == (53, 53, 3)
    assert data.flips
    assert data.bad_images == ()


@pytest.mark.parametrize(("side", "expected"), [(12, 28), (50, 50), (100, 64)])
def test_default_size_stays_between_28_and_64(tmp_path, side, expected):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(3):
            photograph(side, side + 9, seed=i).save(tmp_path / name / f"{i}.png")
    assert load(f"folder:{tmp_path}").image_shape == (expected, expected, 3)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("L", (90, 90, 90)),
        ("RGBA", (200, 100, 50)),
        ("LA", (90, 90, 90)),
        ("P", (200, 100, 50)),
        ("I;16", (90, 90, 90)),
    ],
)
def test_every_png_mode_becomes_rgb(tmp_path, mode, expected):
    shape = (30, 40)
    images = {
        "L": Image.fromarray(np.full(shape, 90, np.uint8)),
        "RGBA": Image.new("RGBA", shape[::-1], (200, 100, 50, 128)),
        "LA": Image.new("LA", shape[::-1], (90, 128)),
        "P": Image.new("RGB", shape[::-1], (200, 100, 50)).quantize(4),
        "I;16": Image.fromarray(np.full(shape, 90 * 257, np.uint16)),
    }
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(3):
            images[mode].save(tmp_path / name / f"{i}.png")
    assert Image.open(tmp_path / "a" / "0.png").mode == mode
    data = load(f"folder:{tmp_path}")
    assert data.train.images.dtype == np.uint8
    found = np.unique(data.train.images.reshape(-1, 3), axis=0)
    np.testing.assert_array_equal(found, [expected])


@pytest.mark.parametrize(
    ("suffix", "mode"),
    [("tif", "RGB"), ("tiff", "L"), ("tif", "I;16"), ("ppm", "RGB"), ("pgm", "I;16")],
)
def test_what_tensorflow_does_not_read_is_read(tmp_path, suffix, mode):
    """16 bits lose the lower 8, as those of PNG do."""
    values = np.arange(30 * 30).reshape(30, 30)
    image = {
        "RGB": np.stack([values % 256, values % 7, values % 100], -1).astype(np.uint8),
        "L": (values % 256).astype(np.uint8),
        "I;16": (values * 72).astype(np.uint16),
    }[mode]
    in_classes(tmp_path, lambda p: Image.fromarray(image).save(f"{p}.{suffix}"))
    expected = image // 256 if mode == "I;16" else image
    if expected.ndim == 2:
        expected = np.repeat(expected[..., None], 3, axis=-1)
    images = load(f"folder:{tmp_path}", image_size=30).train.images
    np.testing.assert_array_equal(images, np.broadcast_to(expected, images.shape))


def test_values_without_a_range_are_refused(tmp_path):
    floats = np.full((30, 30), 0.5, np.float32)
    in_classes(tmp_path, lambda p: Image.fromarray(floats).save(f"{p}.tif"))
    with pytest.raises(ValueError, match="cannot read the image"):
        load(f"folder:{tmp_path}")


def test_grey_jpeg_becomes_rgb(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(3):
            photograph(30, 30, seed=i).convert("L").save(tmp_path / name / f"{i}.jpg")
    images = load(f"folder:{tmp_path}").train.images
    np.testing.assert_array_equal(images[..., 0], images[..., 2])


def test_the_centre_is_kept(tmp_path):
    """Black, white, black thirds of a wide image: the middle square is white."""
    wide = np.zeros((30, 90, 3), np.uint8)
    wide[:, 30:60] = 255
    for name, picture in (("wide", wide), ("tall", wide.transpose(1, 0, 2))):
        (tmp_path / name).mkdir()
        for i in range(3):
            Image.fromarray(picture).save(tmp_path / name / f"{i}.png")
    data = load(f"folder:{tmp_path}", image_size=15)
    assert (data.train.images == 255).all()


def test_unreadable_image_is_named(folder):
    whole = (folder / "oak" / "0.jpg").read_bytes()
    (folder / "oak" / "0.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "ash" / "1.PNG").write_bytes(b"")
    with pytest.raises(
        ValueError, match=r"1\.PNG \(and 1 more\); --skip-bad-images leaves it out"
    ):
        load(f"folder:{folder}")
    data = load(f"folder:{folder}", skip_bad_images=True)
    assert data.bad_images == (
        str(folder / "ash" / "1.PNG"),
        str(folder / "oak" / "0.jpg"),
    )
    assert data.train.size + data.validation.size + data.test.size == 18


def of_unknown_layout():
    """A DDS file, for which Pillow's reader raises a NotImplementedError."""
    header = bytearray(128)
    header[:8] = b"DDS " + (124).to_bytes(4, "little")
    header[76:84] = (32).to_bytes(4, "little") + (0x80).to_bytes(4, "little")
    return bytes(header)


@pytest.mark.parametrize("kind", ["folder", "unlabelled"])
def test_whatever_pillow_raises_an_image_is_unreadable(folder, kind):
    odd = folder / "oak" / "0.jpg"
    odd.write_bytes(of_unknown_layout())
    with pytest.raises(NotImplementedError):  # the case that is meant
        Image.open(odd)
    with pytest.raises(ValueError, match=r"cannot read the image .*oak/0\.jpg; --skip"):
        load(f"{kind}:{folder}")
    data = load(f"{kind}:{folder}", skip_bad_images=True)
    assert data.bad_images == (str(odd),)


def test_missing_folder():
    with pytest.raises(FileNotFoundError, match="no folder of images at /no/such"):
        load("folder:/no/such")


def test_one_class_is_not_enough(folder):
    with pytest.raises(ValueError, match=r"at least two classes, found \[\]"):
        load(f"folder:{folder / 'oak'}")


def test_too_few_images_of_a_class(folder):
    (folder / "yew").mkdir()
    photograph(40, 40, seed=0).save(folder / "yew" / "0.png")
    with pytest.raises(ValueError, match="'yew' in .* at least 3 readable .* found 1"):
        load(f"folder:{folder}")


def test_too_few_images_once_the_bad_ones_are_skipped(folder):
    for i in range(0, 9):
        for path in (folder / "oak").glob(f"{i}.*"):
            path.write_bytes(b"broken")
    with pytest.raises(ValueError, match="'oak' in .* found 1"):
        load(f"folder:{folder}", skip_bad_images=True)


def test_streamed_folder_holds_the_same_splits(folder, monkeypatch):
    held = load(f"folder:{folder}", image_size=32)
    monkeypatch.setattr(image_folder, "MEMORY_LIMIT", 0)
    data = load(f"folder:{folder}", image_size=32)
    assert not data.train.in_memory
    np.testing.assert_array_equal(data.train.labels, held.train.labels)
    np.testing.assert_allclose(data.mean, held.mean, rtol=1e-12)
    np.testing.assert_allclose(data.std, held.std, rtol=1e-12)
    np.testing.assert_allclose(
        data.colour_components[0], held.colour_components[0], rtol=1e-9
    )


def test_progress_is_shown_on_stderr_when_checking_takes_long(
    folder, monkeypatch, capsys
):
    load(f"folder:{folder}")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(image_folder, "SHOW_PROGRESS", 10)
    load(f"folder:{folder}")
    captured = capsys.readouterr()
    assert "checked 20 of 20 images" in captured.err
    assert captured.out == ""


def in_classes(folder, save, names=("a", "b"), count=3):
    """`save(path without a suffix)` for each image of each class."""
    for name in names:
        (folder / name).mkdir(parents=True)
        for i in range(count):
            save(folder / name / f"{i}")


def test_other_formats(tmp_path):
    """A class for each."""
    kinds = {"webp": "WEBP", "bmp": "BMP", "gif": "GIF", "jfif": "JPEG"}
    picture = Image.new("RGB", (40, 30), (200, 100, 48))
    for suffix, kind in kinds.items():
        for mode in ("RGB", "P"):
            few = mode == "P" and suffix in ("bmp", "gif")
            shown = picture.quantize(4) if few else picture

            def save(path, shown=shown, suffix=suffix, kind=kind):
                shown.save(f"{path}.{suffix}", kind)

            in_classes(tmp_path, save, names=[f"{suffix}_{mode}"])
    data = load(f"folder:{tmp_path}")
    assert data.train.images.shape[1:] == (30, 30, 3)
    assert set(data.train.labels) == set(range(8))
    for image, label in zip(data.train.images, data.train.labels, strict=True):
        off = abs(image.astype(int) - (200, 100, 48)).max()
        assert off <= 3, data.class_names[label]


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_photographs_are_turned_as_people_see_them(tmp_path, suffix):
    """Pillow is the independent reference; a class for each orientation."""
    corner = np.zeros((32, 32, 3), np.uint8)
    corner[:16, :16], corner[:16, 16:] = 250, 120  # no two turns look alike
    expected = []
    for orientation in map(str, range(1, 9)):
        exif = Image.Exif()
        exif[0x0112] = int(orientation)

        def save(path, exif=exif):
            Image.fromarray(corner).save(f"{path}.{suffix}", exif=exif)

        in_classes(tmp_path, save, names=[orientation])
        with Image.open(tmp_path / orientation / f"0.{suffix}") as image:
            turned = ImageOps.exif_transpose(image).convert("RGB")
            expected.append(np.asarray(turned, int))
    train = load(f"folder:{tmp_path}").train
    assert train.images.shape[1:] == (32, 32, 3)
    assert set(train.labels) == set(range(8))
    for image, label in zip(train.images, train.labels, strict=True):
        off = abs(image - expected[label])
        assert off.max() < 60, label  # decoders differ at edges
        assert off.mean() < 3, label


def test_a_train_and_a_test_folder(tmp_path):
    rng = np.random.default_rng(0)

    def save(path):
        pixels = rng.integers(0, 256, (30, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(f"{path}.png")

    in_classes(tmp_path / "train", save, count=10)
    in_classes(tmp_path / "test", save, names=("b",), count=2)
    data = load(f"folder:{tmp_path}")
    assert data.class_names == ("a", "b")
    assert (data.train.size, data.validation.size, data.test.size) == (18, 2, 2)
    np.testing.assert_array_equal(data.test.labels, [1, 1])
    np.testing.assert_array_equal(np.bincount(data.validation.labels), [1, 1])
    in_classes(tmp_path / "val", save, count=4)
    data = load(f"folder:{tmp_path}")
    assert (data.train.size, data.validation.size, data.test.size) == (20, 8, 2)
    with pytest.raises(ValueError, match="validation images of its own.*got 5"):
        load(f"folder:{tmp_path}", validation=5)


def test_validation_images_are_the_test_where_there_are_no_others(tmp_path):
    picture = photograph(30, 30, seed=0)
    in_classes(tmp_path / "train", lambda path: picture.save(f"{path}.png"), count=10)
    in_classes(tmp_path / "val", lambda path: picture.save(f"{path}.png"))
    data = load(f"folder:{tmp_path}")
    assert (data.train.size, data.validation.size, data.test.size) == (18, 2, 6)


def test_the_size_is_the_median_of_all_images(tmp_path):
    """Every second one is large: no regular sample may see those only."""
    sizes = iter([30, 60] * 1010)

    def save(path):
        side = next(sizes)
        Image.new("L", (side, side)).save(f"{path}.png")

    in_classes(tmp_path, save, count=1010)
    assert load(f"folder:{tmp_path}").image_shape == (45, 45, 3)


def test_names_that_are_no_text(tmp_path):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    picture = photograph(30, 30, seed=0)
    names = [os.fsdecode(name) for name in (b"\xff", b"b", b"\xfe")]
    in_classes(folder, lambda path: picture.save(f"{path}{names[2]}.png"), names[:2])
    data = load(f"folder:{folder}")
    assert data.class_names == ("b", "\\xff")
    assert data.name.endswith("caf\\xe9")
    assert data.train.size == 2
    (folder / "b" / f"9{names[2]}.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"cannot read the .*9\\xfe.png") as error:
        load(f"folder:{folder}")
    str(error.value).encode()  # can be printed
    data = load(f"folder:{folder}", skip_bad_images=True)
    assert len(data.bad_images) == 1 and data.bad_images[0].endswith("9\\xfe.png")


def png_header(width, height):
    """A PNG of that size, with a hundred bytes of pixels."""

    def chunk(kind, body):
        crc = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + crc

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 100)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows)


@pytest.mark.parametrize("side", [12_000, 20_000, 10**6])
def test_huge_images_are_refused_by_their_header(folder, side):
    huge = folder / "oak" / "huge.png"
    huge.write_bytes(png_header(side, side))
    assert image_folder._short_sides([huge]) == [image_folder.TOO_LARGE]  # not decoded
    with pytest.raises(ValueError, match=r"huge.png has more than 134,217,728 pixels;"):
        load(f"folder:{folder}")


def test_what_is_not_taken_is_named(folder):
    with pytest.warns(UserWarning, match="1 files of type .txt, not read: oak/notes"):
        data = load(f"folder:{folder}")
    assert "1 hidden files: oak/.hidden.jpg" in data.left_out
