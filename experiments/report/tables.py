"""Lines -> the tables of a report, with the notes that belong to them."""

from collections.abc import Sequence

from experiments.report.comparison import COSTS, MOVED, moved, times_smaller
from experiments.report.folder import Run
from experiments.tables import units
from experiments.tables.summary import Line
from experiments.tables.table import Cell, Column, Table


def stage_table(
    lines: Sequence[Line], teacher: Line | None, notes: Sequence[str] = ()
) -> Table:
    """One line a stage, as measured by the file that stands for it."""
    several = bool(lines) and not _measured_on(lines)
    columns = [Column("stage", numeric=False), Column("net", numeric=False)]
    columns += [Column("data", numeric=False)] if several else []
    columns += [
        Column("top-1 %"),
        Column("n"),
        Column("parameters (non-zero)"),
        Column("MACs", aside="fewer"),
        Column("bytes", aside="smaller"),
        Column("zipped", aside="smaller"),
        Column("latency ms", aside="faster"),
    ]
    cells = []
    for line in lines:
        row = [Cell(line.stage), Cell(str(line.about("net") or units.NOTHING))]
        row += [Cell(f"{line.about('data')} {line.about('split')}")] * several
        row += [_top1(line), Cell(str(len(line.values("top1")))), _parameters(line)]
        row += _costs(line, teacher, ("macs", "bytes", "bytes_zipped", "latency_ms"))
        cells.append(tuple(row))
    title = f"Stages{_measured_on(lines)}"
    notes = tuple(note for note in [*notes, *_meanings(lines, teacher)] if note)
    return Table(title, tuple(columns), tuple(cells), notes)


def file_table(files: Sequence[Line], notes: Sequence[str] = ()) -> Table:
    """One line a stage and exported form."""
    columns = (
        Column("stage", numeric=False),
        Column("format", numeric=False),
        Column("precision", numeric=False),
        Column("top-1 %"),
        Column("n"),
        Column("agreement %"),
        Column("bytes"),
        Column("zipped"),
        Column("latency ms"),
    )
    cells = tuple(
        (
            Cell(line.stage),
            Cell(str(line.about("format") or units.NOTHING)),
            Cell(str(line.about("precision") or units.NOTHING)),
            _top1(line),
            Cell(str(len(line.values("top1")))),
            Cell(units.percent(line.mean("agreement"))),
            *_costs(line, None, ("bytes", "bytes_zipped", "latency_ms")),
        )
        for line in files
    )
    meaning = (
        "Agreement: test images on which the file and the stage's float Keras model "
        "give the same answer."
    )
    notes = tuple(note for note in [*notes, meaning] if note)
    return Table(f"Files{_measured_on(files)}", columns, cells, notes)


def ratio_table(run: Run) -> Table:
    """How many times smaller than the teacher, and what moved since the start."""
    keys = {"bytes": "bytes", "bytes_zipped": "zipped"}
    columns = [Column("times smaller", numeric=False)]
    columns += [Column(keys.get(key, COSTS[key][0])) for key in COSTS]
    columns.append(Column("moved", numeric=False))
    cells = []
    for line in run.lines:
        row = [Cell(line.stage)]
        row += [
            Cell(units.ratio(times_smaller(line, run.teacher, key))) for key in COSTS
        ]
        before = run.before(line)
        since = f"since {before.stage}: {moved(line, before)}" if before else ""
        cells.append((*row, Cell(since)))
    return Table("", tuple(columns), tuple(cells), (MOVED,))


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
            key, value = key.removesuffix("_bytes"), units.scaled(value, "B")
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


def _measured_on(lines):
    """Data and split of all lines, "" where they are not the same."""
    measured = {(line.about("data"), line.about("split")) for line in lines}
    if len(measured) != 1:
        return ""
    data, split = measured.pop()
    return f" on {data}, {split} split"


def _top1(line):
    return Cell(units.percent(line.mean("top1"), line.deviation("top1")))


def _parameters(line):
    every, nonzero = line.mean("parameters"), line.mean("nonzero")
    text = units.count(every)
    if nonzero is not None and nonzero != every:
        text += f" ({units.count(nonzero)})"
    return Cell(text)


def _costs(line, teacher, keys):
    for key in keys:
        mean = line.mean(key)
        if key == "latency_ms":
            spread = line.mean("latency_low_ms"), line.mean("latency_high_ms")
            text = units.latency(mean, *spread)
        else:
            text = units.scaled(mean, "" if key == "macs" else "B")
        is_teacher = teacher is not None and line.stage == teacher.stage
        ratio = None if is_teacher else times_smaller(line, teacher, key)
        yield Cell(text, "" if ratio is None else units.ratio(ratio))


def _meanings(lines, teacher):
    """What the numbers mean, and how sure they are."""
    if any(len(line.values("top1")) > 1 for line in lines):
        yield "Top-1: mean ± sample standard deviation over n seeds; the rest: means."
    yield _standard_error(lines)
    yield (
        "Bytes of the exported file (1 kB = 1000 B), as they are and zipped (deflate); "
        "latency of one image: median [10th–90th percentile]."
    )
    if teacher is None and lines:
        yield "No row of the teacher: nothing is compared with it."
    elif len(lines) > 1:
        yield f"Ratios: how many times smaller than {teacher.stage}'s."


def _standard_error(lines):
    """sqrt(p (1 - p) / images): what another test set of that size would change."""
    sure = []
    for line in lines:
        top1, images = line.mean("top1"), line.mean("examples")
        if top1 is not None and images:
            error = 100 * (top1 * (1 - top1) / images) ** 0.5
            sure.append((error, images))
    if not sure:
        return ""
    (low, _), (high, _) = min(sure), max(sure)
    errors = f"{low:.2f}"
    if f"{high:.2f}" != errors:
        errors += f" to {high:.2f}"
    sizes = " or ".join(units.count(size) for size in sorted({n for _, n in sure}))
    return (
        f"Measured on {sizes} test images: that alone gives every top-1 a standard "
        f"error of {errors} points."
    )
