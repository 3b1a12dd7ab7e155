"""The command `limbeck`, also `python -m limbeck`: a name that nobody's folders have.

It is installed beside our packages, whose names are common: a folder `experiments` of
somebody else that comes earlier on the path would be taken for ours.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("architectures", "compression", "experiments")
HERE = Path(__file__).resolve()
ROOTS = (HERE.parents[1], HERE.parents[4])  # where installed, and in a checkout


def main() -> int:
    """Run a command; returns the exit status, 2 also where a package is hidden."""
    for name in PACKAGES:
        found = _file(name)
        if found is None or found.parents[1] not in ROOTS:
            what = "was not found" if found is None else f"is {found}"
            print(
                f"limbeck: the package {name!r} {what}, not limbeck's own: take what "
                "hides it off PYTHONPATH, rename it, or run from another folder",
                file=sys.stderr,
            )
            return 2
    from experiments.cli.main import main as run

    return run()


def _file(name):
    """The file that Python would import under that name; nothing is imported."""
    spec = find_spec(name)
    if spec is None:
        return None
    if spec.origin is None:  # a folder without __init__.py
        return Path(next(iter(spec.submodule_search_locations))).resolve() / "?"
    return Path(spec.origin).resolve()
