"""The twins in tf_keras are the same nets."""

import keras
import numpy as np
import pytest

from experiments.benchmarks import fit_steps, quantize, tf_keras_peers


@pytest.mark.parametrize("name", quantize.NETS)
def test_the_twin_in_tf_keras_computes_the_same(name):
    pytest.importorskip("tensorflow_model_optimization")
    model = fit_steps.net(name)
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    np.testing.assert_allclose(
        tf_keras_peers.twin(model)(images), model(images), rtol=1e-4, atol=1e-5
    )


def test_a_layer_without_a_twin_is_refused():
    pytest.importorskip("tensorflow_model_optimization")
    inputs = keras.Input((4,))
    strange = keras.Model(inputs, keras.layers.Softmax()(inputs))
    with pytest.raises(ValueError, match="no tf_keras twin of a Softmax"):
        tf_keras_peers.twin(strange)
