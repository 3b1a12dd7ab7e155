"""How a piece of a run has failed, kept beside what it would have made.

Other processes then do not try the same again. Whoever comes later does.
"""

import datetime
import traceback
from pathlib import Path
from typing import Any

from compression.one_line import in_one_line
from experiments.files import read_json, write_json
from experiments.runs import contents
from experiments.runs.holder import this_process


def keep(path: Path, error: BaseException) -> None:
    """Write how it has failed, for people and for `kept`."""
    write_json(
        path,
        {
            "error": in_one_line(error),
            "by": str(this_process()),
            "at": datetime.datetime.now(datetime.UTC).isoformat(),
            "trace": traceback.format_exception(error),
        },
    )


def kept(path: Path) -> dict[str, Any] | None:
    """What `keep` has written; None: it has not failed.

    Raises:
        ValueError: the file cannot be read; names it and the way out.
    """
    try:
        return read_json(path, contents.Failure, way_out="delete it to try again")
    except FileNotFoundError:
        return None
