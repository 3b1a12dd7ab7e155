"""Which classes are taken for which, counted by hand."""

from xml.etree import ElementTree

import numpy as np

from experiments.report import confusion
from experiments.report.folder import read

SVG = "{http://www.w3.org/2000/svg}"


def test_pairs_are_counted_over_all_seeds(make_run):
    run = read(make_run())
    counts = confusion.confusion(run, "int8")
    assert counts.sum() == 300 and np.trace(counts) == 291
    assert [counts[i, i + 1] for i in range(4)] == [3, 3, 3, 0]
    assert confusion.confusion(run, "another") is None


def test_a_square_a_pair_that_says_what_it_is(make_run):
    section = confusion.section(read(make_run(seeds=(0,))), "int8")
    svg = ElementTree.fromstring(section).find(f"{SVG}svg")
    tips = [title.text for title in svg.iter(f"{SVG}title")]
    assert len(tips) == 100
    assert "1 image of 2: 3 (10.0 %)" in tips
    assert "9 images of 2: 2 (90.0 %)" in tips
    assert svg.get("aria-label").startswith("int8: 3 of 100 answers are wrong. 1 of 0")


def test_two_classes_of_one_letter_have_room(make_run):
    """Less than the margins of other pictures."""
    picture = confusion._picture(np.array([[3, 1], [0, 4]]), ("0", "1"), "int8", 0)
    assert "1 image of 0: 1 (25.0 %)" in picture


def test_of_many_classes_the_commonest_mistakes(make_run):
    run = make_run(seeds=(0,), class_names=[f"kind {i}" for i in range(200)])
    html = confusion.section(read(run), "int8")
    assert "<svg" not in html and html.count("<tr>") == 1 + 3
    assert '<th scope="row">kind 1</th><td>kind 2</td>' in html
    assert '<td class="number">10.00</td>' in html


def test_runs_of_earlier_versions_have_none(make_run):
    run = make_run(seeds=(0,))
    (run / "stages/seed0/measure/answers.npz").unlink()
    found = read(run)
    assert confusion.section(found, "int8") == "" and not found.gaps
