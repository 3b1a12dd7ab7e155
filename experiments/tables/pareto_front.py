"""What no other beats: the best accuracy for each cost."""

from collections.abc import Sequence


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the (cost, accuracy) points that no other beats, by rising cost.

    A point is beaten by one that costs no more and is as accurate, if it is better in
    one of the two. Equal points do not beat each other.
    """
    order = sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1]))
    kept: list[int] = []
    for i in order:
        cost, accuracy = points[i]
        if (
            not kept
            or accuracy > points[kept[-1]][1]
            or points[kept[-1]] == (cost, accuracy)
        ):
            kept.append(i)
    return kept


def staircase(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Corners of the line along the front: the accuracy that a cost buys."""
    best = [points[i] for i in front(points)]
    corners = []
    for (cost, accuracy), following in zip(best, [*best[1:], *best[-1:]], strict=True):
        corners += [(cost, accuracy), (following[0], accuracy)]
    return corners
