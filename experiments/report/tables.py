"""Summaries -> the tables of a report, with the notes that belong to them."""

from collections.abc import Sequence
from functools import partial

from experiments.report.comparison import COSTS, MOVED, moved, times_smaller
from experiments.report.folder import Run
from experiments.tables import units
from experiments.tables.percent import percent
from experiments.tables.summary import Summary, number
from experiments.tables.table import Cell, Column, Table, tabulate

ARENA = "arena_bytes"
REASONS = 3  # why files do not run on a board, that a note gives
HEADINGS = {  # of a row's key
    "macs": "MACs",
    "bytes": "bytes",
    "bytes_zipped": "zipped",
    "latency_ms": "latency ms",
    "bytes_encoded": "archive",
    ARENA: "arena",
}


def stage_table(
    summaries: Sequence[Summary], teacher: Summary | None, notes: Sequence[str] = ()
) -> Table:
    """One line a stage, as measured by the file that stands for it."""
    several = bool(summaries) and not _measured_on(summaries)
    columns = [
        STAGE,
        Column("net", partial(_word, key="net"), numeric=False),
        *[Column("data", _data, numeric=False)] * several,
        TOP1,
        N,
        Column("parameters (non-zero)", _parameters),
        *(_cost_column(key, teacher) for key in HEADINGS if key not in OPTIONAL),
        *_optional_columns(summaries, teacher),
    ]
    return tabulate(
        f"Stages{_measured_on(summaries)}",
        columns,
        summaries,
        [*notes, *_meanings(summaries, teacher), *_arena_notes(summaries)],
    )


def file_table(files: Sequence[Summary], notes: Sequence[str] = ()) -> Table:
    """One line a stage and exported form."""
    columns = (
        STAGE,
        Column("format", partial(_word, key="format"), numeric=False),
        Column("precision", partial(_word, key="precision"), numeric=False),
        TOP1,
        N,
        Column("agreement %", lambda file: units.percent(file.mean("agreement"))),
        *(
            _cost_column(key, None)
            for key in HEADINGS
            if key not in ("macs", *OPTIONAL)
        ),
        *_optional_columns(files, None, [ARENA]),
    )
    notes = [
        *notes,
        "Agreement: test images on which the file and the stage's float Keras model "
        "give the same answer.",
        *_arena_notes(files),
    ]
    return tabulate(f"Files{_measured_on(files)}", columns, files, notes)


def ratio_table(run: Run) -> Table:
    """How many times smaller than the teacher, and what moved since the start."""

    def ratio(summary, key):
        return units.ratio(times_smaller(summary, run.teacher, key))

    def since(summary):
        before = run.before(summary)
        return f"since {before.stage}: {moved(summary, before)}" if before else ""

    short = {"bytes_zipped": "zipped"}
    asked = {key: any(map(known, run.summaries)) for key, known in OPTIONAL.items()}
    columns = (
        Column("times smaller", lambda summary: summary.stage, numeric=False),
        *(
            Column(short.get(key, name), partial(ratio, key=key))
            for key, (name, _) in COSTS.items()
            if asked.get(key, True)
        ),
        Column("moved", since, numeric=False),
    )
    return tabulate("", columns, run.summaries, (MOVED,))


def data_notes(run: Run) -> list[str]:
    """What must stand at every table of this run."""
    notes = []
    if run.data.get("note"):
        notes.append(f"Note: {run.data['note']}")
    bad = run.data.get("bad_images") or []
    if bad:
        images = "1 unreadable image was" if len(bad) == 1 else None
        images = images or f"{len(bad)} unreadable images were"
        notes.append(f"Note: {images} skipped.")
    return notes


def provenance(run: Run) -> list[tuple[str, str]]:
    """Command, seeds and environment, as terms and what they are."""
    about = dict(run.environment)
    found = [("command", str(about.pop("command", None) or "not recorded"))]
    found.append(("seeds", ", ".join(map(str, run.seeds)) or "none"))
    commit, clean = about.pop("commit", None), about.pop("clean", None)
    state = " with uncommitted changes" if commit and clean is False else ""
    found.append(("commit", f"{commit or 'not recorded'}{state}"))
    for key, value in about.items():
        if key.endswith("_bytes"):
            key = key.removesuffix("_bytes")
            value = units.scaled(number(value), "B")
        found.append((key.replace("_", " "), str(value)))
    return found


def where(run: Run) -> str:
    """Seeds and the machine, in one line."""
    machine = [
        f"{key} {run.environment[key]}"
        for key in ("limbeck", "tensorflow", "device", "cpu", "threads")
        if run.environment.get(key)
    ]
    seeds = f"seeds {', '.join(map(str, run.seeds)) or 'none'}"
    return f"{seeds}; {', '.join(machine) or 'environment not recorded'}"


