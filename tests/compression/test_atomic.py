"""Files and folders take their place whole; what a killed writer left is removed."""

import errno
import os
import resource

import pytest

from compression.atomic import naming, remove_leftovers, replacing


def test_a_writer_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "file.json"
    path.write_text("before")
    with pytest.raises(OSError, match="disk full"), replacing(path) as beside:
        beside.write_text("half")
        raise OSError("disk full")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def small_disk():
    """No file of this process grows beyond 4 KiB, as if the disk were full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_is_named_by_its_path(tmp_path, small_disk):
    path = tmp_path / "file.bin"
    with (
        pytest.raises(OSError, match=r"file\.bin") as caught,
        replacing(path) as beside,
    ):
        beside.write_bytes(bytes(10_000))
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(path))
    assert not list(tmp_path.iterdir())


def test_errors_that_name_a_file_or_have_no_number_keep_what_they_say(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, naming(tmp_path / "a"):
        (tmp_path / "b").read_bytes()
    assert caught.value.filename == str(tmp_path / "b")
    message = "a cannot be written: no room"
    with pytest.raises(OSError, match=message), naming(tmp_path / "a"):
        raise OSError("no room")


def test_a_folder_is_replaced_by_the_new_one(tmp_path):
    path = tmp_path / "model"
    path.mkdir()
    (path / "old").touch()
    with replacing(path) as beside:
        beside.mkdir()
        (beside / "new").touch()
    assert [p.name for p in path.iterdir()] == ["new"]


def test_a_file_does_not_replace_a_folder_nor_a_folder_a_file(tmp_path):
    folder, file = tmp_path / "a.json", tmp_path / "b"
    folder.mkdir()
    (folder / "mine").touch()
    file.write_text("mine")
    with (
        pytest.raises(IsADirectoryError, match=r"a\.json") as caught,
        replacing(folder) as beside,
    ):
        beside.write_text("{}")
    assert caught.value.filename == str(folder) and (folder / "mine").exists()
    with pytest.raises(NotADirectoryError) as caught, replacing(file) as beside:
        beside.mkdir()
    assert caught.value.filename == str(file) and file.read_text() == "mine"


def test_what_a_link_leads_to_is_replaced_and_the_link_stays(tmp_path):
    (tmp_path / "disk").mkdir()
    for name, target in {"a.json": "disk/1.json", "b.json": "disk/2.json"}.items():
        (tmp_path / name).symlink_to(target)
    (tmp_path / "disk/1.json").write_text("old")  # nothing is at the other's end
    for name, target in {"a.json": "disk/1.json", "b.json": "disk/2.json"}.items():
        with replacing(tmp_path / name) as beside:
            assert beside.name == name
            beside.write_text("new")
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / target).read_text() == "new"
    assert len(list((tmp_path / "disk").iterdir())) == 2


def test_a_device_is_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with (
        pytest.raises(OSError, match="no file: not replaced") as caught,
        replacing(pipe) as beside,
    ):
        beside.write_text("{}")
    assert caught.value.filename == str(pipe) and pipe.is_fifo()


def test_only_leftovers_of_killed_writers_are_removed(tmp_path):
    """Hidden folders of others stay, and links, also those that look like ours."""
    writer = replacing(tmp_path / "stages/seed0/rows.json")
    beside = writer.__enter__()  # and it was killed here
    beside.write_text("half")
    for name in (".git", ".ipynb_checkpoints", "stages/.dvc"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "mine").touch()
    elsewhere = tmp_path / ".git/.x.limbeck-unfinished-not"
    elsewhere.mkdir()
    link = tmp_path / "stages/.link.limbeck-unfinished"
    link.symlink_to(elsewhere)
    (tmp_path / ".dangling").symlink_to("nowhere")
    remove_leftovers(tmp_path)
    assert not beside.parent.exists()
    assert (tmp_path / "stages/seed0").is_dir()
    for name in (".git", ".ipynb_checkpoints", "stages/.dvc"):
        assert (tmp_path / name / "mine").exists()
    assert elsewhere.is_dir() and link.is_symlink()
