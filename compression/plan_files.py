"""Plans as files: JSON that people read and edit, a line for each layer."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

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
    with replacing(Path(path)) as new:
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
    content = Path(path).read_bytes()
    try:
        read = json.loads(content)
        if read["format"] != form:
            raise ValueError(f"its format is {read['format']!r}")
        return made(read)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is not a {kind} ({form!r}) as {writer} writes it: {error!r}"
        ) from error
