"""Pictures of nets as files: .png or .svg, whole or not at all, the same each time."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg")
DPI = 130
MOST_PIXELS = 30_000  # a side; most viewers give up at 32,767


def check_path(path: Path) -> None:
    """Refuses a file that is no picture.

    Raises:
        ValueError: `path` ends neither in .png nor in .svg, or is a folder.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"a drawing is a {' or '.join(SUFFIXES)} file, got {path}")
    if path.is_dir():
        raise ValueError(f"{path} is a folder: give another file for the drawing")


def save(path: Path, net: str, draw: Callable[[], "Figure"]) -> None:
    """Writes what `draw` gives.

    Args:
        path: of the picture.
        net: name of the net: the identifiers in an .svg file come from it.
        draw: makes the figure.

    Raises:
        ValueError: `path` is no picture.
    """
    from matplotlib import rc_context

    check_path(path)
    with rc_context({"svg.hashsalt": net, "font.family": "DejaVu Sans"}):
        figure = draw()
        kind = path.suffix.lower().removeprefix(".")
        dpi = min(DPI, MOST_PIXELS / max(figure.get_size_inches()))
        undated = {"Date": None} if kind == "svg" else None
        with replacing(path) as beside:
            figure.savefig(beside, format=kind, dpi=dpi, metadata=undated)
