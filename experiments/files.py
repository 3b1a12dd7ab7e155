"""JSON files that appear whole or not at all."""

import json
from pathlib import Path
from typing import Any

from compression.atomic import replacing


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON."""
    with replacing(path) as beside:
        beside.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        ValueError: the file is not JSON; names it.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
