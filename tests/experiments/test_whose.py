"""A record beside model files counts for those that it is of, and for no others."""

import json

import pytest

from experiments import whose
from experiments.runs.fingerprints import of_file


def made(path, content="a"):
    path.write_text(content)
    return path


def record_of(folder, files, name="net.deploy.json"):
    path = folder / name
    path.write_text(json.dumps({"mean": [0.5], "files": files}))
    return path


def of(path):
    return {path.name: {"sha256": of_file(path)}}


def files_in(record):
    return json.loads(record.read_text())["files"]


def test_a_record_is_named_for_the_file_or_the_whole_folder(tmp_path):
    names = {
        "net.keras": "net.deploy.json",
        "net.int8.tflite": "net.int8.deploy.json",
        "net": "net.deploy.json",
        "net.v1": "net.v1.deploy.json",
    }
    assert {name: whose.own(tmp_path / name).name for name in names} == names
    (tmp_path / "odd.keras").mkdir()
    assert whose.own(tmp_path / "odd.keras").name == "odd.keras.deploy.json"


@pytest.mark.parametrize("name", ["net.deploy.json", "deploy.json"])
def test_a_file_that_took_the_place_of_another_has_no_record(tmp_path, name):
    net = made(tmp_path / "net.tflite")
    record = record_of(tmp_path, of(net), name)
    assert whose.found(net) == record
    made(net, "another")
    message = rf"{name} is of another net.tflite, .*: write that file again .* delete"
    with pytest.raises(ValueError, match=message):
        whose.found(net)
    record_of(tmp_path, {"net.tflite": {}}, name)  # somebody has looked
    assert whose.found(net) == record


def test_a_record_of_other_files_is_none(tmp_path):
    net, other = made(tmp_path / "net.tflite"), made(tmp_path / "net.keras", "b")
    record = record_of(tmp_path, of(net))
    assert whose.found(other) is None
    stage = record_of(tmp_path, of(net), "deploy.json")
    assert whose.found(other) == stage  # it is of the model that they were made from
    assert whose.found(net) == record


@pytest.mark.parametrize("files", [{}, None, [7]])
def test_a_record_that_lists_nothing_is_of_every_file(tmp_path, files):
    record = record_of(tmp_path, files)
    assert whose.found(made(tmp_path / "net.keras")) == record
    assert whose.found(made(tmp_path / "net.tflite")) == record


def test_the_former_record_of_a_folder_must_list_it(tmp_path):
    folder = tmp_path / "net.v1"
    folder.mkdir()
    record_of(tmp_path, {})
    assert whose.found(folder) is None
    record = record_of(tmp_path, of(folder))
    assert whose.found(folder) == record
    made(folder / "saved_model.pb")
    with pytest.raises(ValueError, match="is of another net.v1, by its sha256"):
        whose.found(folder)
    assert whose.forget_replaced(folder) == record and not record.exists()


def test_others_are_those_that_are_still_there(tmp_path):
    net, other = made(tmp_path / "net.tflite"), made(tmp_path / "net.keras")
    names = ("..", "", "../x", ".", "\0", "gone.keras")
    strange = {name: {"sha256": "7"} for name in names}
    record = record_of(tmp_path, of(net) | of(other) | strange)
    assert whose.others(record, net) == of(other)
    record_of(tmp_path, {})
    assert whose.others(record, net) == of(other)
    folder = tmp_path / "net"
    folder.mkdir()
    assert whose.others(record, net) == of(other)  # no model is in it
    made(folder / "saved_model.pb")
    assert whose.others(record, net) == of(other) | of(folder)
    record.unlink()
    assert whose.others(record, net) == {}


def test_what_is_replaced_is_forgotten_and_nothing_else(tmp_path):
    net, other = made(tmp_path / "net.tflite"), made(tmp_path / "net.keras")
    record = record_of(tmp_path, of(net) | of(other))
    assert whose.forget_replaced(net) is None  # it is the same file
    made(net, "another")
    programs = [made(tmp_path / f"net.deploy.{kind}") for kind in ("py", "c")]
    assert whose.forget_replaced(net) == record
    assert files_in(record) == of(other)
    assert not any(program.exists() for program in programs)  # they were of the net
    assert whose.forget_replaced(net) is None and whose.found(net) is None
    made(other, "another")
    assert whose.forget_replaced(other) == record
    assert not record.exists()


def test_a_new_file_has_not_the_record_that_another_had_before(tmp_path):
    """One that lists nothing, as earlier versions wrote beside .keras files."""
    old, new = made(tmp_path / "net.keras"), made(tmp_path / "net.tflite", "b")
    record = record_of(tmp_path, {})
    assert whose.forget_replaced(new) is None
    assert files_in(record) == of(old)
    assert whose.found(old) == record and whose.found(new) is None
    old.unlink()
    record = record_of(tmp_path, {})  # by hand, and it can be of the new one alone
    assert whose.forget_replaced(new) is None and whose.found(new) == record


def test_a_file_renamed_with_its_record_keeps_it(tmp_path):
    files = of(made(tmp_path / "net.tflite"))
    phone = made(tmp_path / "phone.tflite")
    record = record_of(tmp_path, files, "phone.deploy.json")
    assert whose.found(phone) == record
    made(phone, "another")
    assert whose.found(phone) is None
