"""The run as Markdown: all of the page but its pictures."""

from experiments.report import searched, story
from experiments.report.comparison import MOVED, headline
from experiments.report.folder import Run
from experiments.report.tables import (
    data_notes,
    file_table,
    provenance,
    stage_table,
    where,
)
from experiments.tables.table import as_markdown, escape_markdown


def document(run: Run) -> str:
    """The whole text of report.md."""
    notes = data_notes(run)
    command, *environment = provenance(run)
    parts = [f"# {escape_markdown(run.title)}"]
    if run.summaries and run.teacher:
        parts.append(escape_markdown(headline(run.summaries[-1], run.teacher)))
    # Indented, not fenced: no text can end it.
    parts.append("    " + " ".join(command[1].split()))
    parts.append(escape_markdown(where(run)))
    parts.append(as_markdown(stage_table(run.summaries, run.teacher, notes)).rstrip())
    if run.found is not None:
        parts.append(f"## {searched.TITLE}")
        parts += map(escape_markdown, searched.words(run.found))
        parts.append(as_markdown(searched.table(run.found)).rstrip())
    if run.paper is not None:
        parts.append("## Beside the paper")
        parts += [as_markdown(t).rstrip() for t in run.paper.tables(run.summaries)]
    parts += _listed("Missing", run.gaps)
    parts.append("## Every exported file")
    parts.append(as_markdown(file_table(run.files, notes)).rstrip())
    parts += ["## What was done", MOVED]
    for summary in run.summaries:
        parts.append(f"### {escape_markdown(summary.stage)}")
        parts.append(escape_markdown(story.sentence(summary)))
        parts.append(_definitions(story.facts(run, summary)))
    parts += ["## Where it ran", _definitions(environment)]
    parts += _listed("Unreadable images", run.data.get("bad_images") or [])
    parts += _listed("Not taken from the folder", run.data.get("left_out") or [])
    parts.append("Pictures: report.html.")
    return "\n\n".join(part for part in parts if part) + "\n"


def _definitions(pairs):
    return "\n".join(
        f"- {escape_markdown(term)}: {escape_markdown(text)}" for term, text in pairs
    )


def _listed(title, items):
    if not items:
        return []
    return [f"## {title}", "\n".join(f"- {escape_markdown(item)}" for item in items)]
