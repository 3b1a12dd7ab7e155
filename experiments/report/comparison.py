"""How many times smaller one summary is than another, and what of it moved.

A pruned net can keep its bytes and only zip better; a net in integers can keep its
operations. So sizes, operations and latency are compared one by one.
"""

from collections.abc import Sequence

from experiments.tables import units
from experiments.tables.summary import Summary

COSTS = {  # key of a row -> its name, and the word for a smaller one
    "bytes": ("bytes", "smaller"),
    "bytes_zipped": ("zipped bytes", "smaller"),
    "bytes_encoded": ("archive", "smaller"),
    "macs": ("MACs", "fewer"),
    "latency_ms": ("latency", "faster"),
    "arena_bytes": ("arena", "smaller"),
}
LIKE_BEFORE = 0.05  # a size that changed by less than this fraction did not move


MOVED = (
    f"A size has moved when it changed by more than {LIKE_BEFORE:.0%}, a latency when "
    "the two spreads do not overlap."
)


def teacher_of(summaries: Sequence[Summary], name: str | None) -> Summary | None:
    """The stage called `name`; None: the first one. None where there is none."""
    for summary in summaries:
        if name in (None, summary.stage):
            return summary
    return None


def times_smaller(summary: Summary, other: Summary | None, key: str) -> float | None:
    """`other` divided by `summary`; None where one is unknown or the data differ."""
    if other is None or summary.about("data") != other.about("data"):
        return None
    mine, theirs = summary.mean(key), other.mean(key)
    return theirs / mine if mine and theirs is not None else None


def moved(summary: Summary, before: Summary) -> str:
    """What changed from `before` to `summary`, and what did not, in words."""
    changed, same = [], []
    for key, (name, smaller) in COSTS.items():
        ratio = times_smaller(summary, before, key)
        if ratio is None:
            continue
        if not _has_moved(summary, before, key, ratio):
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


def _has_moved(summary, before, key, ratio):
    if key == "latency_ms":
        # Clock rates drift: where the two spreads overlap, nothing is certain.
        spreads = [
            (each.mean("latency_low_ms"), each.mean("latency_high_ms"))
            for each in (summary, before)
        ]
        if None not in spreads[0] + spreads[1]:
            (low, high), (low_before, high_before) = spreads
            return high < low_before or high_before < low
    return abs(ratio - 1) > LIKE_BEFORE


def headline(summary: Summary, teacher: Summary) -> str:
    """One sentence: the accuracy that is left, and what is smaller; "" if unknown."""
    mine, theirs = summary.mean("top1"), teacher.mean("top1")
    if summary.stage == teacher.stage or mine is None or theirs is None:
        return ""
    return (
        f"{summary.stage} reaches {units.percent(mine)} % where {teacher.stage} "
        f"reaches {units.percent(theirs)} %: {moved(summary, teacher)}."
    )
