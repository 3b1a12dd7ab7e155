"""Training curves: loss, accuracy and what else a stage logs, over its epochs."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from experiments.report.folder import History, Run
from experiments.tables import svg
from experiments.tables.summary import number

SIZE = 290, 190  # points


class Panel(NamedTuple):
    """Curves with an axis in common.

    Attributes:
        title: of the axis; names the unit.
        curves: key in the history -> its entry in the legend.
        factor: from the logged value to that unit.
    """

    title: str
    curves: Mapping[str, str]
    factor: float = 1


OF_EVERY_TRAINING = (
    Panel("loss", {"loss": "train", "val_loss": "validation"}),
    Panel("top-1, %", {"accuracy": "train", "val_accuracy": "validation"}, 100),
)


def pictures(run: Run, stage: str) -> list[str]:
    """The panels of a stage as SVG, none where it has no history."""
    histories = run.histories.get(stage, {})
    stages = [summary.stage for summary in run.summaries]
    kept = {
        row["seed"]: row.get("best_epoch")
        for row in run.summaries[stages.index(stage)].rows
    }
    colour = svg.colours(stages)[stage]
    made = []
    for panel in (*OF_EVERY_TRAINING, *_declared(run, stage)):
        logged = {key for history in histories.values() for key in history}
        if logged.isdisjoint(panel.curves):
            continue
        figure, plot = _drawn(histories, panel, colour, kept)
        svg.caption_axes(plot, x="epoch", y=panel.title)
        name = f"curves-{stages.index(stage)}-{len(made)}"
        alt = f"{stage}: {panel.title} by epoch. {_last(histories, panel)}"
        made.append(svg.inline_svg(figure, name=name, alt=alt))
    return made


def _declared(run, stage) -> Iterator[Panel]:
    """A panel for each series that the stage declares to log."""
    for log in run.declared_by(stage).get("logs", []):
        yield Panel(log["title"], {log["key"]: ""}, log.get("factor", 1))


def _drawn(
    histories: Mapping[int, History],
    panel: Panel,
    colour: str,
    kept: Mapping[int, int],
):
    from matplotlib.ticker import MaxNLocator

    figure, plot = svg.axes(*SIZE)
    for key, label in panel.curves.items():
        train = label == "train"
        style = {
            "color": svg.FAINT if train else colour,
            "lw": 1 if len(histories) > 1 or train else 1.6,
            "ls": (0, (4, 2)) if train else "-",
        }
        for seed, history in histories.items():
            if key not in history:
                continue
            values = [panel.factor * value for value in history[key]]
            epochs = history.get("epoch", range(1, len(values) + 1))
            pairs = list(zip(epochs, values, strict=False))
            plot.plot(*zip(*pairs, strict=True), **style, label=label or None)
            label = ""  # one entry of the legend for all seeds
            best = dict(pairs).get(kept.get(seed))
            if key == "val_accuracy" and best is not None:
                plot.plot(kept[seed], best, "o", ms=4.5, color=colour)
    plot.xaxis.set_major_locator(MaxNLocator(integer=True))
    if any(panel.curves.values()):
        plot.legend(frameon=False, fontsize=9, labelcolor=svg.INK)
    return figure, plot


def _last(histories, panel):
    """The last values in words."""
    parts = []
    for key, label in panel.curves.items():
        ends = [
            f"{panel.factor * history[key][-1]:.3g}"
            for history in histories.values()
            if history.get(key) and number(history[key][-1]) is not None
        ]
        if ends:
            parts.append(f"{label} ends at {', '.join(ends)}".strip())
    return "; ".join(parts)
