"""What each layer of a net costs in few bits: as a table, and as a picture."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from compression.quantization import LayerCost, Mixed
from experiments.nets import picture_file
from experiments.tables import table as rendering
from experiments.tables import units
from experiments.tables.svg import FAINT, INK, SERIES
from experiments.tables.table import Column, tabulate

ROW, BAR = 0.3, 0.11  # inches
NAMES, BARS, MARGIN, HEAD, FOOT = 0.075, 3.2, 0.3, 0.75, 0.45  # inches; of a letter
SIZE, TITLE_SIZE = 7.5, 12.0  # points
COLOURS = {"int8": SERIES[0], "int4": SERIES[1]}
LEAST_DISTANCE = 1e-8  # that is drawn


def as_text(net: str, rows: Sequence[LayerCost], images: int) -> str:
    """A line for each layer and precision, the dearest first."""
    columns = (
        Column("layer", lambda row: row.layer, numeric=False),
        Column("kind", lambda row: row.kind, numeric=False),
        Column("bits", lambda row: row.precision, numeric=False),
        Column("weights", lambda row: units.count(row.weights or None)),
        Column("loss", lambda row: f"{row.loss:+.4f}"),
        Column("top-1 points", lambda row: f"{0.0 - 100 * row.top1:+.2f}"),
        Column("cosine distance", lambda row: f"{row.cosine_distance:.1e}"),
    )
    notes = (
        f"Each layer alone, all others in float32, on {images} validation images: by "
        "how much the loss (nats) and top-1 change, and how far what the layer gives "
        "turns from what it gives in float32.",
        "int4: weights of 4 bits; activations have 8 bits in both.",
    )
    table = tabulate("", columns, rows, notes)
    return f"What the layers of {net} cost\n{rendering.as_text(table)}"


def choice_in_words(found: Mixed) -> str:
    """Which bits were chosen, and what that is worth."""
    counts = Counter(found.plan.layers.values())
    layers = ", ".join(f"{n} in {p}" for p, n in sorted(counts.items()))
    share = found.weight_bytes / found.int8_bytes - 1 if found.int8_bytes else 0.0
    return (
        f"layers: {layers}; {found.checks} plans were tried\n"
        f"weights: {found.weight_bytes:,} bytes, {_than(share)} "
        f"{found.int8_bytes:,} in int8; {found.float_bytes:,} in float32"
    )


def _than(share):
    """Layers that stay float32 may make it more than int8 throughout."""
    return f"{abs(share):.1%} {'more' if share > 0 else 'less'} than"


def draw(net: str, rows: Sequence[LayerCost], path: Path) -> None:
    """Draws `rows` to `path`: a row a layer, the dearest first, a bar a precision.

    On the left by how much the loss grows, on the right the cosine distance, its axis
    logarithmic.

    Args:
        net: name of the net.
        rows: what `quantization.sensitivity` gave.
        path: a .png or .svg file; it appears whole or not at all.

    Raises:
        ValueError: it is no such file.
    """
    picture_file.save(path, net, lambda: _figure(net, rows))


def _figure(net, rows):
    from matplotlib.figure import Figure

    layers = list(dict.fromkeys(row.layer for row in rows))
    side = MARGIN + NAMES * max(map(len, layers))
    width = side + 2 * (BARS + MARGIN)
    height = HEAD + ROW * len(layers) + FOOT
    figure = Figure(figsize=(width, height), facecolor="white")
    figure.text(
        MARGIN / width,
        1 - 0.3 / height,
        f"{net}: what each layer costs when it alone is quantized",
        size=TITLE_SIZE,
        color=INK,
        parse_math=False,
    )
    down = {layer: at for at, layer in enumerate(layers)}
    panels = (
        ("loss, nats more", lambda row: row.loss),
        ("cosine distance", lambda row: max(row.cosine_distance, LEAST_DISTANCE)),
    )
    for panel, (title, value) in enumerate(panels):
        left = side + panel * (BARS + MARGIN)
        plot = figure.add_axes(
            (left / width, FOOT / height, BARS / width, 1 - (HEAD + FOOT) / height)
        )
        plot.set_ylim(len(layers) - 0.5, -0.5)
        plot.set_yticks(range(len(layers)), layers if panel == 0 else [])
        if panel:
            plot.set_xscale("log")
        plot.set_title(title, size=SIZE + 1, color=INK, loc="left")
        plot.tick_params(labelsize=SIZE, colors=INK, length=0)
        for name, edge in plot.spines.items():
            edge.set_visible(name == "bottom")
        plot.grid(axis="x", color=FAINT, lw=0.3)
        plot.set_axisbelow(True)
        if not panel:
            plot.axvline(0, color=FAINT, lw=0.8)
        for at, (precision, colour) in enumerate(COLOURS.items()):
            shown = [row for row in rows if row.precision == precision]
            plot.barh(
                [down[row.layer] + (at - 0.5) * 2 * BAR / ROW / 2 for row in shown],
                [value(row) for row in shown],
                height=BAR / ROW,
                color=colour,
                label=precision,
            )
    figure.axes[0].legend(
        loc="lower right", fontsize=SIZE, frameon=False, labelcolor=INK
    )
    return figure
