"""A CSV list of images: its columns, its parts, and what is refused, by line."""

import warnings

import numpy as np
import pytest
from PIL import Image

from experiments.data import load
from experiments.data.image_list import find_listed


@pytest.fixture
def listed(tmp_path):
    """Function of a list's text -> its path; the images it names have their own grey.

    `jpg/A0.png`, ... of grey 10 * number, beside the list.
    """
    (tmp_path / "jpg").mkdir()
    for i in range(12):
        Image.new("L", (30, 40), 10 * i).save(tmp_path / f"jpg/A{i}.png")

    def write(text):
        path = tmp_path / "list.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def rows(labels, parts=None):
    parts = [f",{part}" for part in parts] if parts else [""] * len(labels)
    both = zip(labels, parts, strict=True)
    return "".join(f"jpg/A{i}.png,{x}{part}\n" for i, (x, part) in enumerate(both))


def greys(split):
    return {int(image[0, 0, 0]) // 10: label for image, label in zip(
        split.images, split.labels, strict=True
    )}  # fmt: skip


def test_an_unsplit_list_is_cut_seventy_ten_twenty(listed):
    data = load(f"csv:{listed(rows('ab' * 6))}")
    assert data.class_names == ("a", "b") and data.image_shape == (30, 30, 3)
    sizes = [split.size for split in (data.train, data.validation, data.test)]
    assert sizes == [8, 2, 2]
    found = greys(data.train) | greys(data.validation) | greys(data.test)
    assert found == {i: i % 2 for i in range(12)}  # no image in two parts, labels kept


def test_a_header_in_any_order_and_parts(listed, tmp_path):
    parts = ["train"] * 6 + ["VAL"] * 2 + ["test"] * 4
    lines = [
        f"{part},7,{tmp_path / 'jpg'}/A{i}.png,{'no' if i % 2 else 'yes'}"
        for i, part in enumerate(parts)
    ]
    path = listed("\ufeffSplit, Age ,Filename,Class\n" + "\n".join(lines) + "\n\n")
    with pytest.warns(UserWarning, match="1 columns: Age"):
        data = load(f"csv:{path}")
    assert data.class_names == ("no", "yes")
    assert greys(data.train) == {0: 1, 1: 0, 2: 1, 3: 0, 4: 1, 5: 0}
    assert set(greys(data.validation)) == {6, 7}
    assert set(greys(data.test)) == {8, 9, 10, 11}


def test_a_bad_image_is_named_or_left_out(listed, tmp_path):
    path = listed(rows("ab" * 6))
    (tmp_path / "jpg/A3.png").write_bytes(b"no image")
    (tmp_path / "jpg/A4.png").unlink()
    with pytest.raises(
        ValueError, match=r"cannot read .*A3.png \(and 1 more\); --skip"
    ):
        load(f"csv:{path}")
    data = load(f"csv:{path}", skip_bad_images=True)
    assert len(data.bad_images) == 2
    assert data.train.size + data.validation.size + data.test.size == 10


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lists no images"),
        ("jpg/A0.png\n", "path,label or path,label,split, got 1 in line 1: 'jpg/A0"),
        ("jpg/A0.png;a\n", "got 1 in line 1"),
        ("jpg/A0.png,a\njpg/A1.png\n", "line 2 has no label"),
        ("path,label\n,a\n", "line 2 has no path"),
        ("a.png,a\nb, c.png,b\n", "line 2 has 3 columns, line 1 has 2: put .* quotes"),
        ("path,label\na.png,a,val\n", "line 2 has 3 .*needs the header path,label,sp"),
        ("a.png,a,train\nb.png,b,c,train\n", "line 2 has 4 columns, line 1 has 3"),
        ("a.png,a,train\na.png,a,test\n", "lists .*a.png twice, in lines 1 and 2"),
        ("jpg/a.png,a\njpg/x/../a.png,b\n", "twice, in lines 1 and 2"),
        ("a.png,a,trian\n", r"'trian' \(did you mean train\?\); choose from train, v"),
        ("a.png,a,train\nb.png,b,test\n", r"line 2: 'b' is a class of the test .*'a'"),
        (
            rows("aabbbbbbbbbb"),
            "class 'a' in .*list.csv must have at least 3 .*found 2",
        ),
        (rows("aaaaaaaaaaaa"), r"at least two classes, found \['a'\]"),
        (rows("ab" * 6, ["train"] * 12), "train images only: some must be test or val"),
    ],
)
def test_what_is_refused(text, message, listed):
    path = listed(text)
    with pytest.raises(ValueError, match=message):
        load(f"csv:{path}")


def test_empty_columns_at_the_end_are_no_columns(listed):
    path = listed('path,label\n"a, b.png",a,,\nc.png,b\n')
    assert [image.name for image in find_listed(path).paths] == ["a, b.png", "c.png"]


def test_no_list_and_no_text(tmp_path):
    with pytest.raises(FileNotFoundError, match="no list of images at /no/list.csv"):
        load("csv:/no/list.csv")
    (tmp_path / "list.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="list.csv is no CSV file"):
        find_listed(tmp_path / "list.csv")


def test_paths_are_the_lists_own(listed, tmp_path):
    found = find_listed(listed(rows("ab")))
    assert found.paths == [tmp_path / "jpg/A0.png", tmp_path / "jpg/A1.png"]
    np.testing.assert_array_equal(found.labels, [0, 1])


def test_a_path_may_begin_at_home(listed, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    found = find_listed(listed(rows("ab" * 6).replace("jpg/", "~/jpg/")))
    assert found.paths[3] == tmp_path / "jpg/A3.png"


def test_numbers_are_names_and_a_word_is_said_where_their_order_differs(listed):
    labels = [str(i) for i in range(12)]
    with pytest.warns(UserWarning, match="in this order: 0, 1, 10, 11, 2, ..."):
        found = find_listed(listed(rows(labels)))
    assert found.class_names[:4] == ("0", "1", "10", "11")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        find_listed(listed(rows([f"{i:02}" for i in range(12)])))
        find_listed(listed(rows("01" * 6)))
