"""How many times smaller a line is than another, and what of it moved.

A pruned net can have the bytes it had, and only zip better; a net in integers can have
the operations it had. So sizes, operations and latency are compared one by one.
"""

from collections.abc import Sequence

from experiments.tables import units
from experiments.tables.summary import Line

COSTS = {  # key of a row -> its name, and how a smaller one is called
    "bytes": ("bytes", "smaller"),
    "bytes_zipped": ("zipped bytes", "smaller"),
    "macs": ("MACs", "fewer"),
    "latency_ms": ("latency", "faster"),
}
LIKE_BEFORE = 0.05  # a size that changed by less than this fraction did not move


MOVED = (
    f"A size has moved when it changed by more than {LIKE_BEFORE:.0%}, a latency when "
    "the two spreads do not overlap."
)


def teacher_of(lines: Sequence[Line], name: str | None) -> Line | None:
    """The line called `name`; None: the first line. None where there is none."""
    for line in lines:
        if name in (None, line.stage):
            return line
    return None


def times_smaller(line: Line, other: Line | None, key: str) -> float | None:
    """`other` divided by `line`; None where that cannot be said.

    Lines of different data are not compared.
    """
    if other is None or line.about("data") != other.about("data"):
        return None
    mine, theirs = line.mean(key), other.mean(key)
    return theirs / mine if mine and theirs is not None else None


def moved(line: Line, before: Line) -> str:
    """What changed from `before` to `line`, and what did not, in words."""
    changed, same = [], []
    for key, (name, smaller) in COSTS.items():
        ratio = times_smaller(line, before, key)
        if ratio is None:
            continue
        if not _has_moved(line, before, key, ratio):
            same.append(name)
        elif ratio > 1:
            changed.append(f"{name} {units.ratio(ratio)} {smaller}")
        else:
            larger = "slower" if key == "latency_ms" else "more"
            changed.append(f"{name} {units.ratio(1 / ratio)} {larger}")
    if not changed and not same:
        return "not known"
    unmoved = f"as before: {', '.join(same)}" if same else ""
    return "; ".join(part for part in (", ".join(changed), unmoved) if part)


def _has_moved(line, before, key, ratio):
    if key == "latency_ms":
        # Clocks drift: where the two spreads overlap, nothing can be said.
        spreads = [
            (each.mean("latency_low_ms"), each.mean("latency_high_ms"))
            for each in (line, before)
        ]
        if None not in spreads[0] + spreads[1]:
            (low, high), (low_before, high_before) = spreads
            return high < low_before or high_before < low
    return abs(ratio - 1) > LIKE_BEFORE


def headline(line: Line, teacher: Line) -> str:
    """One sentence: the accuracy that is left, and what is smaller; "" if unknown."""
    mine, theirs = line.mean("top1"), teacher.mean("top1")
    if line.stage == teacher.stage or mine is None or theirs is None:
        return ""
    return (
        f"{line.stage} reaches {units.percent(mine)} % where {teacher.stage} reaches "
        f"{units.percent(theirs)} %: {moved(line, teacher)}."
    )
