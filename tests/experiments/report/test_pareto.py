"""The picture of accuracy against a cost."""

from xml.etree import ElementTree

from experiments.report import pareto
from experiments.report.folder import read


def test_the_picture_names_its_points_in_words(make_run):
    alt = ElementTree.fromstring(pareto.picture(read(make_run()), "bytes_zipped")).get(
        "aria-label"
    )
    assert "teacher: 98.70 % at 1.00 MB" in alt
    assert "int8: 96.50 % at 16.0 kB" in alt
