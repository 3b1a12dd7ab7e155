"""The documents: whole, well-formed, self-contained, and all of it escaped."""

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from experiments import report
from experiments.report import page, pareto
from experiments.report.folder import read
from experiments.report.script import SCRIPT

VOID = {"meta", "img", "br", "link", "input", "hr"}
LOADS = ("src", "href", "xlink:href", "action", "data", "poster", "srcset")
LOSSY = "mnist5k here is a lossy JPEG copy: not comparable"


class Checker(HTMLParser):
    """Balanced tags, nothing loaded, unique ids, a text for each image; our script."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.references, self.tags = [], [], set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        about = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        assert tag not in ("link", "iframe", "object", "embed")
        assert not [name for name in about if name.startswith("on")]
        for name in LOADS:
            target = about.get(name, "#")
            assert target.startswith(("#", "data:image/png;base64,")), target
            if target.startswith("#") and len(target) > 1:
                self.references.add(target[1:])
        for value in filter(None, about.values()):
            self.references |= set(re.findall(r"url\(#([^)]+)\)", value))
        if "id" in about:
            self.ids.append(about["id"])
        if tag == "img":
            assert about["alt"]
        if tag == "svg":
            assert about["aria-label"]
            assert about["role"] == "img"

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            assert data == SCRIPT


def checked(text):
    checker = Checker()
    checker.feed(text)
    checker.close()
    assert checker.open == []
    assert len(set(checker.ids)) == len(checker.ids)
    assert checker.references <= set(checker.ids)
    assert checker.tags.count("script") == 1
    assert not re.search(r"@import|url\((?!#)", text)
    return checker


def test_page_stands_alone(make_run):
    path = report.write(make_run())
    assert path.name == "report.html"
    checker = checked(path.read_text(encoding="utf-8"))
    # Two Pareto plots; loss and top-1 of three trainings; sparsity of one. Of each of
    # four stages: which classes it takes for which, its kernels, its filters.
    assert checker.tags.count("svg") == 2 + 3 * 2 + 1 + 4
    assert checker.tags.count("table") == 3 + 4
    assert checker.tags.count("img") == 2 + 4
    assert checker.tags.count("details") == 1 + 3 * 4


def test_report_is_the_same_when_written_again(make_run):
    run = make_run()
    first = report.write(run).read_bytes()
    assert report.write(run).read_bytes() == first


def test_command_seeds_and_environment_stand_beside_the_table(make_run):
    run = make_run()
    report.write(run)
    documents = [report.summary(run)]
    documents += [(run / f"report.{kind}").read_text() for kind in ("html", "md")]
    for text in documents:
        assert "limbeck demo --seeds 3" in text
        assert "seeds 0, 1, 2; limbeck 0.1.0, tensorflow 2.21.0, device CPU" in text
    for text in documents[1:]:
        assert "abc123 with uncommitted changes" in text
        assert "1.50 GB" in text


def test_note_and_bad_images_stand_at_every_table(make_run, write_record):
    run = make_run()
    bad = [f"cats/{i}|<b>.jpg" for i in range(7)]
    write_record(run, "data.json", note=LOSSY, bad_images=bad)
    summary = report.summary(run)
    html = report.write(run).read_text()
    markdown = (run / "report.md").read_text()
    assert summary.count(LOSSY) == 1
    assert summary.count("unreadable: cats/") == 5
    assert "unreadable: 2 more" in summary
    assert markdown.count(f"Note: {LOSSY}") == 2
    assert html.count(f"Note: {LOSSY}") == 3
    for text in (summary, html, markdown):
        assert "7 unreadable images were skipped" in text
    assert "cats/6|&lt;b&gt;.jpg" in html
    assert r"cats/6\|&lt;b&gt;.jpg" in markdown
    tables = [each for each in html.split("<table>")[1:] if "zeros %" not in each]
    assert len(tables) == 3
    assert all(LOSSY in after.split("</figure>")[0] for after in tables)


def test_summary_fits_a_terminal(make_run, write_record):
    run = make_run()
    write_record(run, "data.json", note=LOSSY)
    summary = report.summary(run)
    assert max(map(len, summary.splitlines())) <= 110
    rows = [line for line in summary.splitlines() if line.startswith(("teach", "pru"))]
    assert rows[0].split()[:6] == ["teacher", "resnet20", "98.70", "±", "0.20", "3"]
    assert rows[3].split()[:5] == ["prune", "7.9x", "25x", "10x", "7.8x"]
    assert "since distill: zipped bytes 3.1x smaller" in rows[3]


def test_nothing_from_files_is_markup(make_run, write_record, put_rows, rows):
    evil = "<script>alert(1)</script> & \"'"
    run = make_run(class_names=[f"{evil}{i}" for i in range(10)])
    write_record(run, "environment.json", command=evil, **{evil: evil})
    write_record(run, "data.json", name=evil, note=evil, bad_images=[evil])
    write_record(run, "recipe.json", name=evil)
    measured = rows(["teacher", "distill"], [0])
    put_rows(run, [row | {"what": evil, "net": evil} for row in measured])
    html = report.write(run).read_text()
    checked(html)
    assert html.count("<script") == 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;&#x27;3" in html
    code = r"(?m)^    .*$"  # the command, in an indented block, is no markup
    assert "<script" not in re.sub(code, "", (run / "report.md").read_text())


def test_stage_names_are_no_markup_in_pictures(make_run, put_rows, rows, write_record):
    run = make_run()
    evil = "a<b>&$x$"
    measured = rows(["teacher", "distill"], [0])
    put_rows(run, [row | {"stage": evil + row["stage"]} for row in measured])
    svg = pareto.picture(read(run).summaries, "bytes_zipped")
    texts = [each.text for each in ElementTree.fromstring(svg).iter() if each.text]
    assert f"{evil}teacher" in texts
    checked(report.write(run).read_text())


def test_an_old_report_survives_a_failing_writer(make_run, monkeypatch):
    run = make_run()
    report.write(run)
    before = {path.name: path.read_bytes() for path in run.glob("*report*")}

    def half_written(path, text, **_):
        path.write_bytes(text[:100].encode())
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_text", half_written)
    with pytest.raises(OSError, match="no space left"):
        report.write(run)
    assert {path.name: path.read_bytes() for path in run.glob("*report*")} == before
    assert [path.name for path in run.iterdir() if path.name.startswith(".")] == []


def test_nothing_is_written_when_the_page_cannot_be_made(make_run, monkeypatch):
    run = make_run()

    def broken(found):
        raise RuntimeError("no page")

    monkeypatch.setattr(page, "document", broken)
    with pytest.raises(RuntimeError, match="no page"):
        report.write(run)
    assert not list(run.glob("report.*"))
