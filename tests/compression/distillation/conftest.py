"""Every test draws the same numbers, whichever ran before it; XLA is in no hurry."""

import os

# Nearly all the time under jit_compile would go into making small graphs fast.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
)

import keras  # noqa: E402, reads the flags
import pytest  # noqa: E402


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)
