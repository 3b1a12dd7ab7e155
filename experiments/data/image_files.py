"""Which files of a folder are images of which class, and what is left out, and why."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.data.parts import PARTS

SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif"),
    *(".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pnm"),
}
ARCHIVER = "__MACOSX"  # what macOS puts beside a zipped folder
SHOWN = 3  # examples of each reason


@dataclass(frozen=True)
class ImageFiles:
    """The images of a folder, sorted by part, class and path.

    Attributes:
        class_names: sorted.
        paths: of all images.
        labels: (n,) int64 positions in `class_names`.
        parts: (n,) "train", "validation" or "test"; None where nobody has split them.
        left_out: a line for each reason why something was not taken.
    """

    class_names: tuple[str, ...]
    paths: list[Path]
    labels: np.ndarray
    parts: np.ndarray | None
    left_out: tuple[str, ...]


def find_images(folder: Path) -> ImageFiles:
    """Every image in the sub-folders of `folder`, however deep in the class's own.

    `folder` has a sub-folder for each class, or `train` and others (see `PARTS`) that
    have one each.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: a part has a class that the train part lacks, or two sub-folders
            are the same part; or one is a part and another is neither a part nor,
            then, a class.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder of images at {folder}")
    folder = folder.absolute()
    left_out = _LeftOut(folder)
    children = _folders(folder, left_out)
    parts = _parts(folder, children)
    if parts is None:
        homes = [(None, child) for child in children]
    else:
        homes = [
            (part, child)
            for home, part in parts.items()
            for child in _folders(home, left_out)
        ]
        _check_parts(folder, parts, homes)
    class_names = sorted({child.name for _, child in homes})
    paths, labels, of = [], [], []
    for part, child in homes:
        images = sorted(_images(child, left_out))
        paths += images
        labels += [class_names.index(child.name)] * len(images)
        of += [part] * len(images)
    return ImageFiles(
        class_names=tuple(map(readable, class_names)),
        paths=paths,
        labels=np.array(labels, np.int64),
        parts=None if parts is None else np.array(of),
        left_out=left_out.lines(),
    )


def find_unlabelled(folder: Path) -> ImageFiles:
    """Every image in `folder`, however deep, of no class.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder of images at {folder}")
    left_out = _LeftOut(folder.absolute())
    paths = sorted(_images(folder.absolute(), left_out))
    labels = np.zeros(len(paths), np.int64)
    return ImageFiles((), paths, labels, None, left_out.lines())


def readable(name: object) -> str:
    """A file name that can be printed: bytes that are no text are shown by number."""
    return os.fsencode(str(name)).decode("utf-8", "backslashreplace")


class _LeftOut:
    """What is not taken, by reason."""

    def __init__(self, folder):
        self.folder = folder
        self.paths = defaultdict(list)

    def add(self, reason, path):
        self.paths[reason].append(path)

    def lines(self):
        return tuple(
            f"{len(paths)} {reason}: "
            + ", ".join(readable(p.relative_to(self.folder)) for p in paths[:SHOWN])
            + (", ..." if len(paths) > SHOWN else "")
            for reason, paths in self.paths.items()
        )


def _parts(folder, children):
    """Sub-folder -> its part, of a folder that is split already; None of any other."""
    inside = {
        child: _folders(child, _LeftOut(child))
        for child in children
        if child.name.lower() in PARTS
    }
    parts = {child: PARTS[child.name.lower()] for child in inside if inside[child]}
    whole = len(parts) == len(children) >= 2 and "train" in parts.values()
    if not whole:  # a class may be called "test": classes have no classes in them
        divided = [child for child in parts if any(map(_has_images, inside[child]))]
        if divided:
            raise ValueError(_half_split(folder, children, divided))
    return parts if whole else None


def _has_images(folder):
    return any(True for _ in _images(folder, _LeftOut(folder)))


def _half_split(folder, children, divided):
    """What is wrong with a folder some of whose sub-folders are parts, and ways out."""
    parts = {child: PARTS[child.name.lower()] for child in divided}
    odd = [readable(child.name) for child in children if child not in parts]
    names = " and ".join(readable(child.name) for child in divided)
    trains = [child for child in divided if parts[child] == "train"]
    ways = [f"give {odd[0]} a sub-folder for each class, too"] if odd else []
    if odd and trains and len(divided) > 1:
        ways.append(f"move {odd[0]} away")
    chosen = (trains or divided)[0]
    ways.append(f"give folder:{readable(chosen)} alone, which is cut in three")
    if not trains:
        ways.append(f"rename {names}, if that is a class")
    lacks = f"and {odd[0]} has not" if odd else "and there is no other part"
    if not odd and not trains:
        lacks = "and there is no train"
    return (
        f"{readable(folder)} is split into parts: {names} has a sub-folder for each "
        f"class, {lacks}: {', or '.join(ways)}"
    )


def _check_parts(folder, parts, homes):
    twice = [part for part, n in Counter(parts.values()).items() if n > 1]
    if twice:
        names = [child.name for child, part in parts.items() if part in twice]
        raise ValueError(f"{folder} has {twice[0]} images twice: in {names}")
    trained = {child.name for part, child in homes if part == "train"}
    for part, child in homes:
        if child.name not in trained:
            raise ValueError(
                f"{child} is a class of the {part} images that the train images lack; "
                f"they have {sorted(map(readable, trained))}"
            )


def _folders(folder, left_out) -> list[Path]:
    """The visible sub-folders, sorted."""
    found = []
    for child in sorted(folder.iterdir()):
        if not child.is_dir():
            kind = "hidden files" if child.name.startswith(".") else "files in no class"
            left_out.add(kind, child)
        elif child.name.startswith("."):
            left_out.add("hidden folders", child)
        elif child.name == ARCHIVER:
            left_out.add("folders of an archiver", child)
        else:
            found.append(child)
    return found


def _images(folder, left_out) -> Iterator[Path]:
    for home, folders, files in os.walk(folder):
        home = Path(home)
        folders.sort()
        for name in list(folders):
            path = home / name
            if name.startswith("."):
                left_out.add("hidden folders", path)
                folders.remove(name)
            elif path.is_symlink():  # which may lead back here
                left_out.add("links to folders", path)
        for name in sorted(files):
            path = home / name
            suffix = path.suffix.lower()
            if name.startswith("."):
                left_out.add("hidden files", path)
            elif suffix in SUFFIXES:
                yield path
            else:
                left_out.add(f"files of type {suffix or '(none)'}, not read", path)
