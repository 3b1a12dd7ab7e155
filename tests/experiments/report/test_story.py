"""What a stage did: settings of its recipe, facts that it declares, its start."""

from experiments.report import story
from experiments.report.folder import read


def facts(run, stage):
    found = read(run)
    [summary] = [each for each in found.summaries if each.stage == stage]
    return dict(story.facts(found, summary))


def test_declared_facts_have_their_title_and_format(make_run, put_rows, rows):
    run = make_run()
    measured = rows(["teacher", "prune"], [0, 1, 2])
    for row in measured:
        if row["stage"] == "prune" and row["seed"] != 1:  # seed 1 has no such key
            row["masks"] = 2.25 + row["seed"]
    put_rows(run, measured)
    assert facts(run, "prune")["masks made"] == "2.2; 4.2"
    assert "masks made" not in facts(run, "teacher")


def test_a_fact_that_no_row_has_is_not_shown(make_run):
    assert "masks made" not in facts(make_run(), "prune")


def test_settings_and_outcome(make_run):
    found = facts(make_run(), "distill")
    assert found["start"] == "alexnet_small, options width 0.125"
    assert found["training"] == "epochs 24, learning rate 0.003"
    assert found["epochs run"] == "24 (kept: epoch 23)"
    assert found["validation top-1"] == "97.20 ± 0.20 %"
    assert found["time"] == "1 min 40 s a seed"
    assert found["moved from teacher"].startswith("bytes 7.9x smaller")


def test_what_moved_is_since_the_declared_start(make_run):
    found = facts(make_run(), "int8")
    assert found["moved since prune"].startswith("bytes 3.3x smaller")
    assert "moved from teacher" not in found
