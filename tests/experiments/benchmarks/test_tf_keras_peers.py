"""The twins in tf_keras are the same nets."""

import keras
import numpy as np
import pytest

from experiments.benchmarks import fit_steps, tf_keras_peers


def test_the_twin_in_tf_keras_computes_the_same():
    pytest.importorskip("tensorflow_model_optimization")
    model = fit_steps.net()
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    np.testing.assert_allclose(
        tf_keras_peers.twin(model)(images), model(images), rtol=1e-4, atol=1e-5
    )
    inputs = keras.Input((4,))
    strange = keras.Model(inputs, keras.layers.Softmax()(inputs))
    with pytest.raises(ValueError, match="no tf_keras twin of a Softmax"):
        tf_keras_peers.twin(strange)
