"""`limbeck report`: what is no run folder is refused; test_main.py writes a report."""


def test_a_folder_without_rows_is_refused(refusal, tmp_path):
    assert "rows.jsonl" in refusal("report", tmp_path)


def test_what_cannot_be_compared_is_refused(make_run, refusal, tmp_path):
    run = make_run(seeds=[0])
    assert "a run stands there twice" in refusal("report", run, run)
    assert "is not a run folder" in refusal("report", run, tmp_path / "none")
    line = refusal("report", run, run, "--out", tmp_path)
    assert f"is a folder: give the name of a file: '{tmp_path}'" in line
    assert "--out is of several runs" in refusal("report", run, "--out", "a.html")