def _measured_on(summaries):
    """Data and split of all summaries, "" where they are not the same."""
    measured = {(each.about("data"), each.about("split")) for each in summaries}
    if len(measured) != 1:
        return ""
    data, split = measured.pop()
    return f" on {data}, {split} split"


def _word(summary, key):
    return str(summary.about(key) or units.NOTHING)


def _data(summary):
    return f"{summary.about('data')} {summary.about('split')}"


def _top1(summary):
    return percent(summary, "top1")


def _parameters(summary):
    every, nonzero = summary.mean("parameters"), summary.mean("nonzero")
    text = units.count(every)
    if nonzero is not None and nonzero != every:
        text += f" ({units.count(nonzero)})"
    return text


STAGE = Column("stage", lambda summary: summary.stage, numeric=False)
TOP1 = Column("top-1 %", _top1)
N = Column("n", lambda summary: str(len(summary.values("top1"))))


def _cost_column(key, teacher):
    """A cost, and how many times smaller than the teacher's it is."""

    def cell(summary):
        mean = summary.mean(key)
        if key == "latency_ms":
            spread = summary.mean("latency_low_ms"), summary.mean("latency_high_ms")
            text = units.latency(mean, *spread)
        else:
            text = units.scaled(mean, "" if key == "macs" else "B")
        is_teacher = teacher is not None and summary.stage == teacher.stage
        ratio = None if is_teacher else times_smaller(summary, teacher, key)
        return Cell(text, "" if ratio is None else units.ratio(ratio))

    _, smaller = COSTS[key]
    return Column(HEADINGS[key], cell, aside=smaller)


def _looked_at(summary):
    """Whether a board was asked; rows of earlier versions say nothing of it."""
    return any(row.get(ARENA) or row.get("board_refusal") for row in summary.rows)


def _archived(summary):
    return summary.mean("bytes_encoded") is not None


OPTIONAL = {"bytes_encoded": _archived, ARENA: _looked_at}  # costs not always asked for


def _optional_columns(summaries, teacher, keys=OPTIONAL):
    """No column of what none of them has."""
    for key in keys:
        if any(map(OPTIONAL[key], summaries)):
            yield _cost_column(key, teacher)


def _arena_notes(summaries):
    """What the arena is, and why some file has none."""
    looked_at = [summary for summary in summaries if _looked_at(summary)]
    if not looked_at:
        return
    yield (
        "Arena: RAM that TensorFlow Lite Micro needs to run the file, whose weights "
        "stay in flash."
    )
    reasons: dict[str, list[str]] = {}
    for summary in looked_at:
        refusal = summary.about("board_refusal")
        if summary.mean(ARENA) is None and refusal:
            named = f"{summary.stage} {summary.about('precision') or ''}".strip()
            reasons.setdefault(refusal, []).append(named)
    for refusal, names in list(reasons.items())[:REASONS]:
        every = len(names) == len(looked_at)
        yield f"No arena{'' if every else f' of {_listed(names)}'}: {refusal}."


def _listed(names):
    more = f" and {len(names) - REASONS} more" if len(names) > REASONS else ""
    return ", ".join(names[:REASONS]) + more


def _meanings(summaries, teacher):
    """What the numbers mean, and how sure they are."""
    if any(len(summary.values("top1")) > 1 for summary in summaries):
        yield "Top-1: mean ± sample standard deviation over n seeds; the rest: means."
    yield _standard_error(summaries)
    yield (
        "Bytes of the exported file (1 kB = 1000 B), as they are and zipped (deflate); "
        "latency of one image: median [10th–90th percentile]."
    )
    if any(map(_archived, summaries)):
        yield "Archive: bytes of the .limbeck file, entropy-coded."
    if teacher is None and summaries:
        yield "No row of the teacher: nothing is compared with it."
    elif len(summaries) > 1:
        yield f"Ratios: how many times smaller than {teacher.stage}'s."


def _standard_error(summaries):
    """sqrt(p (1 - p) / images): what another test set of that size would change."""
    errors = []
    for summary in summaries:
        top1, images = summary.mean("top1"), summary.mean("examples")
        if top1 is not None and images:
            error = 100 * (top1 * (1 - top1) / images) ** 0.5
            errors.append((error, images))
    if not errors:
        return ""
    (low, _), (high, _) = min(errors), max(errors)
    spread = f"{low:.2f}"
    if f"{high:.2f}" != spread:
        spread += f" to {high:.2f}"
    sizes = " or ".join(units.count(size) for size in sorted({n for _, n in errors}))
    return (
        f"Measured on {sizes} test images: that alone gives every top-1 a standard "
        f"error of {spread} points."
    )
