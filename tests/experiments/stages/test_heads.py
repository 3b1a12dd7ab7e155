"""A classifier taken apart: backbone, new head, layers by their depth."""

import keras
import numpy as np
import pytest
from keras import layers

import architectures
from experiments.stages.heads import backbone, by_depth, two_logits, with_head


def small(name, **options):
    shape = (8, 8, 3) if name == "resnet20" else (28, 28, 1)
    return architectures.build(name, input_shape=shape, classes=4, **options)


def nested(width=5):
    """A user's: a model inside the model, and a head."""
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(width, 3, name="inside")(image)
    body = keras.Model(image, layers.GlobalAveragePooling2D()(x), name="body")
    outer = keras.Input((8, 8, 3))
    return keras.Model(outer, layers.Dense(4, name="answer")(body(outer)), name="mine")


def stacked():
    """A `Sequential`, which has no `input` before it was called."""
    body = [keras.Input((8, 8, 1)), layers.Conv2D(3, 3), layers.Flatten()]
    return keras.Sequential([*body, layers.Dense(4)], name="mine")


@pytest.mark.parametrize("make", [lambda: small("lenet5"), nested, stacked])
def test_an_old_head_on_the_backbone_gives_the_old_answer(make):
    model = make()
    again = with_head(backbone(model), 4)
    again.layers[-1].set_weights(model.layers[-1].get_weights())
    images = np.random.default_rng(0).normal(size=(3, *model.input_shape[1:]))
    np.testing.assert_array_equal(again(images), model(images))
    assert again.name == model.name


def test_a_head_may_begin_earlier():
    model = small("lenet5")
    assert backbone(model).output_shape == (None, 84)
    assert backbone(model, "f6").output_shape == (None, 120)
    maps = backbone(model, "c3")  # averaged over their pixels
    assert maps.output_shape == (None, 6)
    images = np.random.default_rng(0).normal(size=(2, 28, 28, 1))
    before = keras.Model(model.input, model.get_layer("s2").output)(images)
    np.testing.assert_allclose(maps(images), np.mean(before, (1, 2)), rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "last"),
    [
        (
            lambda: small("resnet20"),
            ["stage1_block3_bn2", "stage2_block3_bn2", "stage3_block3_bn2", "logits"],
        ),
        (lambda: small("lenet5"), ["c1", "c3", "f6", "logits"]),
        (nested, ["inside", "answer"]),
    ],
)
def test_every_weight_is_at_one_depth(make, last):
    model = make()
    groups = by_depth(model)
    assert [group[-1].name for group in groups] == last
    found = [id(v) for group in groups for one in group for v in one.weights]
    assert sorted(found) == sorted(id(v) for v in model.weights)


def test_ends_can_be_named():
    groups = by_depth(small("mlp", widths=(5, 4, 3)), ["fc1", "fc2"])
    names = [[layer.name for layer in group] for group in groups]
    assert names == [["fc1"], ["fc2"], ["fc3"], ["logits"]]


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda: backbone(backbone(nested(), "answer")), "is no Dense.*head=..."),
        (lambda: backbone(nested(), "none"), "no layer called 'none'.*body, answer"),
        (lambda: by_depth(small("mlp")), "no feature stages that can be told.*ends="),
        (lambda: by_depth(nested(), ["none"]), "no layer called 'none'.*body/inside"),
    ],
)
def test_what_cannot_be_told_is_an_error(attempt, message):
    with pytest.raises(ValueError, match=message):
        attempt()


def binary(ends):
    image = keras.Input((4,))
    return keras.Model(image, ends(image), name="binary")


def sigmoid_after(image):
    return keras.ops.sigmoid(layers.Dense(1, dtype="mixed_float16")(image))


def in_float32(image):
    z = layers.Dense(1, dtype="mixed_float16")(image)
    return layers.Activation("sigmoid", dtype="float32", name="answer")(z)


def inside_a_model(image):
    net = [keras.Input((4,)), layers.Dense(3), layers.Dense(1, activation="sigmoid")]
    return keras.Sequential(net)(image)


@pytest.mark.parametrize(
    ("ends", "tolerance"),
    [
        (layers.Dense(1, activation="sigmoid"), 1e-6),
        (layers.Dense(1, use_bias=False, activation="sigmoid"), 1e-6),
        (inside_a_model, 1e-6),
        (sigmoid_after, 2e-3),
        (in_float32, 2e-3),
    ],
)
def test_a_sigmoid_becomes_two_logits(ends, tolerance):
    keras.utils.set_random_seed(0)
    model = binary(ends)
    images = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    made = two_logits(model)
    right = keras.ops.convert_to_numpy(model(images))
    ours = keras.ops.convert_to_numpy(keras.ops.softmax(made(images)))
    expected = np.concatenate([1 - right, right], axis=1)
    np.testing.assert_allclose(ours, expected, atol=tolerance)
    assert made.output.dtype == model.output.dtype
    np.testing.assert_array_equal(model(images), right)  # it stays as it is


def test_one_logit_becomes_two():
    model = binary(layers.Dense(1, bias_initializer="ones"))
    images = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    z = model.predict(images, verbose=0)
    expected = np.concatenate([np.zeros_like(z), z], axis=1)
    np.testing.assert_allclose(two_logits(model)(images), expected, atol=1e-6)


def test_other_ends_are_no_logit():
    for ends in (layers.Dense(1, activation="tanh"), layers.Conv1D(1, 1)):
        image = keras.Input((4,) if isinstance(ends, layers.Dense) else (3, 4))
        model = keras.Model(image, ends(image), name="odd")
        with pytest.raises(ValueError, match=f"'odd' has one .* in {ends.name!r}"):
            two_logits(model)
