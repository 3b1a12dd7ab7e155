"""tfmot's side effects on the process, and what is said when it is not there."""

import os
import sys

import pytest

from compression.tfmot.packages import LEGACY, tfmot

NAME = "tensorflow_model_optimization"


@pytest.fixture
def as_installed(monkeypatch, tmp_path):
    """Puts another package in tfmot's place: it can be imported only once."""

    def put(code):
        monkeypatch.setitem(sys.modules, NAME, None)
        del sys.modules[NAME]
        (tmp_path / f"{NAME}.py").write_text(code)
        monkeypatch.syspath_prepend(tmp_path)

    return put


@pytest.mark.parametrize("before", [None, "0"])
def test_no_variable_is_left_to_other_processes(as_installed, monkeypatch, before):
    monkeypatch.setenv(LEGACY, "something")
    if before is None:
        monkeypatch.delenv(LEGACY)
    else:
        monkeypatch.setenv(LEGACY, before)
    as_installed(f"import os; os.environ[{LEGACY!r}] = '1'; set_it = True")
    assert tfmot().set_it
    assert os.environ.get(LEGACY) == before


def test_without_tfmot_the_way_out_is_named(as_installed):
    as_installed("raise ImportError('no such package')")
    with pytest.raises(RuntimeError, match="pip install tensorflow-model-optimization"):
        tfmot()
