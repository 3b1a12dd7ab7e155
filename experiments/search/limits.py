"""What a file may take on the device, and what it does take."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from compression import export, measure

TITLES = {
    "bytes": "bytes",
    "bytes_zipped": "bytes zipped",
    "latency_ms": "ms an image",
    "arena_bytes": "bytes of RAM",
    "macs": "multiply-accumulates",
}


@dataclass(frozen=True)
class Cost:
    """What a file takes.

    Attributes:
        bytes: of the .tflite file.
        latency_ms: of one image, LiteRT, one thread.
        macs: multiply-accumulates of one image.
        arena_bytes: RAM in TensorFlow Lite Micro; None: not measured.
        bytes_zipped: of the .tflite file after deflate, as it travels in an app's
            package; None: not measured.
    """

    bytes: int
    latency_ms: float
    macs: int
    arena_bytes: int | None = None
    bytes_zipped: int | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Limits:
    """What a file may take, and what accuracy it may lose; None: as much as it likes.

    Attributes:
        bytes: of the .tflite file.
        latency_ms: of one image, LiteRT, one thread, on this machine.
        arena_bytes: RAM in TensorFlow Lite Micro.
        macs: multiply-accumulates of one image.
        max_drop: percentage points of top-1 on validation that may be lost.
        bytes_zipped: of the .tflite file after deflate.

    Raises:
        ValueError: a limit is not positive, or a drop is no number of points.
    """

    bytes: int | None = None
    latency_ms: float | None = None
    arena_bytes: int | None = None
    macs: int | None = None
    max_drop: float | None = None
    bytes_zipped: int | None = None

    def __post_init__(self):
        for name, limit in self.of_files().items():
            if not limit > 0:
                raise ValueError(f"{name} must be positive, got {limit}")
        if self.max_drop is not None and not 0 <= self.max_drop <= 100:
            raise ValueError(
                f"max_drop must be 0 to 100 percentage points, got {self.max_drop}"
            )

    def of_files(self) -> Mapping[str, float]:
        """The limits that a file alone meets or not, by the name of the cost."""
        given = asdict(self)
        del given["max_drop"]
        return {name: limit for name, limit in given.items() if limit is not None}

    def size(self, cost: Cost) -> int:
        """Bytes of a file, of which fewer are better: zipped where that is limited."""
        return cost.bytes if self.bytes_zipped is None else cost.bytes_zipped

    def in_bytes(self, cost: Cost) -> str:
        """That size, in words."""
        return f"{self.size(cost):,} {self.unit}"

    @property
    def unit(self) -> str:
        """Of `size`, in words."""
        return TITLES["bytes" if self.bytes_zipped is None else "bytes_zipped"]

    def used(self, cost: Cost) -> float:
        """The largest share of a limit that a file takes; 1 just fits, 0: no limits."""
        return max((share for _, share in self._shares(cost)), default=0.0)

    def tightest(self, cost: Cost) -> str:
        """The limit of which a file takes most, in words; there must be one."""
        name, share = max(self._shares(cost), key=lambda pair: pair[1])
        value = getattr(cost, name)
        taken = f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"
        return (
            f"{taken} {TITLES[name]}, {share:.2f} of the {self.of_files()[name]:,g} "
            "that it may take"
        )

    def _shares(self, cost):
        for name, limit in self.of_files().items():
            yield name, getattr(cost, name) / limit


def cost_of(file: Path, macs: int, *, on_board: bool, zipped: bool) -> Cost:
    """What a .tflite file takes, measured.

    Args:
        file: the file.
        macs: of its net.
        on_board: whether its arena is measured, too.
        zipped: whether its bytes after deflate are.

    Raises:
        ValueError: TensorFlow Lite Micro cannot run it, or is not installed.
    """
    runner = export.load(file)
    latency = measure.latencies({"file": runner})["file"].median_ms
    arena = None
    if on_board:
        found = measure.board(runner)
        if found.arena_bytes is None:
            raise ValueError(f"RAM on a board is not known: {found.refusal}")
        arena = found.arena_bytes
    bytes_zipped = measure.zipped_size(file) if zipped else None
    return Cost(measure.size(file), latency, macs, arena, bytes_zipped)
