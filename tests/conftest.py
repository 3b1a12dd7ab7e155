"""What tests share: real data where it lies, a quiet TensorFlow, an XLA in no hurry."""

import gc
import os
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Nearly all the time of XLA would go into making small graphs fast: it need not.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
    "--xla_cpu_parallel_codegen_split_count=1 "  # else each part is copied and linked
    "--xla_cpu_multi_thread_eigen=false",
)
if "PYTEST_XDIST_WORKER" in os.environ:  # two processes: a core each
    # Threads that wait for one another spin, on a core that somebody else could use.
    for library in ("TF_NUM_INTRAOP", "OPENBLAS_NUM", "OMP_NUM"):
        os.environ.setdefault(f"{library}_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]

# Tracing makes first examples slow; CI must not depend on luck.
settings.register_profile("limbeck", deadline=None, derandomize=True)
settings.load_profile("limbeck")


def pytest_collection_finish():
    """Tests are many small graphs, traced once each: that is what takes the time."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)  # a trace makes objects without end, all kept
    if "tensorflow" in sys.modules:
        import tensorflow as tf

        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
        _without_a_tuner(tf.data)


def _without_a_tuner(data):
    """Keras's own pipelines too: what is dropped need not wait for tf.data's tuner."""
    from experiments.data.parallel import untuned

    begin = data.Dataset.__iter__
    data.Dataset.__iter__ = lambda dataset: begin(untuned(dataset))


@pytest.fixture(scope="module", autouse=True)
def _what_is_left_stays():
    """Keras collects garbage before each stage: only its file's own is looked at."""
    yield
    gc.collect()
    gc.freeze()


@contextmanager
def functions_run_eagerly(eagerly):
    """As TensorFlow can be told; other backends have nothing of the kind."""
    import keras

    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(eagerly)
    yield
    tf.config.run_functions_eagerly(before)


@pytest.fixture(scope="module")
def eagerly():
    """Steps of Keras that run without being traced first, which takes a second.

    For tests of many small trainings. That the same is right when it is traced, or
    compiled, is tested with those of `fit`, of runs and of XLA.
    """
    with functions_run_eagerly(True):
        yield


@pytest.fixture
def traced():
    """Of a file that runs `eagerly`, a test of XLA, or of many steps."""
    with functions_run_eagerly(False):
        yield


@pytest.fixture(scope="session", autouse=True)
def _own_teacher_cache(tmp_path_factory):
    """No test touches the caches of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIMBECK_CACHE", str(tmp_path_factory.mktemp("teachers")))
        yield


@pytest.fixture(autouse=True)
def _nondeterministic_again():
    """A run turns determinism on for its process, and Keras then turns XLA off."""
    yield
    if "tensorflow" in sys.modules:
        from tensorflow.python.framework import config  # nothing public turns it off

        config.disable_op_determinism()


@pytest.fixture(scope="session")
def tfds_dir():
    """A folder with MNIST and CIFAR-10 prepared for TFDS."""
    folder = Path(
        os.environ.get("TFDS_DATA_DIR", ROOT.parent / "shared/tensorflow_datasets")
    )
    if not (folder / "cifar10").is_dir():
        pytest.skip("no prepared TFDS data: set TFDS_DATA_DIR to a folder with cifar10")
    return folder
