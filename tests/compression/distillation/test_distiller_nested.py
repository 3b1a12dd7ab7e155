"""What losses compare may lie in nested models, or have its channels first."""

import keras
import numpy as np
import pytest
from keras import layers

from compression.distillation import Distiller, Hints, SimilarityPreserving, stages
from compression.distillation.taps import shapes_at

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


def test_a_layer_called_twice_and_a_model_called_again():
    """The last call counts, on the images of the net and not on another's."""
    image = keras.Input((8, 8, 2))
    conv = layers.Conv2D(2, 3, padding="same", name="conv")
    inner = keras.Model(image, conv(conv(image)), name="inner")
    inner(keras.Input((8, 8, 2)))  # somebody else's
    image = keras.Input((8, 8, 2), name="image")
    x = inner(inner(image))
    x = layers.GlobalAveragePooling2D()(x)
    teacher = keras.Model(image, layers.Dense(3, name="logits")(x), name="t")
    student = nested("s", 3)
    loss = Hints(["conv", "inner"], ["relu", "s_inner/relu"])
    made = Distiller(student, teacher=teacher, losses=[loss], label_weight=0.0)
    outputs = made.teacher_outputs.predict(IMAGES, verbose=0)
    expected = IMAGES
    for _ in range(4):
        expected = keras.ops.convert_to_numpy(conv(expected))
    for key in ("teacher_conv", "teacher_inner"):
        np.testing.assert_allclose(outputs[key], expected, rtol=1e-4, atol=1e-5)
    made.compile("sgd", jit_compile=True)
    assert np.isfinite(made.fit(IMAGES, LABELS, verbose=0).history["hints"]).all()


def test_a_nested_net_is_saved_and_goes_on(tmp_path):
    teacher = nested("t", 4)
    made = Distiller(
        nested("s", 3), teacher=teacher, losses=[Hints("conv", "conv")], label_weight=1
    )
    made.compile("sgd")
    made.fit(IMAGES, LABELS, verbose=0)
    made.save(tmp_path / "d.keras")
    again = keras.saving.load_model(tmp_path / "d.keras")
    again.set_teacher(teacher)
    logs = [
        each.evaluate(IMAGES, LABELS, verbose=0, return_dict=True)
        for each in (made, again)
    ]
    assert logs[1] == pytest.approx(logs[0], rel=1e-5)


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


def test_a_students_map_may_have_its_channels_first():
    student, teacher = channels_first("s", 3), nested("t", 4)
    loss = Hints("conv", "squares")
    made = Distiller(student, teacher=teacher, losses=[loss], label_weight=0.0)
    made.compile(keras.optimizers.SGD(0.0), jit_compile=True)
    log = made.fit(IMAGES, LABELS, verbose=0).history["hints"][0]
    direct = keras.Model(student.input, student.get_layer("squares").output)
    own = direct.predict(IMAGES, verbose=0).transpose(0, 2, 3, 1)
    wanted = made.teacher_outputs.predict(IMAGES, verbose=0)["teacher_conv"]
    kernel = keras.ops.convert_to_numpy(loss.projectors[0].kernel)[0, 0]
    assert log == pytest.approx(((own @ kernel - wanted) ** 2).mean(), rel=1e-4)


def test_stages_with_their_channels_first_end_where_the_size_changes():
    image = keras.Input((3, 8, 8))
    x = layers.Rescaling(1.0, name="one")(image)
    x = layers.AveragePooling2D(2, data_format="channels_first", name="half")(x)
    x = layers.BatchNormalization(axis=1, name="norm")(x)
    back = layers.Permute((2, 3, 1), name="last")(x)
    x = layers.Conv2D(5, 1, name="conv")(back)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, layers.Dense(3)(x))
    assert stages(model) == {"stage1": "one", "stage2": "conv"}
    names = ("one", "half", "norm", "last", "conv")
    taps = [(name, False) for name in names]
    assert shapes_at(model, taps) == [
        (None, 8, 8, 3),
        (None, 4, 4, 3),
        (None, 4, 4, 3),
        (None, 4, 4, 3),
        (None, 4, 4, 5),
    ]


def test_images_with_their_channels_first_are_not_resized():
    image = keras.Input((1, 4, 8), name="image")
    x = layers.GlobalAveragePooling2D(data_format="channels_first")(image)
    teacher = keras.Model(image, layers.Dense(3)(x), name="t")
    image = keras.Input((2, 4, 8), name="image")
    x = layers.GlobalAveragePooling2D(data_format="channels_first")(image)
    student = keras.Model(image, layers.Dense(3)(x), name="s")
    with pytest.raises(
        ValueError, match="teacher 't' takes images with their channels"
    ):
        Distiller(student, teacher=teacher, label_weight=1.0)
