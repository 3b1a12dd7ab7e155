"""Training curves: a panel for losses, accuracies and each declared log."""

import json
from xml.etree import ElementTree

from experiments.report import curves
from experiments.report.folder import read


def test_curves_are_svg_with_a_line_a_seed(make_run):
    found = read(make_run())
    panels = curves.pictures(found, "prune")
    assert len(panels) == 3
    for panel in panels:
        root = ElementTree.fromstring(panel)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert root.get("viewBox")
    assert "ends at 80, 80, 80" in panels[2]
    assert panels[2].count("stroke: var(--series-2") == 3
    assert curves.pictures(found, "int8") == []


def test_a_stage_may_declare_any_log(make_run):
    run = make_run(seeds=[0])
    declared = json.loads((run / "stages.json").read_text())
    declared["distill"]["logs"] = [
        {"key": "agreement", "title": "agreement, %", "factor": 100},
        {"key": "absent", "title": "never logged"},
    ]
    (run / "stages.json").write_text(json.dumps(declared))
    path = run / "stages/seed0/distill/history.json"
    columns = json.loads(path.read_text())
    columns["agreement"] = [0.5, 0.75]
    path.write_text(json.dumps(columns))
    panels = curves.pictures(read(run), "distill")
    assert len(panels) == 3  # loss, top-1 and the declared log that was logged
    assert "distill: agreement, % by epoch. ends at 75" in panels[2]
