"""What `limbeck reproduce ablation` measured: the effect of each factor."""

from collections.abc import Sequence

from experiments.recipes.ablation.claims import Effect, effects
from experiments.tables import svg
from experiments.tables.percent import percent
from experiments.tables.summary import Summary
from experiments.tables.table import Column, Table, tabulate

DATA = "cifar10"
NOTES = (
    "Note: CIFAR-10 here is a lossy JPEG copy. Train 45,000, validation 5,000, test "
    "10,000 images. The nets are narrow and the trainings short, without what the "
    "papers had: a claim that is not seen here is not refuted.",
    "Base and changed: the two stages that differ in this one thing. Top-1: mean ± "
    "sample standard deviation over n seeds; test: of the exported LiteRT file. "
    "Effect: percentage points of test top-1, changed minus base of the same seed.",
    "Verdict: the 95 % interval of the mean effect (Student's t times its standard "
    "error: 4.30 times for 3 seeds) leaves zero out on the side of the claim (held "
    "here), on the other (opposite), or not at all (not seen). Of 20 factors without "
    "any effect one would be expected to get a verdict by chance.",
)
LEFT, ROW = 200, 17  # points: room for the claims, and the height of one
WIDTH, OTHERS = 600, 70


def tables(summaries: Sequence[Summary]) -> list[Table]:
    """One line a claim."""
    return [tabulate("Effects", COLUMNS, effects(summaries), NOTES)]


def pictures(summaries: Sequence[Summary]) -> list[str]:
    """Every effect with its seeds and interval, as SVG: a forest plot."""
    shown = effects(summaries)
    if len(shown) < 2:
        return []
    figure, plot = svg.axes(WIDTH, OTHERS + ROW * len(shown))
    figure.subplots_adjust(left=LEFT / WIDTH)
    plot.axvline(0, color=svg.FAINT, lw=1)
    for height, effect in enumerate(reversed(shown)):
        gains = effect.gains
        if effect.bound is not None:
            ends = effect.mean - effect.bound, effect.mean + effect.bound
            plot.plot(ends, [height] * 2, "-", lw=1.5, c=svg.SERIES[0])
        plot.plot(gains, [height] * len(gains), "o", ms=4, mfc="none", c=svg.SERIES[0])
        plot.plot([effect.mean], [height], "|", ms=11, mew=2, c=svg.INK)
    names = [effect.claim.what for effect in reversed(shown)]
    plot.set_yticks(range(len(names)), names, parse_math=False)
    svg.caption_axes(
        plot, x="effect, points of test top-1: seeds, mean, 95 % interval", y=""
    )
    said = "; ".join(f"{e.claim.what}: {_effect(e)} {e.verdict}" for e in shown)
    alt = f"Effect of each factor on test top-1 in points. {said}."
    return [svg.inline_svg(figure, name="effects", alt=alt)]


def _effect(effect: Effect) -> str:
    spread = "" if effect.deviation is None else f" ± {effect.deviation:.2f}"
    return f"{effect.mean:+.2f}{spread}"


COLUMNS = (
    Column("claim", lambda effect: effect.claim.what, numeric=False),
    Column("paper, section", lambda effect: effect.claim.paper, numeric=False),
    Column("base", lambda effect: effect.claim.base, numeric=False),
    Column("changed", lambda effect: effect.claim.changed, numeric=False),
    Column("base: validation %", lambda e: percent(e.base, "validation_top1")),
    Column("changed: validation %", lambda e: percent(e.changed, "validation_top1")),
    Column("base: test %", lambda effect: percent(effect.base, "top1")),
    Column("changed: test %", lambda effect: percent(effect.changed, "top1")),
    Column("effect", _effect),
    Column("n", lambda effect: str(len(effect.gains))),
    Column("verdict", lambda effect: effect.verdict, numeric=False),
)
