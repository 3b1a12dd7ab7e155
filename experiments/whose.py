"""Whose a record beside model files is.

`NAME.deploy.json` may stand beside NAME.keras, NAME.tflite, NAME.limbeck and a folder
NAME: it lists those that it is of, each with its SHA-256. One that lists none, written
by hand or by earlier versions, is of them all.
"""

from pathlib import Path
from typing import Any

from experiments.files import read_json, write_json

NAME = "deploy.json"
PROGRAMS = (".py", ".c")  # beside a record, of its .tflite files
FILE_KINDS = (".keras", ".tflite", ".limbeck")
WAY_OUT = "restore it, or delete it to do without"


def own(path: Path) -> Path:
    """The record of a file, or of a folder, whose name may have dots in it."""
    is_file = path.suffix in FILE_KINDS and not path.is_dir()
    return path.with_name(f"{path.stem if is_file else path.name}.{NAME}")


def former(path: Path) -> Path:
    """Where earlier versions wrote it: folders with a dot in their names shared it."""
    return path.with_name(f"{path.stem}.{NAME}")


def found(path: Path) -> Path | None:
    """The record that says how `path` is used; None if there is none.

    Its own, else that of the folder in which it lies, as stages write it.

    Raises:
        ValueError: the record is of another file of that name, or cannot be read.
    """
    record = _of(path)
    if record is not None:
        _require_as_listed(record, path)
    return record


def listed(record: Path) -> dict[str, Any]:
    """What a record says of each of its files; empty if it does not say whose it is.

    Raises:
        ValueError: it is no JSON; names it.
    """
    files = read_json(record, dict, way_out=WAY_OUT).get("files")
    return files if isinstance(files, dict) else {}


def others(record: Path, path: Path) -> dict[str, Any]:
    """What a record says of the files, still there, that it is of beside `path`.

    Raises:
        ValueError: it is no JSON; names it.
    """
    from experiments.runs.fingerprints import of_file

    if not record.is_file():
        return {}
    about = listed(record)
    if not about:
        about = {file.name: {"sha256": of_file(file)} for file in _sharing(record)}
    return {
        name: entry
        for name, entry in about.items()
        # A name that leads elsewhere is none that limbeck wrote.
        if name not in ("", "..", path.name)
        and Path(name).name == name
        and (record.parent / name).exists()
    }


def forget_replaced(path: Path) -> Path | None:
    """Take what was said of a file out of the record beside a new one in its place.

    The new one has no record. One that is of no other file is removed. Programs
    go with the last .tflite file that they are of. One that does
    not say whose it is, with other files beside it, is of those alone from now on.

    Returns:
        The record, if it was of the former file.

    Raises:
        ValueError: a record is no JSON; names it.
    """
    for record in dict.fromkeys((own(path), former(path))):
        if not record.is_file():
            continue
        about, left = listed(record), others(record, path)
        if path.name in about and not _is_the_same(path, about[path.name]):
            if left:
                _say_whose(record, left)
            else:
                record.unlink()
            if not any(name.endswith(".tflite") for name in left):
                for program in PROGRAMS:
                    record.with_suffix(program).unlink(missing_ok=True)
            return record
        if not about and left and record == own(path):
            _say_whose(record, left)
    return None


def is_as_listed(path: Path, entry: Any) -> bool:
    """Whether a file is the one that a record's entry is of, as far as that says."""
    return _sha256(entry) is None or _is_the_same(path, entry)


def _of(path):
    """The record that is of a file of this name, or is of all files there."""
    if (record := own(path)).is_file():
        about = listed(record)
        if not about or path.name in about or _is_one_of(path, about):
            return record
    if (record := former(path)).is_file() and path.name in listed(record):
        return record
    record = path.parent / NAME
    return record if record.is_file() else None


def _is_one_of(path, about):
    """Whether it is one of the files that are listed, renamed with its record."""
    from experiments.runs.fingerprints import of_file

    return of_file(path) in map(_sha256, about.values())


def _is_the_same(path, entry):
    from experiments.runs.fingerprints import of_file

    return _sha256(entry) == of_file(path)


def _sha256(entry):
    return entry.get("sha256") if isinstance(entry, dict) else None


def _sharing(record):
    """All whose record this can be by its name, of those that are there."""
    stem = record.name.removesuffix(f".{NAME}")
    files = [record.with_name(stem + kind) for kind in FILE_KINDS]
    folder = record.with_name(stem)
    found = [file for file in files if file.is_file()]
    return found + ([folder] if (folder / "saved_model.pb").is_file() else [])


def _say_whose(record, files):
    write_json(record, read_json(record, dict, way_out=WAY_OUT) | {"files": files})


def _require_as_listed(record, path):
    if not is_as_listed(path, listed(record).get(path.name)):
        raise ValueError(
            f"{record} is of another {path.name}, by its sha256, than {path} is now: "
            f"write that file again with limbeck, or delete {record.name}; if what it "
            f"says is right of the new file, too, take the sha256 of {path.name} out "
            "of it"
        )
