"""The picture of accuracy against a cost."""

from xml.etree import ElementTree

from experiments.report import pareto
from experiments.report.folder import read


def test_the_picture_names_its_points_in_words(make_run):
    svg = pareto.picture(read(make_run()).summaries, "bytes_zipped")
    alt = ElementTree.fromstring(svg).get("aria-label")
    assert "teacher: 98.70 % at 1.00 MB" in alt
    assert "int8: 96.50 % at 16.0 kB" in alt
