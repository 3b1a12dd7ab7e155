"""The run as one HTML page that needs nothing beside itself."""

from html import escape

from experiments.report import (
    confusion,
    curves,
    disagreements,
    kernels,
    pareto,
    same_images,
    searched,
    story,
)
from experiments.report.comparison import MOVED, headline
from experiments.report.folder import Run
from experiments.report.script import SCRIPT
from experiments.report.style import CSS
from experiments.report.tables import (
    data_notes,
    file_table,
    provenance,
    stage_table,
    where,
)
from experiments.tables.table import Table, as_html

GAPS = "Missing from this report: "


def document(run: Run) -> str:
    """The whole text of report.html."""
    body = "\n".join(
        part
        for part in (
            _head(run),
            as_html(stage_table(run.summaries, run.teacher, data_notes(run))),
            _searched(run),
            _paper(run),
            accuracy_against_costs(run),
            same_images_section(run),
            _disagreements(run),
            _stages(run),
            "<h2>Every exported file</h2>",
            as_html(file_table(run.files, data_notes(run))),
            _data(run),
        )
        if part
    )
    return whole(run.title, body)


def whole(title: str, body: str) -> str:
    """The text of a page: `title` as plain text, `body` as HTML."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)} – limbeck</title>\n<style>{CSS}</style>\n"
        f"</head>\n<body>\n{body}\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def _head(run):
    (_, command), *environment = provenance(run)
    lead = (
        headline(run.summaries[-1], run.teacher)
        if run.summaries and run.teacher
        else ""
    )
    gaps = f'<p class="warning">{escape(GAPS + "; ".join(run.gaps))}.</p>'
    return (
        f"<h1>{escape(run.title)}</h1>\n"
        + (f'<p class="lead">{escape(lead)}</p>\n' if lead else "")
        + f"<pre><code>{escape(command)}</code></pre>\n"
        + f'<p class="quiet">{escape(where(run))}</p>\n'
        + f"<details><summary>All of the environment</summary>"
        f"{_definitions(environment)}</details>\n" + (gaps if run.gaps else "")
    )


def _searched(run):
    if run.found is None:
        return ""
    lines = "<br>\n".join(map(escape, searched.words(run.found)))
    inner = "".join(f"<div>{svg}</div>" for svg in searched.pictures(run.found))
    figure = (
        f'<figure><div class="pictures">{inner}</div><figcaption>A ring is the file '
        "that was taken, the dotted line the given model in float32; the steps lead "
        "over the trained files that no other beats.</figcaption></figure>"
        if inner
        else ""
    )
    return "\n".join(
        [
            f"<h2>{searched.TITLE}</h2>\n<p>{lines}</p>",
            figure,
            as_html(searched.table(run.found)),
        ]
    )


def _paper(run):
    if run.paper is None:
        return ""
    tables = map(as_html, run.paper.tables(run.summaries))
    inner = "".join(f"<div>{svg}</div>" for svg in run.paper.pictures(run.summaries))
    figure = f'<figure><div class="panels">{inner}</div></figure>' if inner else ""
    return "\n".join(["<h2>Beside the paper</h2>", *tables, figure])


def accuracy_against_costs(run: Run) -> str:
    """The plots of all stages and files, as HTML."""
    pictures = pareto.pictures(run.summaries)
    title = "<h2>Accuracy against size and latency</h2>"
    if not pictures:
        return f"{title}\n<p>Fewer than two files were measured: no plot.</p>"
    seeds = "open circles are its seeds, " if len(run.seeds) > 1 else ""
    inner = "".join(f"<div>{svg}</div>" for svg in pictures)
    return (
        f'{title}\n<figure><div class="pictures">{inner}'
        f"</div><figcaption>A large point is a stage, measured by the file that "
        f"stands for it; {seeds}faint points its other exported files. The steps "
        "lead over the files that no other file beats.</figcaption></figure>"
    )


def same_images_table(run: Run) -> Table | None:
    """All stages' answers beside the teacher's; None where none were kept."""
    if not run.measured.answers or run.teacher is None:
        return None
    first = run.measured.answers[0]
    title = f"The same {len(first.labels):,} test images, seed {first.seed}"
    teacher, notes = run.teacher.stage, data_notes(run)
    return same_images.table(first.labels, first.by_stage, teacher, title, notes)


def same_images_section(run: Run) -> str:
    """The same, as HTML."""
    table = same_images_table(run)
    return as_html(table) if table else ""


def _disagreements(run):
    cards = disagreements.strip(run)
    if not cards:
        return ""
    found = run.disagreements
    return (
        f"<h2>Where {escape(found.student_stage)} and {escape(found.teacher_stage)} "
        f"disagree</h2>\n<p>Test images of seed {escape(str(found.seed))}, with the "
        f'probabilities that <span class="teacher">{escape(found.teacher_stage)}</span>'
        f' and <span class="student">{escape(found.student_stage)}</span> give to '
        f"each class; ✓ marks the label.</p>\n{cards}"
    )


def _stages(run):
    parts = [f'<h2>What was done</h2>\n<p class="quiet">{escape(MOVED)}</p>']
    for summary in run.summaries:
        parts.append(f"<h3>{escape(summary.stage)}</h3>")
        parts.append(f"<p>{escape(story.sentence(summary))}</p>")
        parts.append(_definitions(story.facts(run, summary)))
        panels = curves.pictures(run, summary.stage)
        if panels:
            inner = "".join(f"<div>{svg}</div>" for svg in panels)
            parts.append(f'<figure><div class="panels">{inner}</div></figure>')
        parts += _folded(
            "Which classes it takes for which", confusion.section(run, summary.stage)
        )
        table = kernels.table(run, summary.stage)
        parts += _folded("Its kernels", as_html(table) if table else "")
        parts += _folded("Its first filters", kernels.picture(run, summary.stage))
    return "\n".join(parts)


def _folded(title, inner):
    if not inner:
        return []
    return [f"<details><summary>{escape(title)}</summary>{inner}</details>"]


def _data(run):
    """What the data were."""
    shown = ("name", "image_shape", "train", "validation", "test", "note")
    facts = []
    for key in shown:
        text = story.setting(run.data.get(key) or None)
        if key == "image_shape":
            text = text.replace("; ", " x ")
        if text:
            facts.append((key.replace("_", " "), text))
    names = run.data.get("class_names") or []
    if names:
        facts.append((f"{len(names)} classes", ", ".join(map(str, names))))
    if left_out := run.data.get("left_out"):
        facts.append(("not taken from the folder", "; ".join(map(str, left_out))))
    bad = run.data.get("bad_images") or []
    listed = "".join(f"<li><code>{escape(str(path))}</code></li>" for path in bad)
    skipped = (
        f"<details><summary>{len(bad)} skipped because they could not be read</summary>"
        f"<ul>{listed}</ul></details>"
    )
    if not facts and not bad:
        return ""
    return f"<h2>Data</h2>\n{_definitions(facts)}\n{skipped if bad else ''}"


def _definitions(pairs):
    inner = "".join(
        f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in pairs
    )
    return f"<dl>{inner}</dl>"
