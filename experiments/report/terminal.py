"""The run as plain text."""

import textwrap

from experiments.report.comparison import headline
from experiments.report.folder import Run
from experiments.report.tables import data_notes, ratio_table, stage_table, where
from experiments.tables.table import as_text

LISTED = 5  # unreadable images; the documents list all


def summary(run: Run, width: int) -> str:
    """The run as text: what was run, the tables, what is missing."""
    table = stage_table(run.summaries, run.teacher, data_notes(run))
    bad = [f"unreadable: {path}" for path in run.data.get("bad_images") or []]
    if len(bad) > LISTED:
        bad[LISTED:] = [f"unreadable: {len(bad) - LISTED} more, listed in report.html"]
    head = [
        run.title,
        f"$ {run.command}" if run.command else "command not recorded",
        *textwrap.wrap(where(run), width),
    ]
    if len(run.summaries) > 1 and run.teacher:
        ratios = ["", as_text(ratio_table(run), width)]
        ratios += ["", *textwrap.wrap(headline(run.summaries[-1], run.teacher), width)]
    else:
        ratios = []
    gaps = [f"missing: {gap}" for gap in run.gaps]
    return "\n".join([*head, "", as_text(table, width), *bad, *ratios, *gaps]) + "\n"
