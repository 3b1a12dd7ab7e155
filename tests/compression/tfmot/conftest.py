"""These tests need tfmot, and import it as the bridge does: late, and cleaned up."""

from importlib.util import find_spec

import pytest


@pytest.fixture(autouse=True)
def _tfmot_is_there():
    if find_spec("tensorflow_model_optimization") is None:
        pytest.skip("tensorflow-model-optimization is not installed")
