"""Whoever reads a record that a person or a disk has altered is told which file it is.

Alterations are drawn from a seed. A reader may take them (much of a record is only
shown), or refuse them with a ValueError that names the file; anything else is a bug.
"""

import copy
import json
import random
import shutil

import pytest

from experiments import deployment, records, report
from experiments.data import load
from experiments.recipes import ROOT
from experiments.recipes.demo.recipe import RECIPE
from experiments.report import markdown
from experiments.report.folder import read
from experiments.runs import failures, identity, order
from experiments.runs.begun import begin
from experiments.runs.environment import differences
from experiments.runs.fingerprints import outdated, require_as_written, seal
from experiments.runs.layout import RunFolder, StageFolder
from experiments.runs.measured import files_of
from experiments.runs.rows import gathered

DIGITS = load("digits")
STAGE = "stages/seed0/teacher"
BEGUN = "stages/seed0/begun.partial"
VALUES = (
    None, "x", "", 7, -1, 1.5, True, [], {}, [[]], [None], ["x"], {"a": 1},
    float("nan"), float("inf"), 1e308, 10**400, "a\x00b", "\ud800", "../../x",
)  # fmt: skip


def show(run):
    """All that a report says without pictures, which cost a second each."""
    report.summary(run)
    markdown.document(read(run))


def measured_before(run):
    for folder in RunFolder(run).measured():
        files_of(folder.read_rows())


def begin_again(run):
    begin(StageFolder(run / BEGUN), RECIPE.stages[0], RECIPE, {})


def teachers(reader):
    return lambda run: reader(RunFolder(run).stage("teacher", 0))


READERS = {
    "rows.jsonl": [show],
    "recipe.json": [
        show,
        lambda run: identity.require_same_recipe(RECIPE, RunFolder(run)),
    ],
    "environment.json": [
        show,
        lambda run: differences(RunFolder(run).read_environment(), {}),
    ],
    "data.json": [
        show,
        lambda run: identity.require_same_data(DIGITS, {}, RunFolder(run)),
    ],
    "stages.json": [show],
    f"{STAGE}/history.json": [show, teachers(lambda stage: stage.read_history())],
    f"{STAGE}/about.json": [teachers(lambda stage: {**stage.read_about()})],
    f"{STAGE}/deploy.json": [lambda run: deployment.read(run / STAGE / "deploy.json")],
    f"{STAGE}/fingerprints.json": [
        teachers(require_as_written),
        teachers(lambda stage: outdated(stage, {"x": stage})),
    ],
    f"{BEGUN}/begun.json": [begin_again],
    "stages/seed0/measure/rows.json": [
        measured_before,
        lambda run: gathered(RECIPE, RunFolder(run)),
    ],
}


@pytest.fixture
def run(make_run, write_record):
    """A run folder with every kind of record in it."""
    run = make_run(seeds=(0,))
    folder = RunFolder(run)
    write_record(run, "data.json", mean=[0.1], std=[0.3], left_out=["a"])
    folder.measure(0).rows.write_text(json.dumps(folder.read_rows()))
    stage = folder.stage("teacher", 0)
    stage.about.write_text(json.dumps({"stage": "teacher", "epochs": 2}))
    deployment.Deployment((8, 8, 1), (0.2,), (0.5,), ("a", "b")).write(stage.deploy)
    seal(stage, {})
    begin_again(run)
    return run


