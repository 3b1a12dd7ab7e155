"""Where the boxes of a graph stand: ranks from top to bottom, wrapped into columns.

The layered drawing of Sugiyama, Tagawa, Toda, "Methods for Visual Understanding of
Hierarchical System Structures" (1981), made simple by the order of the boxes: branches
come one after the other, in the order in which they are joined, so that there is
nothing to untangle. Lengths are inches, y grows downwards.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

Point = tuple[float, float]

BOX_HEIGHT = 0.42
RANK_GAP = 0.26  # between the boxes of two ranks
BOX_GAP = 0.2  # between two boxes, or a box and a line that passes it
LINE_WIDTH = 0.12  # room for a line that passes through a rank
COLUMN_GAP = 0.7
PORT_ROOM = 0.3  # above a column that goes on from another
INSET = 0.2  # lines keep away from the corners of a box
PITCH = BOX_HEIGHT + RANK_GAP
SHORT = 14  # ranks that stand in one column in any case
ASPECT = 1.3  # of the whole, width to height, that the number of columns aims at
SWEEPS = 24
STIFFNESS = 30.0  # how much less a box or a chain gives way than a line or a fork


@dataclass
class Layout:
    """Where everything stands.

    Attributes:
        centres: of each box.
        lines: from box to box, as points with vertical tangents.
        wraps: from the foot of a column to the head of the next, right-angled.
        ports: where a column goes on.
        width: of everything.
        height: of everything.
    """

    centres: list[Point]
    lines: list[list[Point]] = field(default_factory=list)
    wraps: list[list[Point]] = field(default_factory=list)
    ports: list[Point] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0


@dataclass(eq=False)
class _Node:
    """A box, a port (where a column goes on) or a bend (a line passing a rank)."""

    rank: int
    key: float  # order within the rank
    width: float
    box: int | None = None
    x: float = 0.0
    above: list["_Node"] = field(default_factory=list)
    below: list["_Node"] = field(default_factory=list)


def place(inputs: Sequence[Sequence[int]], widths: Sequence[float]) -> Layout:
    """Places boxes.

    Args:
        inputs: for each box those whose lines go into it, all earlier in the list;
            branches one after the other, as `measure.layer_calls` has them.
        widths: of the boxes.
    """
    ranks = []
    for before in inputs:
        ranks.append(1 + max((ranks[other] for other in before), default=-1))
    cuts = _cuts(inputs, ranks, widths)
    layout = Layout([(0.0, 0.0)] * len(inputs))
    left, foot = 0.0, None
    for first, last in zip(
        [0, *cuts], [*cuts, max(ranks, default=-1) + 1], strict=True
    ):
        inside = [i for i, rank in enumerate(ranks) if first <= rank < last]
        levels, port = _levels(inside, inputs, ranks, widths, first)
        _align(levels)
        nodes = [node for level in levels for node in level] + ([port] if port else [])
        shift = left - min(node.x - node.width / 2 for node in nodes)
        for node in nodes:
            node.x += shift
        right = max(node.x + node.width / 2 for node in nodes)
        _draw(levels, port, layout)
        if port:
            layout.wraps.append(_wrap(foot, port.x, left - COLUMN_GAP / 2))
        if levels:
            x = next(node.x for node in levels[-1] if node.box is not None)
            foot = (x, PORT_ROOM + (len(levels) - 1) * PITCH + BOX_HEIGHT)
        layout.width, left = right, right + COLUMN_GAP
        layout.height = max(layout.height, PORT_ROOM + len(levels) * PITCH)
    return layout


def _cuts(inputs, ranks, widths):
    """The ranks that begin a new column: everything that passes comes from one box."""
    count = max(ranks, default=-1) + 1
    passing = [set() for _ in range(count)]  # boxes whose lines go into a rank or on
    for box, before in enumerate(inputs):
        for other in before:
            for rank in range(ranks[other] + 1, ranks[box] + 1):
                passing[rank].add(other)
    waists = [
        rank
        for rank in range(1, count)
        if len(passing[rank]) == 1 and ranks[next(iter(passing[rank]))] == rank - 1
        and ranks.count(rank - 1) == 1
    ]  # fmt: skip
    row = [0.0] * count
    for box, rank in enumerate(ranks):
        row[rank] += widths[box] + BOX_GAP
    wide = max(row, default=0.0) + COLUMN_GAP
    columns = 1
    if count > SHORT:
        columns = max(1, round(math.sqrt(ASPECT * count * PITCH / wide)))
    wanted = [round(k * count / columns) for k in range(1, columns)]
    nearest = {min(waists, key=lambda r: abs(r - w)) for w in wanted if waists}
    return sorted(nearest)


def _levels(inside, inputs, ranks, widths, first):
    """A column's ranks, each a list of nodes from left to right, and its port."""
    nodes = {i: _Node(ranks[i] - first, i, widths[i], i) for i in inside}
    levels = [[] for _ in range(max((n.rank for n in nodes.values()), default=-1) + 1)]
    port = None
    for i in inside:
        levels[nodes[i].rank].append(nodes[i])
        for position, other in enumerate(inputs[i]):
            # Between the branches that are joined before and after this one.
            key = max(inputs[i][: position + 1]) + 0.5
            if other in nodes:
                upper = nodes[other]
            else:
                upper = port = port or _Node(-1, other, LINE_WIDTH)
            for rank in range(upper.rank + 1, nodes[i].rank):
                bend = _Node(rank, key, LINE_WIDTH, None, 0.0, [upper])
                levels[rank].append(bend)
                upper.below.append(bend)
                upper = bend
            upper.below.append(nodes[i])
            nodes[i].above.append(upper)
    for level in levels:
        level.sort(key=lambda node: node.key)
    return levels, port


