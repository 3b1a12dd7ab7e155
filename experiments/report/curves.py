"""Training curves: loss, accuracy and sparsity over the epochs of a stage."""

from collections.abc import Mapping

from experiments.report.folder import History, Run
from experiments.tables import svg as drawing
from experiments.tables.summary import number

SIZE = 290, 190  # points


def svgs(run: Run, stage: str) -> list[str]:
    """The panels of a stage, none where it has no history."""
    histories = run.histories.get(stage, {})
    kept = {
        row["seed"]: row.get("best_epoch")
        for line in run.lines
        if line.stage == stage
        for row in line.rows
    }
    place = [line.stage for line in run.lines].index(stage)
    colour = drawing.colours([line.stage for line in run.lines])[stage]
    panels = []
    for title, curves, factor in (
        ("loss", {"loss": "train", "val_loss": "validation"}, 1),
        ("top-1, %", {"accuracy": "train", "val_accuracy": "validation"}, 100),
        ("zeros, % of the pruned weights", {"sparsity": ""}, 100),
    ):
        if any(key in history for history in histories.values() for key in curves):
            figure, plot = _panel(histories, curves, factor, colour, kept)
            drawing.caption_axes(plot, x="epoch", y=title)
            name = f"curves-{place}-{len(panels)}"
            alt = f"{stage}: {title} by epoch. {_last(histories, curves, factor)}"
            panels.append(drawing.inline_svg(figure, name=name, alt=alt))
    return panels


def _panel(
    histories: Mapping[int, History], curves, factor, colour, kept: Mapping[int, int]
):
    from matplotlib.ticker import MaxNLocator

    figure, plot = drawing.axes(*SIZE)
    for key, label in curves.items():
        train = label == "train"
        style = {
            "color": drawing.FAINT if train else colour,
            "lw": 1 if len(histories) > 1 or train else 1.6,
            "ls": (0, (4, 2)) if train else "-",
        }
        for seed, history in histories.items():
            if key not in history:
                continue
            values = [factor * value for value in history[key]]
            epochs = history.get("epoch", range(1, len(values) + 1))
            pairs = list(zip(epochs, values, strict=False))
            plot.plot(*zip(*pairs, strict=True), **style, label=label or None)
            label = ""  # one entry of the legend for all seeds
            best = dict(pairs).get(kept.get(seed))
            if key == "val_accuracy" and best is not None:
                plot.plot(kept[seed], best, "o", ms=4.5, color=colour)
    plot.xaxis.set_major_locator(MaxNLocator(integer=True))
    if any(curves.values()):
        plot.legend(frameon=False, fontsize=9, labelcolor=drawing.INK)
    return figure, plot


def _last(histories, curves, factor):
    """The last values in words."""
    said = []
    for key, label in curves.items():
        ends = [
            f"{factor * history[key][-1]:.3g}"
            for history in histories.values()
            if history.get(key) and number(history[key][-1]) is not None
        ]
        if ends:
            said.append(f"{label} ends at {', '.join(ends)}".strip())
    return "; ".join(said)