def places(value, at=()):
    """The keys that lead to each value inside, an outer one before its inner ones."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield (*at, key)
        if isinstance(item, dict | list):
            yield from places(item, (*at, key))


def altered(content, rng, wanted=30):
    """As many altered versions of a JSON text, as bytes."""
    whole = content.encode()
    middle = len(whole) // 2
    yield from (b"", b"null", b"[]", b"{}", b"7", b'"x"', b"NaN", b"1" * 5000)
    yield from (whole[:middle], whole[:-3], b"\xff\xfe" + whole, b"[" * 9999)
    yield whole[:middle] + b"\xe9" + whole[middle:]
    record = json.loads(content)
    found = sorted(places(record), key=len)
    for _ in range(wanted):
        new = copy.deepcopy(record)
        at = found[int(len(found) * rng.random() ** 2)]  # the outer ones more often
        inner = new
        for key in at[:-1]:
            inner = inner[key]
        kind = rng.random()
        if kind < 0.2:
            del inner[at[-1]]
        elif kind < 0.3:
            inner[at[-1]] = [inner[at[-1]]]
        else:
            inner[at[-1]] = rng.choice(VALUES)
        yield json.dumps(new).encode()


def require_named(reader, argument, *names):
    """Whether it is refused; then one of the names stands in the message."""
    try:
        reader(argument)
    except ValueError as error:
        assert any(name in str(error) for name in names), error
        return True
    return False


@pytest.mark.parametrize("name", READERS)
def test_altered_records_of_a_run_are_taken_or_named(run, name):
    path = run / name
    whole = path.read_text()
    assert not require_named(READERS[name][0], run)  # as a run writes it
    lines = whole.splitlines(keepends=True) if path.suffix == ".jsonl" else [whole]
    *before, last = lines
    refused = 0
    for content in altered(last, random.Random(name)):
        path.write_bytes("".join(before).encode() + content)
        # Of a recipe or data that differ, the message names the folder.
        refused += sum(require_named(r, run, name, str(run)) for r in READERS[name])
        path.write_text(whole)
    assert refused > 5


@pytest.mark.parametrize("name", ["hinton2015", "distill_methods", "demo-mnist5k"])
def test_altered_committed_records_are_taken_or_named(tmp_path, name):
    [first, *_] = sorted(ROOT.glob(f"*/results/{name}.seed*.json"))
    path = tmp_path / first.parents[1].name / "results" / first.name
    path.parent.mkdir(parents=True)
    shutil.copy(first, path)
    records.table(name, tmp_path)
    refused = 0
    for content in altered(path.read_text(), random.Random(name)):
        path.write_bytes(content)
        refused += require_named(lambda run: records.table(run, tmp_path), name, name)
    assert refused > 5


def test_pages_are_drawn_of_odd_names_and_numbers(run, write_record):
    odd = {"key": "masks", "title": "$\\x$ \N{SNOWMAN}", "factor": 1e18}
    logs = {"teacher": {"logs": [odd | {"key": "loss"}], "facts": [odd]}}
    write_record(run, "stages.json", **logs)
    write_record(run, "environment.json", commit="\udcff", old_bytes=[1])
    assert "\\udcff" in report.write(run).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "key", "value", "message"),
    [
        ("recipe.json", "stages", 7, "recipe.json: stages must be a list, got 7; rest"),
        ("recipe.json", "data", [], "recipe.json: data must be a text, got a list of"),
        (
            "stages.json",
            "a",
            {"logs": [{"key": "b", "title": "\x01"}]},
            "be printed, go",
        ),
        ("data.json", "class_names", "abc", "class_names must be a list, got 'abc'; d"),
        ("environment.json", "commit", 7, "environment.json: commit must be a text or"),
        (f"{STAGE}/fingerprints.json", "wrote", [], "wrote must be an object.*teacher"),
        (f"{BEGUN}/begun.json", "settings", {"kind": []}, "settings.kind must be a te"),
        (f"{STAGE}/about.json", "stage", None, "about.json: stage must be a text, got"),
        (f"{STAGE}/deploy.json", "mean", [-1e400], r"mean\[0\] must be a number that"),
    ],
)
def test_the_key_and_the_way_out_are_named(
    run, write_record, name, key, value, message
):
    write_record(run, name, **{key: value})
    with pytest.raises(ValueError, match=message):
        for reader in READERS[name]:
            reader(run)


@pytest.mark.parametrize("name", ["recipe.json", "order.json"])
def test_altered_orders_are_taken_or_named(tmp_path, name):
    """What a worker reads of a run folder."""
    folder = RunFolder(tmp_path)
    ordered = order.made(RECIPE, (0, 1), ["teacher"], "limbeck demo")
    wholes = {"recipe.json": RECIPE.as_dict(), "order.json": ordered}
    for each, record in wholes.items():
        (tmp_path / each).write_text(json.dumps(record))
    assert order.read(folder).recipe == RECIPE
    refused = 0
    for text in altered(json.dumps(wholes[name]), random.Random(0), wanted=150):
        (tmp_path / name).write_bytes(text)
        refused += require_named(order.read, folder, name)
    assert refused > 20


def test_altered_failures_are_taken_or_named(tmp_path):
    path = tmp_path / "teacher.error.json"
    failures.keep(path, ValueError("no"))
    for text in altered(path.read_text(), random.Random(0)):
        path.write_bytes(text)
        require_named(failures.kept, path, path.name)


def test_measured_rows_of_another_recipe_are_named(run):
    path = RunFolder(run).measure(0).rows
    rows = json.loads(path.read_text())
    path.write_text(json.dumps([rows[0] | {"stage": "stranger"}]))
    with pytest.raises(ValueError, match=r"rows\.json has a row of 'stranger'.*delete"):
        gathered(RECIPE, RunFolder(run))
