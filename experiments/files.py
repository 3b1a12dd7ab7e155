"""Text and JSON in files: written whole or not at all, checked when it is read."""

import json
from pathlib import Path
from typing import Any

from compression.atomic import replacing
from experiments.schema import require


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON."""
    with replacing(path) as beside:
        beside.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def read_json(path: Path, kind: Any = Any, *, way_out: str = "") -> Any:
    """Read JSON.

    Args:
        path: of the file.
        kind: what it must hold, as `experiments/schema.py` has it.
        way_out: what a person can do where it does not; ends the message.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not JSON, or holds something else; names it and the
            key that is wrong.
    """
    return from_json(read_text(path, way_out=way_out), path, kind, way_out=way_out)


def from_json(text: str, source: Path | str, kind: Any = Any, *, way_out: str = ""):
    """`text`, which comes from `source`, as JSON; otherwise as `read_json`."""
    end = f"; {way_out}" if way_out else ""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{source} is not JSON: {error}{end}") from error
    try:
        require(value, kind)
    except ValueError as error:
        raise ValueError(f"{source}: {error}{end}") from error
    return value


def read_text(path: Path, *, way_out: str = "") -> str:
    """Read a text.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not UTF-8; names the file.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        end = f"; {way_out}" if way_out else ""
        raise ValueError(f"{path} is not UTF-8: {error}{end}") from error
