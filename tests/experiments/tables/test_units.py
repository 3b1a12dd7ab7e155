"""Numbers as people read them, at the edges of their prefixes."""

import pytest

from experiments.tables import units


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "B", "0 B"),
        (999, "B", "999 B"),
        (999.4, "B", "999 B"),
        (999.6, "B", "1.00 kB"),
        (33_127, "B", "33.1 kB"),
        (999_900, "B", "1.00 MB"),
        (1_100_000, "B", "1.10 MB"),
        (31_000_000, "", "31.0 M"),
        (724_000_000, "", "724 M"),
        (1.5e9, "", "1.50 G"),
        (12, "", "12"),
        (None, "B", "–"),
    ],
)
def test_units(value, unit, text):
    assert units.scaled(value, unit) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1, "1.0x"), (0.5, "0.50x"), (9.94, "9.9x"), (9.96, "10x"), (1234, "1,234x")],
)
def test_ratio(value, text):
    assert units.ratio(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(59.4, "59 s"), (59.6, "1 min 0 s"), (7500, "2 h 5 min")]
)
def test_duration(seconds, text):
    assert units.duration(seconds) == text


def test_change():
    assert units.change(0.9, 0.905) == "+0.50"
    assert units.change(0.9, 0.89) == "-1.00"
    assert units.change(None, 0.9) == units.change(0.9, None) == units.NOTHING
