"""Columns of summaries -> cells; the same table as text, Markdown and HTML."""

import pytest

from experiments.tables.table import (
    Cell,
    Column,
    as_html,
    as_markdown,
    as_text,
    tabulate,
)


@pytest.fixture
def table():
    columns = (
        Column("name", lambda pair: pair[0], numeric=False),
        Column(
            "size", lambda pair: Cell(str(pair[1]), f"{8 / pair[1]:g}x"), aside="less"
        ),
    )
    return tabulate("Sizes", columns, [("a|b", 4), ("c", 16)], ["", "Note: <one>."])


def test_a_cell_is_what_its_column_makes_of_the_summary(table):
    assert table.cells == (
        (Cell("a|b"), Cell("4", "2x")),
        (Cell("c"), Cell("16", "0.5x")),
    )
    assert table.notes == ("Note: <one>.",)  # an empty note is none


def test_as_text(table):
    assert as_text(table, width=40) == (
        "name  size\n----------\na|b      4\nc       16\nNote: <one>."
    )


def test_as_markdown(table):
    assert as_markdown(table) == (
        "| name | size (less) |\n"
        "|:---|---:|\n"
        "| a\\|b | 4 (2x) |\n"
        "| c | 16 (0.5x) |\n"
        "\n"
        "Note: &lt;one&gt;.\n"
    )


def test_as_html(table):
    html = as_html(table)
    assert '<th scope="col" class="number">size<small>x less</small></th>' in html
    assert '<th scope="row">c</th><td class="number">16<small>0.5x</small></td>' in html
    assert '<p class="warning">Note: &lt;one&gt;.</p>' in html


def test_a_heading_explains_asides_only_where_there_are_some():
    columns = (Column("x", str, aside="less"),)
    assert "less" not in as_markdown(tabulate("", columns, [1]))


def test_words_in_the_last_column_are_wrapped():
    columns = (Column("n", str), Column("words", lambda n: "word " * 12, numeric=False))
    lines = as_text(tabulate("", columns, [1]), width=40).splitlines()
    assert len(lines) == 4 and max(map(len, lines)) <= 40
    assert " ".join(" ".join(lines[2:]).split()) == "1 " + " ".join(["word"] * 12)
