"""On JAX: see `rerun.py`."""

from tests.compression.on_jax.rerun import on_jax


def test_distiller():
    on_jax("distiller")
