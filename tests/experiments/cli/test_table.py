"""`limbeck table`: which texts it makes or checks."""

import pytest

from experiments import records
from experiments.cli import main as cli

OUTDATED = "<!-- table: demo-mnist5k -->\n| old |\n<!-- end -->\n"


@pytest.fixture
def texts(tmp_path, monkeypatch):
    """Two texts with an outdated table: all that there are."""
    files = [tmp_path / "README.md", tmp_path / "other.md"]
    for file in files:
        file.write_text(OUTDATED, encoding="utf-8")
    monkeypatch.setattr(records, "texts", lambda: files, raising=False)
    return files


def test_without_a_file_all_texts_are_made(texts, refusal):
    assert "README.md differs from the records" in refusal("table", "--check")
    assert texts[0].read_text(encoding="utf-8") == OUTDATED
    assert cli.main(["table"]) == 0
    for file in texts:
        assert "`limbeck demo --seeds 5`" in file.read_text(encoding="utf-8")
    assert cli.main(["table", "--check"]) == 0


def test_with_a_file_it_alone_is_made(texts, refusal):
    assert cli.main(["table", str(texts[1])]) == 0
    assert cli.main(["table", str(texts[1]), "--check"]) == 0
    assert texts[0].read_text(encoding="utf-8") == OUTDATED
    assert "there is no file none.md" in refusal("table", "none.md")


def test_a_check_changes_nothing(texts, refusal, monkeypatch):
    monkeypatch.setattr(records, "record", lambda run: pytest.fail("it was kept"))
    line = refusal("table", "--check", "--record", "runs/x")
    assert "--check changes nothing: leave out --record" in line
    assert "no file none.md" in refusal("table", "none.md", "--record", "runs/x")


def test_records_are_kept_first(texts, monkeypatch, capsys, refusal, tmp_path):
    monkeypatch.setattr(records, "record", lambda run: [run / "a.json", run / "b.json"])
    assert cli.main(["table", "--record", "runs/x"]) == 0
    assert capsys.readouterr().out.split() == ["runs/x/a.json", "runs/x/b.json"]
    monkeypatch.undo()
    assert "rows.jsonl" in refusal("table", "--record", tmp_path)
