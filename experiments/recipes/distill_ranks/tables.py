"""What `limbeck reproduce distill_ranks` measured: ranks, and gains on labels alone."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiments.recipes.distill_ranks import published
from experiments.recipes.distill_ranks.methods import methods
from experiments.recipes.lossy_copy import LOSSY_COPY
from experiments.tables import units
from experiments.tables.critical_difference import critical_difference
from experiments.tables.percent import percent
from experiments.tables.ranks import Ranks, rank_correlation, ranked
from experiments.tables.summary import Summary, paired_gain
from experiments.tables.table import Column, Table, tabulate

DATA = "cifar10"
PAIRS = {"alexnet": "AlexNet", "vgg": "VGG"}  # as stages' names begin -> in headings
TEACHERS = {
    "resnet56": "ResNet-56, published weights, tuned",
    "vgg13": "VGG-13-bn, a quarter as wide",
}
ALONE = "alone"
TITLES = {ALONE: "labels alone"} | {
    name: method.title for name, method in methods(("stage2", "stage3"), 1).items()
}
STUDENTS = {
    "alexnet": "AlexNet: alexnet_small, an eighth as wide, taught by ResNet-56. ",
    "vgg": "VGG: VGG-11 with batch norm, an eighth as wide, taught by VGG-13. ",
}
MEASURED = (
    "Top-1: of the exported LiteRT file on the test images, mean ± sample standard "
    "deviation over the seeds. Gain: points over the student of the same seed that "
    "learned from labels alone."
)
NOTES = (
    "Weight: how many times the published weight the one is that validation chose.",
    "ResNet-56's published weights were trained on all 50,000 train images, the "
    "validation images among them; the students have not seen those.",
    "Published: gain on CIFAR-100 over labels alone, quoted from Tian et al. (2020), "
    f"table 1, {' and '.join(published.PAIRS)}, 240 epochs.",
)


@dataclass(frozen=True)
class Line:
    """A method, and what it did for each pair of nets.

    Attributes:
        method: its name in stages.
        of_pair: its summary for each pair that has one.
    """

    method: str
    of_pair: Mapping[str, Summary]


def tables(summaries: Sequence[Summary]) -> list[Table]:
    """A line a method, the best mean rank first."""
    lines = _lines(summaries)
    teachers = [s for s in summaries if s.stage in TEACHERS]
    found = _ranks(lines)
    notes = _notes(lines)
    if found is None:
        return [tabulate("Methods", _columns(lines, {}), lines, notes), *_of(teachers)]
    ranks, names = found
    place = {name: (ranks.mean[i], ranks.interval[i]) for i, name in enumerate(names)}
    lines.sort(key=lambda line: place.get(line.method, (math.inf,))[0])
    notes += _said(ranks, names)
    return [tabulate("Methods", _columns(lines, place), lines, notes), *_of(teachers)]


def pictures(summaries: Sequence[Summary]) -> list[str]:
    """Mean ranks as a critical-difference diagram, as SVG."""
    found = _ranks(_lines(summaries))
    if found is None:
        return []
    ranks, names = found
    names = [name.replace("_", " ") for name in names]
    return [critical_difference(ranks, names, name="distill_ranks")]


def _lines(summaries):
    found = {method: {} for method in TITLES}
    for summary in summaries:
        pair, _, method = summary.stage.partition("_")
        if pair in PAIRS and method in found and summary.values("top1"):
            found[method][pair] = summary
    return [Line(method, of_pair) for method, of_pair in found.items() if of_pair]


def _pairs(lines):
    """Those that were run."""
    return [pair for pair in PAIRS if any(pair in line.of_pair for line in lines)]


def _notes(lines):
    students = "".join(STUDENTS[pair] for pair in _pairs(lines))
    return [LOSSY_COPY, students + MEASURED, *NOTES]


def _ranks(lines: Sequence[Line]) -> tuple[Ranks, list[str]] | None:
    """Of the methods that every pair has, over its pairs and seeds; and their names.

    None where too little was measured to be ranked.
    """
    pairs = _pairs(lines)
    whole = [line for line in lines if all(pair in line.of_pair for pair in pairs)]
    scores = []
    for pair in pairs:
        of_seed = [line.of_pair[pair].by_seed("top1") for line in whole]
        seeds = set.intersection(*map(set, of_seed)) if of_seed else set()
        scores += [[each[seed] for each in of_seed] for seed in sorted(seeds)]
    if len(scores) < 2 or len(whole) < 3:
        return None
    return ranked(scores), [line.method for line in whole]


def _said(ranks: Ranks, names: Sequence[str]) -> list[str]:
    words = [
        "Mean rank: of all methods and labels alone, 1 the best, over pairs and seeds, "
        "± half of its 95 % interval (Student's t). By Nemenyi's test at 5 %, two "
        "methods are told apart whose mean ranks differ by "
        f"{ranks.critical_difference:.1f} or more; that all were alike has "
        f"p = {ranks.p_value:.1g} (Friedman)."
    ]
    quoted = [name for name in names if name in published.TOP1]
    if len(quoted) > 2:
        ours = [-ranks.mean[names.index(name)] for name in quoted]
        theirs = [statistics.fmean(published.gains(name)) for name in quoted]
        words.append(
            f"Our order of the {len(quoted)} methods that the paper has and its own: "
            f"Spearman's correlation {rank_correlation(ours, theirs):+.2f}."
        )
    return words


def _columns(lines, place) -> list[Column]:
    alone = next((line for line in lines if line.method == ALONE), None)

    def rank(line):
        mean, half = place.get(line.method, (None, None))
        return "–" if mean is None else f"{mean:.1f} ± {half:.1f}"

    def of(pair, show):
        return lambda line: show(line.of_pair[pair]) if pair in line.of_pair else "–"

    def gain(pair):
        before = None if alone is None else alone.of_pair.get(pair)
        return lambda line: (
            ""
            if line.method == ALONE or pair not in line.of_pair
            else paired_gain(before, line.of_pair[pair])
        )

    def quoted(at):
        def gain(line):
            gains = published.gains(line.method)
            return "" if gains is None else f"{gains[at]:+.2f}"

        return gain

    columns = [
        Column("method", lambda line: TITLES[line.method], numeric=False),
        Column("mean rank", rank),
        Column("n", _seeds),
    ]
    for pair in _pairs(lines):
        title = PAIRS[pair]
        columns += [
            Column(f"{title} top-1 %", of(pair, lambda s: percent(s, "top1"))),
            Column(f"{title} gain", gain(pair)),
            Column(f"{title} weight", of(pair, _weight)),
        ]
    columns += [
        Column(f"published {title}", quoted(at))
        for at, title in enumerate(published.PAIRS)
    ]
    return columns


def _seeds(line):
    """How many a pair has, "3" or "3, 2"."""
    counts = [len(summary.values("top1")) for summary in line.of_pair.values()]
    return ", ".join(map(str, dict.fromkeys(counts)))


def _weight(summary):
    factor = summary.mean("weight_factor")
    return "" if factor is None else f"{factor:.2g}"


def _of(teachers):
    columns = (
        Column("teacher", lambda s: TEACHERS[s.stage], numeric=False),
        Column("top-1 %", lambda s: percent(s, "top1")),
        Column("epochs", lambda s: units.count(s.mean("epochs"))),
        Column("parameters", lambda s: units.count(s.mean("parameters"))),
        Column("MACs", lambda s: units.scaled(s.mean("macs"))),
    )
    return [tabulate("Teachers", columns, teachers)] if teachers else []
