"""Names that TensorFlow does not compile are refused, with one that it does."""

import keras
import numpy as np
import pytest
from keras import layers

from compression import export, measure, quantization
from compression.layer_names import require_compilable_names


def net(name):
    image = keras.Input((4, 4, 3))
    x = layers.Flatten()(layers.Conv2D(2, 3, name=name)(image))
    return keras.Model(image, layers.Dense(3)(x))


IMAGES = np.zeros((2, 4, 4, 3), np.float32)
USES = {
    "litert": lambda model, path: export.litert(model, path / "net.tflite"),
    "saved_model": lambda model, path: export.saved_model(model, path / "net"),
    "calibrate": lambda model, path: quantization.calibrate(model, [IMAGES]),
    "quantize_aware": lambda model, path: quantization.quantize_aware(model),
    "logits": lambda model, path: measure.logits(model, [IMAGES]),
}


@pytest.mark.parametrize("use", USES)
def test_a_name_that_is_not_compiled_is_refused_with_a_better_one(use, tmp_path):
    model = net("größe 1")
    with pytest.raises(ValueError, match="'größe 1': rename it, .* = 'gr__e_1'"):
        USES[use](model, tmp_path)


@pytest.mark.parametrize("name", ["conv 1", "größe", "_conv", "a:0", "层"])
def test_refused_names_are_those_that_tensorflow_refuses(name):
    import tensorflow as tf

    model = net("conv")
    model.layers[1].name = name
    with tf.Graph().as_default(), pytest.raises(ValueError, match="scope name"):
        tf.name_scope(name).__enter__()
    with pytest.raises(ValueError, match="rename it"):
        require_compilable_names(model)


def test_a_scope_may_have_a_backslash_and_what_is_in_it_may_not():
    with pytest.raises(ValueError, match=r"rename it, layer.name = 'conv_1'"):
        require_compilable_names(net("conv\\1"))


def test_a_layer_that_is_renamed_is_compiled():
    model = net("conv 1")
    model.layers[1].name = "conv_1"
    require_compilable_names(model)
    assert np.isfinite(model.predict_on_batch(IMAGES)).all()