def _align(levels):
    """Puts every node near the middle of its neighbours without overlaps.

    A box that has its rank to itself stands on the column's axis, x = 0.
    """
    for sweep in range(SWEEPS):
        for level in levels if sweep % 2 == 0 else reversed(levels):
            alone = len(level) == 1
            _spread(level, [0.0 if alone else _middle(node) for node in level])
    for level in levels:
        for node in level:
            if node.box is None and (node.above[0].box is not None or not node.rank):
                _straighten(node, levels)


def _middle(node):
    """Of the neighbours' x; a chain holds together more than what forks or joins."""
    total = pull = 0.0
    for upper, lower in [(n, node) for n in node.above] + [
        (node, n) for n in node.below
    ]:
        chain = len(upper.below) == 1 and len(lower.above) == 1
        weight = STIFFNESS if chain else 1.0
        total += weight
        pull += weight * (upper.x if lower is node else lower.x)
    return pull / total if total else node.x


def _spread(level, wanted):
    """Least squares of x from `wanted`, in order and without overlaps.

    Pool adjacent violators on x less the room that the nodes before need.
    """
    offsets = [0.0]
    for left, right in zip(level, level[1:], strict=False):
        offsets.append(offsets[-1] + _distance(left, right))
    pools = []  # [sum of weights, sum of weight times value, members]
    for node, want, offset in zip(level, wanted, offsets, strict=True):
        weight = 1.0 if node.box is None else STIFFNESS
        pools.append([weight, weight * (want - offset), 1])
        while len(pools) > 1 and _mean(pools[-2]) > _mean(pools[-1]):
            last = pools.pop()
            pools[-1] = [a + b for a, b in zip(pools[-1], last, strict=True)]
    values = [_mean(pool) for pool in pools for _ in range(pool[2])]
    for node, value, offset in zip(level, values, offsets, strict=True):
        node.x = value + offset


def _mean(pool):
    return pool[1] / pool[0]


def _distance(left, right):
    return (left.width + right.width) / 2 + BOX_GAP


def _straighten(bend, levels):
    """Makes a line vertical that passes several ranks outside of all their boxes."""
    bends = [bend]
    while bends[-1].below[0].box is None:
        bends.append(bends[-1].below[0])
    ranks = [levels[node.rank] for node in bends]
    if all(rank[-1] is node for rank, node in zip(ranks, bends, strict=True)):
        x = max(node.x for node in bends)
    elif all(rank[0] is node for rank, node in zip(ranks, bends, strict=True)):
        x = min(node.x for node in bends)
    else:
        return
    for node in bends:
        node.x = x


def _top(node):
    return PORT_ROOM + node.rank * PITCH if node.rank >= 0 else 0.0


def _draw(levels, port, layout):
    if port:
        port.x = sum(node.x for node in port.below) / len(port.below)
        layout.ports.append((port.x, _top(port)))
    for level in levels:
        for node in level:
            if node.box is not None:
                layout.centres[node.box] = (node.x, _top(node) + BOX_HEIGHT / 2)
    for upper in ([port] if port else []) + [n for level in levels for n in level]:
        if upper is port or upper.box is not None:
            layout.lines += [_line(upper, lower) for lower in upper.below]


def _line(upper, lower):
    """Points from the foot of `upper` through bends to the head of a box."""
    start = _top(upper) + (BOX_HEIGHT if upper.box is not None else 0)
    points = [(_towards(upper, lower.x), start)]
    while lower.box is None:
        points += [(lower.x, _top(lower)), (lower.x, _top(lower) + BOX_HEIGHT)]
        upper, [lower] = lower, lower.below
    points.append((_towards(lower, points[-1][0]), _top(lower)))
    return points


def _towards(node, x):
    """Where a line to `x` leaves or enters a box: straight above, if it can."""
    reach = max(0.0, node.width / 2 - INSET) if node.box is not None else 0.0
    return min(max(x, node.x - reach), node.x + reach)


def _wrap(foot, x, between):
    """From the foot of a column up between the columns to the port at `x`."""
    low, high = foot[1] + RANK_GAP / 2, -RANK_GAP / 2
    return [foot, (foot[0], low), (between, low), (between, high), (x, high), (x, 0.0)]
