"""Plans as files: JSON that people read and edit, a line for each layer."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from compression.arguments import as_path
from compression.atomic import replacing

Plan = TypeVar("Plan")


def write_plan(
    path: str | Path, form: str, head: Mapping[str, Any], layers: Mapping[str, Any]
) -> None:
    """Writes a plan, atomically.

    Args:
        path: of the file.
        form: name and version of the format.
        head: what stands before the layers, a line each.
        layers: what is planned for each, by its name.
    """
    lines = [
        f"  {json.dumps(key)}: {json.dumps(value)},\n"
        for key, value in {"format": form, **head}.items()
    ]
    rows = ",\n".join(
        f"    {json.dumps(layer)}: {json.dumps(value)}"
        for layer, value in layers.items()
    )
    with replacing(as_path(path)) as new:
        new.write_text(f'{{\n{"".join(lines)}  "layers": {{\n{rows}\n  }}\n}}\n')


def read_plan(
    path: str | Path, form: str, made: Callable[[dict], Plan], *, kind: str, writer: str
) -> Plan:
    """The plan that `write_plan` wrote, or that somebody edited.

    Args:
        path: of the file.
        form: as it was written.
        made: of the file's content makes the plan.
        kind: of plan, in words.
        writer: the function that writes such a file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such plan.
    """
    content = as_path(path).read_bytes()
    try:
        read = json.loads(content, object_pairs_hook=_each_once)
        if read["format"] != form:
            raise ValueError(f"its format is {read['format']!r}")
        return made(read)
    except (
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        RecursionError,
    ) as error:
        raise ValueError(
            f"{path} is not a {kind} ({form!r}) as {writer} writes it: {error!r}"
        ) from error


def whole(value: Any) -> int:
    """A whole number of a plan; TypeError for any other value, True and 1.0 too."""
    if type(value) is not int:
        raise TypeError(f"{value!r} is no whole number")
    return value


def text(value: Any) -> str:
    """A text of a plan; TypeError for any other value."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def listed(value: Any) -> list:
    """A list of a plan; TypeError for any other value, a text too."""
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    return value


def _each_once(pairs):
    """An object of JSON; a key that stands there twice would silently count once."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"{twice!r} stands there twice")
    return found
