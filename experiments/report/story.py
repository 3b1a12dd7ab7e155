"""What was done in a stage, in words: its sentence, and the settings that it had."""

from collections.abc import Iterator, Mapping
from typing import Any

from experiments.report.comparison import moved
from experiments.report.folder import Run
from experiments.tables import units
from experiments.tables.summary import Line

NOT_SETTINGS = {"kind", "name", "exports"}  # the tables say these


def sentence(line: Line) -> str:
    """What the stage did, as its row says it."""
    net = str(line.about("net") or line.stage)
    what = str(line.about("what") or net).strip().rstrip(".")
    if not what.startswith(net):  # a net's name stays as it is
        what = what[:1].upper() + what[1:]
    return f"{what}."


def facts(run: Run, line: Line) -> list[tuple[str, str]]:
    """Terms and what they are: settings from the recipe, then what came of them."""
    settings = run.settings(line.stage)
    found = [
        (_words(key), text)
        for key, value in settings.items()
        if key not in NOT_SETTINGS and (text := setting(value))
    ]
    return found + list(_outcome(run, line))


def setting(value: Any) -> str:
    """A setting in words; "" where it is not set. Nested ones stand side by side."""
    if value is None or value == {} or value == []:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        parts = [
            text if key == "name" else f"{_words(key)} {text}"
            for key, item in value.items()
            if (text := setting(item))
        ]
        return ", ".join(parts)
    if isinstance(value, list):
        return "; ".join(filter(None, map(setting, value)))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _words(name):
    return str(name).replace("_", " ")


def _outcome(run: Run, line: Line) -> Iterator[tuple[str, str]]:
    if line.values("epochs"):
        epochs = [
            f"{row['epochs']}"
            + (f" (kept: epoch {row['best_epoch']})" if row.get("best_epoch") else "")
            for row in line.rows
            if row.get("epochs")
        ]
        yield "epochs run", "; ".join(dict.fromkeys(epochs))
    if line.values("validation_top1"):
        spread = line.deviation("validation_top1")
        top1 = units.percent(line.mean("validation_top1"), spread)
        yield "validation top-1", f"{top1} %"
    if line.values("bias_shift"):
        shifts = "; ".join(f"{shift:+.2f}" for shift in line.values("bias_shift"))
        yield "shift chosen on validation", shifts
    if line.values("seconds"):
        each = " a seed" if len(line.rows) > 1 else ""
        yield "time", units.duration(line.mean("seconds")) + each
    before = run.before(line)
    if before is not None:
        yield f"moved since {before.stage}", moved(line, before)
    elif run.teacher and line.stage != run.teacher.stage:
        yield f"moved from {run.teacher.stage}", moved(line, run.teacher)
