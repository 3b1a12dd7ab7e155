"""`limbeck report`: what is no run folder is refused; test_main.py writes a report."""


def test_a_folder_without_rows_is_refused(refusal, tmp_path):
    assert "rows.jsonl" in refusal("report", tmp_path)
