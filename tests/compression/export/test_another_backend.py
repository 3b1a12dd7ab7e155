"""On another backend than TensorFlow a model is counted, and refused by the exporters.

Run by tests/compression/test_on_jax.py.
"""

import keras
import pytest

from compression import export, measure

pytestmark = pytest.mark.skipif(
    keras.backend.backend() == "tensorflow", reason="the backend that exports"
)


@pytest.mark.backends
def test_another_backend_is_refused(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    assert measure.macs(model) == 2
    message = "export needs Keras on the TensorFlow backend, this is jax; save the"
    with pytest.raises(RuntimeError, match=message):
        export.saved_model(model, tmp_path / "net")
    with pytest.raises(RuntimeError, match=message):
        export.litert(model, tmp_path / "net.tflite")
