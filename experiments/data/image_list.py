"""A CSV file that lists images: a path, a label and perhaps a part in each row."""

import csv
import os
import warnings
from pathlib import Path

import numpy as np

from compression.nearest import did_you_mean
from experiments.data.image_files import ImageFiles, readable
from experiments.data.parts import PARTS

# How people call the columns, in lower case; without such a header, in this order.
COLUMNS = {
    "path": ("path", "file", "filename", "filepath", "image"),
    "label": ("label", "class", "category"),
    "split": ("split", "part", "set", "subset"),
}
PATH, LABEL, SPLIT = COLUMNS


def find_listed(path: Path) -> ImageFiles:
    """The images of a list, in its order; paths are from the list's folder, or ~.

    Columns are path, label and, for images that are split already, split; in that
    order, or in any order under a header that says so.

    Raises:
        FileNotFoundError: there is no such list.
        ValueError: a row lacks a path, a label or a part, or has more columns than
            the header, or the first row, has; or a part has a class that the train
            part lacks, or an image stands there twice; names the line.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no list of images at {path}")
    found, left_out = _rows(path)
    folder = path.absolute().parent
    paths = [folder / _from_home(row[PATH]) for _, row in found]
    class_names = sorted({row[LABEL] for _, row in found})
    _note_numbers(path, class_names)
    _check_once(path, found, paths)
    parts = None
    if found and SPLIT in found[0][1]:
        parts = np.array([_part(path, line, row[SPLIT]) for line, row in found])
        _check_parts(path, found, parts)
    number = {name: label for label, name in enumerate(class_names)}
    return ImageFiles(
        class_names=tuple(map(readable, class_names)),
        paths=paths,
        labels=np.array([number[row[LABEL]] for _, row in found], np.int64),
        parts=parts,
        left_out=left_out,
    )


def _rows(path):
    """(line, {column: text}) of each image, and what is left out."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            lines = [(reader.line_num, [x.strip() for x in row]) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is no CSV file: {error}") from error
    lines = [(number, row) for number, row in lines if any(row)]
    if not lines:
        raise ValueError(f"{path} lists no images")
    where, left_out = _header(lines[0][1])
    width = len(lines[0][1])
    _check_widths(path, lines, width)
    if where is None:
        if width not in (2, 3):
            raise ValueError(
                f"{path} must have the columns path,label or path,label,split, got "
                f"{width} in line {lines[0][0]}: {', '.join(lines[0][1])[:60]!r}"
            )
        where = dict(zip(COLUMNS, range(width), strict=False))
    else:
        lines = lines[1:]
    return [(line, _row(path, line, row, where)) for line, row in lines], left_out


def _header(row):
    """Column -> where it stands, None of a row that is no header; and the others."""
    words = [word.lower() for word in row]
    where = {
        column: words.index(name)
        for column, names in COLUMNS.items()
        for name in reversed(names)
        if name in words
    }
    if PATH not in where or LABEL not in where:
        return None, ()
    others = [row[i] for i in range(len(row)) if i not in where.values()]
    return where, (f"{len(others)} columns: {', '.join(others[:3])}",) if others else ()


def _check_widths(path, lines, width):
    """What stands behind the last column would be lost, and be no one's label."""
    for line, row in lines:
        if any(row[width:]):
            raise ValueError(
                f"{path}, line {line} has {len(row)} columns, line {lines[0][0]} has "
                f"{width}: put a text with a comma in it in quotes, as in "
                '"a, b.png",label; a third column needs the header path,label,split'
            )


def _row(path, line, row, where):
    found = {name: row[i] if i < len(row) else "" for name, i in where.items()}
    lacking = [name for name, text in found.items() if not text]
    if lacking:
        raise ValueError(f"{path}, line {line} has no {lacking[0]}")
    return found


def _part(path, line, text):
    if text.lower() not in PARTS:
        raise ValueError(
            f"{path}, line {line}: no part called {text!r}"
            f"{did_you_mean(text, PARTS)}; choose from train, val, test"
        )
    return PARTS[text.lower()]


def _from_home(text):
    return Path(text).expanduser() if text.startswith("~/") else text


def _note_numbers(path, class_names):
    """Labels are texts; a net that was trained on numbers has them in their order."""
    if not all(name.isdecimal() for name in class_names):
        return
    if class_names != sorted(class_names, key=int):
        warnings.warn(
            f"the labels in {path} are numbers and taken as names, in this order: "
            f"{', '.join(class_names[:5])}, ...; a net that was trained elsewhere may "
            "have its classes in another (zeros in front, as 02, make both the same)",
            stacklevel=4,
        )


def _check_once(path, found, paths):
    lines = {}
    for (line, _), image in zip(found, paths, strict=True):
        where = os.path.normpath(image)  # "b/../a.png" is a.png
        if where in lines:
            raise ValueError(
                f"{path} lists {readable(image)} twice, in lines {lines[where]} and "
                f"{line}"
            )
        lines[where] = line


def _check_parts(path, found, parts):
    trained = {
        row[LABEL]
        for (_, row), part in zip(found, parts, strict=True)
        if part == "train"
    }
    for (line, row), part in zip(found, parts, strict=True):
        if row[LABEL] not in trained:
            raise ValueError(
                f"{path}, line {line}: {row[LABEL]!r} is a class of the {part} images "
                f"that the train images lack; they have {sorted(trained)[:10]}"
            )
