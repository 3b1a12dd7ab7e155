"""On JAX, what TensorFlow's run holds as well: see `rerun.py`."""

import pytest

from tests.compression.on_jax.rerun import on_jax


@pytest.mark.slow
@pytest.mark.parametrize("group", ["papers", "rest"])
def test_rest(group):
    on_jax(group)
