"""Which files of a folder are taken as images of which class, and what is not."""

import pytest

from experiments.data.image_files import find_images


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def taken(found):
    return [
        (found.class_names[label], path.name)
        for label, path in zip(found.labels, found.paths, strict=True)
    ]


def test_every_suffix_that_is_read_in_any_case(tmp_path):
    names = ["1.jpg", "2.JPEG", "3.jfif", "4.jpe", "5.png", "6.bmp", "7.GIF", "8.webp"]
    names += ["9.tif", "91.TIFF", "92.ppm", "93.pgm", "94.pnm"]
    touch(tmp_path, *(f"ash/{name}" for name in names), "oak/1.png")
    found = find_images(tmp_path)
    assert taken(found) == [("ash", name) for name in names] + [("oak", "1.png")]
    assert found.parts is None and found.left_out == ()


def test_deeper_folders_are_of_their_class(tmp_path):
    touch(tmp_path, "ash/2019/may/1.jpg", "ash/0.jpg", "oak/a/2.jpg")
    assert taken(find_images(tmp_path)) == [
        ("ash", "0.jpg"), ("ash", "1.jpg"), ("oak", "2.jpg")
    ]  # fmt: skip


def test_what_is_left_out_is_named_with_the_reason(tmp_path):
    touch(
        tmp_path,
        *("ash/1.jpg", "oak/1.jpg", "readme.md", ".net/1.jpg", "__MACOSX/ash/._1.jpg"),
        *(f"ash/{i}.heic" for i in range(5)),
        *("ash/.DS_Store", "oak/.thumbs/1.jpg", "oak/LABELS"),
    )
    (tmp_path / "oak/again").symlink_to(tmp_path / "oak")
    found = find_images(tmp_path)
    assert taken(found) == [("ash", "1.jpg"), ("oak", "1.jpg")]
    assert sorted(found.left_out) == [
        "1 files in no class: readme.md",
        "1 files of type (none), not read: oak/LABELS",
        "1 folders of an archiver: __MACOSX",
        "1 hidden files: ash/.DS_Store",
        "1 links to folders: oak/again",
        "2 hidden folders: .net, oak/.thumbs",
        "5 files of type .heic, not read: ash/0.heic, ash/1.heic, ash/2.heic, ...",
    ]


@pytest.mark.parametrize("validation", ["val", "valid", "Validation"])
def test_ready_made_parts(tmp_path, validation):
    touch(tmp_path, "train/ash/1.jpg", "train/oak/2.jpg", "test/oak/3.jpg")
    touch(tmp_path, f"{validation}/ash/4.jpg", "train/list.txt", "notes.txt")
    found = find_images(tmp_path)
    assert found.class_names == ("ash", "oak")
    of = dict(zip([path.name for path in found.paths], found.parts, strict=True))
    assert of == {
        "1.jpg": "train", "2.jpg": "train", "3.jpg": "test", "4.jpg": "validation"
    }  # fmt: skip
    assert found.left_out == ("2 files in no class: notes.txt, train/list.txt",)


def test_classes_called_train_and_test_are_classes(tmp_path):
    touch(tmp_path, "train/1.jpg", "test/2.jpg")
    assert taken(find_images(tmp_path)) == [("test", "2.jpg"), ("train", "1.jpg")]


def test_classes_by_the_name_of_a_part_beside_others(tmp_path):
    touch(tmp_path, "train/1.jpg", "train/.seen/2.jpg", "plane/3.jpg", "car/x/4.jpg")
    (tmp_path / "train" / "empty").mkdir()
    assert taken(find_images(tmp_path)) == [
        ("car", "4.jpg"), ("plane", "3.jpg"), ("train", "1.jpg")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["test/1.png"], r"and test has not: give test a sub-folder .*/train al"),
        (["test/cat/1.png", "unused/cat/1.png"], "unused has not: .*move unused away"),
        (["cat/1.png"], "and cat has not: .*or give folder:.*/train alone, which is"),
        ([], "train has a sub-folder .*no other part: give folder:.*/train alone"),
    ],
)
def test_a_folder_of_which_only_some_is_a_part_is_refused(tmp_path, names, message):
    touch(tmp_path, "train/cat/1.png", "train/dog/2.png", *names)
    with pytest.raises(ValueError, match=f"{tmp_path} is split into .*{message}"):
        find_images(tmp_path)


def test_parts_without_train_are_refused(tmp_path):
    touch(tmp_path, "val/cat/1.png", "test/cat/2.png")
    with pytest.raises(ValueError, match="test and val .*no train: .*/test al.* ren"):
        find_images(tmp_path)


def test_parts_that_do_not_fit_are_refused(tmp_path):
    touch(tmp_path, "train/ash/1.jpg", "train/oak/1.jpg", "test/yew/1.jpg")
    with pytest.raises(ValueError, match=r"test/yew is a class of the test .*'oak'"):
        find_images(tmp_path)
    touch(tmp_path, "val/ash/1.jpg", "valid/ash/1.jpg")
    with pytest.raises(ValueError, match=r"validation images twice: in \['val', 'val"):
        find_images(tmp_path)
