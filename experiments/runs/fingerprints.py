"""What a stage read and wrote, by content: so that a resumed run trusts no mere name.

A folder that is there may have been changed, or made from a model that was since
replaced. Each finished stage keeps the SHA-256 of its files, and that of the models
that it was made from; rows keep those of the files that they measured, and beside the
rows of a seed stands their own.
"""

import hashlib
import json
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from experiments.files import write_json
from experiments.runs.layout import (
    MADE_AGAIN,
    MeasureFolder,
    RunFolder,
    StageFolder,
)

# Parts of a .keras file that differ each time one and the same model is saved: the
# date, how it was compiled, and the addresses that objects had in memory.
DATED, COMPILED, ADDRESS = "metadata.json", "compile_config", "shared_object_id"


def seal(
    folder: StageFolder | MeasureFolder,
    read: dict[str, str],
    *,
    besides: Collection[Path] = (),
) -> None:
    """Record what was written in a folder, and the models that a stage was made from.

    Args:
        folder: of a stage or of measurements, all of it written.
        read: fingerprints of the models that it read, by the stage's name.
        besides: files there that will not stay.
    """
    others = {folder.fingerprints, *besides}
    write_json(
        folder.fingerprints,
        {
            "read": read,
            "wrote": {
                str(path.relative_to(folder.path)): of_file(path)
                for path in sorted(folder.path.rglob("*"))
                if path.is_file() and path not in others
            },
        },
    )


def require_as_written(folder: StageFolder | MeasureFolder) -> None:
    """Check every file of a finished folder; those of earlier versions have no seal.

    Raises:
        ValueError: a file is missing or has changed; names it and the way out.
    """
    for name in folder.read_fingerprints()["wrote"]:
        path = folder.path / name
        if not is_as_written(folder, path):
            state = f"is not what {folder.author} wrote"
            if not path.is_file():
                state = "is missing"
            raise ValueError(f"{path} {state}; {folder.way_out}")


def is_as_written(folder: StageFolder | MeasureFolder, path: Path) -> bool:
    """Whether a file of a finished folder has not changed, as far as its seal says."""
    wrote = folder.read_fingerprints()["wrote"].get(str(path.relative_to(folder.path)))
    return wrote is None or path.is_file() and of_file(path) == wrote


def rows_as_measured(folder: RunFolder) -> list[dict[str, Any]]:
    """The rows of a run, which are those that were measured.

    A run folder that has lost its stages, or that earlier versions measured, has
    nothing to compare them with: they are taken as they are.

    Raises:
        FileNotFoundError: as `RunFolder.read_rows`.
        ValueError: as there; or a row, or what it was gathered from, has changed since.
    """
    rows = folder.read_rows()
    for measured in folder.measured():
        if not measured.fingerprints.is_file():
            continue
        require_as_written(measured)
        there = measured.read_rows()
        known = {json.dumps(row, sort_keys=True) for row in there}
        seeds = {row["seed"] for row in there}
        for row in rows:
            if row["seed"] in seeds and json.dumps(row, sort_keys=True) not in known:
                raise ValueError(
                    f"{folder.rows}: the row of stage {row['stage']!r}, seed "
                    f"{row['seed']}, is not what was measured; {MADE_AGAIN}"
                )
    return rows


def outdated(folder: StageFolder, inputs: Mapping[str, StageFolder]) -> list[str]:
    """Names of inputs that are other models now than when the stage was run."""
    read = folder.read_fingerprints()["read"]
    return [
        name
        for name, source in inputs.items()
        if name in read and of_model(source.model) != read[name]
    ]


def of_model(path: Path) -> str:
    """SHA-256, in hex, of the net and the weights in a .keras file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged; names it.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:  # what cannot be opened is not damaged
        try:
            with zipfile.ZipFile(file) as archive:
                for name in sorted(set(archive.namelist()) - {DATED}):
                    digest.update(name.encode() + _lasting_part(archive, name))
        except Exception as error:  # of zip, JSON and struct, no common base
            raise ValueError(
                f"{path} is not a readable Keras file ({error}); delete the folder "
                f"{path.parent} to run that stage again"
            ) from error
    return digest.hexdigest()


def of_file(path: Path) -> str:
    """SHA-256, in hex, of a file, or of all files in a folder with their names."""
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    for inner in sorted(p for p in path.rglob("*") if p.is_file()):
        digest.update(f"{inner.relative_to(path)} {of_file(inner)}\n".encode())
    return digest.hexdigest()


def _lasting_part(archive, name):
    content = archive.read(name)
    if name != "config.json":
        return content
    return json.dumps(_lasting(json.loads(content)), sort_keys=True).encode()


def _lasting(config):
    if isinstance(config, list):
        return [_lasting(part) for part in config]
    if not isinstance(config, dict):
        return config
    kept = config.keys() - {COMPILED, ADDRESS}
    return {key: _lasting(config[key]) for key in kept}
