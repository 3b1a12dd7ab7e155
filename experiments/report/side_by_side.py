"""Several runs side by side: their stages in one table, and in one plot."""

from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np

from experiments.report import page
from experiments.report.folder import Run, read
from experiments.report.measured import Answers, Measured
from experiments.report.tables import data_notes, stage_table
from experiments.tables.summary import Summary
from experiments.tables.table import as_html, as_text


def together(paths: Sequence[Path]) -> Run:
    """The stages of several runs as those of one, each called RUN/STAGE.

    Raises:
        FileNotFoundError: one of them is no run folder.
        ValueError: a record is malformed, or a folder stands there twice.
    """
    if len({path.resolve() for path in paths}) < len(paths):
        raise ValueError("a run stands there twice: give each one once")
    runs = [read(path) for path in paths]
    names = _names(paths)
    summaries = [
        Summary(tuple(_called(row, name) for row in summary.rows))
        for name, run in zip(names, runs, strict=True)
        for summary in run.summaries
    ]
    datasets = dict.fromkeys(run.data_name for run in runs)
    notes = dict.fromkeys(run.data.get("note") or "" for run in runs)
    return Run(
        path=Path(paths[0]),
        recipe={"name": " and ".join(names)},
        declared={},
        environment={},
        data={"name": " and ".join(datasets), "note": " ".join(filter(None, notes))},
        summaries=tuple(summaries),
        histories={},
        disagreements=None,
        gaps=tuple(
            f"{name}: {gap}"
            for name, run in zip(names, runs, strict=True)
            for gap in run.gaps
        ),
        measured=Measured(_answers(names, runs)),
    )


def summary(run: Run, width: int) -> str:
    """The table as text; ratios are to the first stage of the first run."""
    tables = [stage_table(run.summaries, run.teacher, _notes(run))]
    if beside := page.same_images_table(run):
        tables.append(beside)
    texts = [as_text(table, width) for table in tables]
    texts[1:] = [f"\n{beside.title}\n{text}" for text in texts[1:]]
    return "\n".join([*texts, *(f"missing: {gap}" for gap in run.gaps)]) + "\n"


def document(run: Run) -> str:
    """One HTML page that needs nothing beside itself."""
    gaps = f'<p class="warning">{escape(page.GAPS + "; ".join(run.gaps))}.</p>'
    body = "\n".join(
        [
            f"<h1>{escape(run.title)}</h1>",
            *[gaps] * bool(run.gaps),
            as_html(stage_table(run.summaries, run.teacher, _notes(run))),
            page.accuracy_against_costs(run),
            page.same_images_section(run),
        ]
    )
    return page.whole(run.title, body)


def _notes(run):
    return [
        *data_notes(run),
        "Latencies were measured in runs of their own: only those of one run compare.",
    ]


def _answers(names, runs):
    """Those of all runs to the same test images, with the first seed of each."""
    firsts = [
        (name, run.measured.answers[0])
        for name, run in zip(names, runs, strict=True)
        if run.measured.answers
    ]
    if len(firsts) < len(runs):
        return ()
    labels = firsts[0][1].labels
    if not all(np.array_equal(labels, each.labels) for _, each in firsts):
        return ()  # other images
    answers = {
        f"{name}/{stage}": given
        for name, each in firsts
        for stage, given in each.by_stage.items()
    }
    return (Answers(firsts[0][1].seed, labels, answers),)


def _names(paths):
    """The folders' names; of equal ones as much of the path as tells them apart."""
    parts = [path.resolve().parts for path in paths]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(each[-length:]) for each in parts]
        if max(Counter(names).values()) == 1:
            break
    return names


def _called(row, name):
    return {**row, "stage": f"{name}/{row['stage']}"}
