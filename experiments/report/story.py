"""What a stage did, in words: a sentence, its settings, and what came of them."""

from collections.abc import Iterator, Mapping
from typing import Any

from experiments.report.comparison import moved
from experiments.report.folder import Run
from experiments.tables import units
from experiments.tables.summary import Summary

NOT_SETTINGS = {"kind", "name", "exports"}  # they stand in the tables


def sentence(summary: Summary) -> str:
    """What the stage did, from its row."""
    net = str(summary.about("net") or summary.stage)
    what = str(summary.about("what") or net).strip().rstrip(".")
    if not what.startswith(net):  # a net's name stays as it is
        what = what[:1].upper() + what[1:]
    return f"{what}."


def facts(run: Run, summary: Summary) -> list[tuple[str, str]]:
    """Terms and what they are: settings from the recipe, then what came of them."""
    settings = run.settings(summary.stage)
    found = [
        (_words(key), text)
        for key, value in settings.items()
        if key not in NOT_SETTINGS and (text := setting(value))
    ]
    return found + list(_outcome(run, summary))


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


def _outcome(run: Run, summary: Summary) -> Iterator[tuple[str, str]]:
    if summary.values("epochs"):
        epochs = [
            f"{row['epochs']}"
            + (f" (kept: epoch {row['best_epoch']})" if row.get("best_epoch") else "")
            for row in summary.rows
            if row.get("epochs")
        ]
        yield "epochs run", "; ".join(dict.fromkeys(epochs))
    if summary.values("validation_top1"):
        spread = summary.deviation("validation_top1")
        top1 = units.percent(summary.mean("validation_top1"), spread)
        yield "validation top-1", f"{top1} %"
    for fact in run.declared_by(summary.stage).get("facts", []):
        if values := summary.values(fact["key"]):
            texts = [format(value, fact.get("format", "g")) for value in values]
            yield fact["title"], "; ".join(texts)
    if summary.values("seconds"):
        each = " a seed" if len(summary.rows) > 1 else ""
        yield "time", units.duration(summary.mean("seconds")) + each
    before = run.before(summary)
    if before is not None:
        yield f"moved since {before.stage}", moved(summary, before)
    elif run.teacher and summary.stage != run.teacher.stage:
        yield f"moved from {run.teacher.stage}", moved(summary, run.teacher)
