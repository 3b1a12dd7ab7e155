"""What losses compare may lie in nested models, or have its channels first."""

import keras
import numpy as np
import pytest
from keras import layers

from compression.distillation import Distiller, Hints, SimilarityPreserving

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(8, 8, 8, 2)).astype("float32")
LABELS = RNG.integers(0, 3, 8)


def nested(name, width):
    image = keras.Input((8, 8, 2))
    x = layers.Conv2D(width, 3, padding="same", name="conv")(image)
    inner = keras.Model(image, layers.ReLU(name="relu")(x), name=f"{name}_inner")
    image = keras.Input((8, 8, 2), name="image")
    x = layers.GlobalAveragePooling2D()(inner(layers.Rescaling(0.5)(image)))
    return keras.Model(image, layers.Dense(3, name="logits")(x), name=name)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_layers_inside_nested_models_are_compared(jit_compile):
    student, teacher = nested("s", 3), nested("t", 4)
    hints = Hints("conv", "conv")
    made = Distiller(student, teacher=teacher, losses=[hints], label_weight=0.0)
    made.compile(keras.optimizers.SGD(0.0), jit_compile=jit_compile)
    log = made.fit(IMAGES, LABELS, batch_size=8, verbose=0).history["hints"][0]
    maps = [
        keras.ops.convert_to_numpy(
            net.get_layer(f"{net.name}_inner").get_layer("conv")(0.5 * IMAGES)
        )
        for net in (student, teacher)
    ]
    projected = keras.ops.convert_to_numpy(hints.projectors[0](maps[0]))
    expected = ((projected - maps[1]) ** 2).mean()
    assert log == pytest.approx(expected, rel=1e-4)


def channels_first(name, width):
    """Its map "squares" is (batch, channels, height, width)."""
    image = keras.Input((8, 8, 2), name="image")
    x = layers.Conv2D(width, 3, padding="same", activation="relu")(image)
    x = layers.Permute((3, 1, 2))(x)
    first = layers.Rescaling(2.0, name="squares")(x)
    x = layers.GlobalAveragePooling2D(data_format="channels_first")(first)
    return keras.Model(image, layers.Dense(3, name="logits")(x), name=name)


def test_maps_with_their_channels_first_are_compared_as_others():
    student, teacher = nested("s", 3), channels_first("t", 4)
    loss = Hints("squares", "conv")
    made = Distiller(student, teacher=teacher, losses=[loss], label_weight=0.0)
    outputs = made.teacher_outputs.predict(IMAGES, verbose=0)
    [feature] = [value for key, value in outputs.items() if "squares" in key]
    direct = keras.Model(teacher.input, teacher.get_layer("squares").output)
    expected = direct.predict(IMAGES, verbose=0).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(feature, expected, rtol=1e-5)
    assert loss.projectors[0].kernel.shape[-1] == 4


def test_relations_do_not_mind_where_channels_are():
    student, teacher = nested("s", 3), channels_first("t", 4)
    loss = SimilarityPreserving("squares", "relu")
    made = Distiller(student, teacher=teacher, losses=[loss], label_weight=0.0)
    made.compile("sgd", jit_compile=False)
    assert np.isfinite(made.fit(IMAGES, LABELS, verbose=0).history["loss"]).all()
