"""as_logits: softmax models become logits models, the rest is refused."""

import keras
import numpy as np
import pytest
from keras import layers

import architectures
from compression import as_logits


def images(model, number=3):
    shape = (number, *model.input_shape[1:])
    return np.random.default_rng(0).random(shape).astype("float32")


def body():
    image = keras.Input((6, 6, 2))
    return image, layers.Conv2D(4, 3, activation="relu")(image)


def dense(activation):
    image, x = body()
    x = layers.Flatten()(x)
    return keras.Model(image, layers.Dense(5, activation=activation, name="out")(x))


def softmax_layer():
    image, x = body()
    x = layers.Dense(5)(layers.Flatten()(x))
    return keras.Model(image, layers.Softmax()(x))


def activation_layer():
    image, x = body()
    x = layers.Dense(5)(layers.Flatten()(x))
    return keras.Model(image, layers.Activation("softmax")(x))


def convolution():
    image, x = body()
    x = layers.Conv2D(5, 4, activation="softmax")(x)
    return keras.Model(image, layers.Reshape((5,))(x))


def sequential():
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Flatten(),
            layers.Dense(4, activation="relu"),
            layers.Dense(5, activation="softmax"),
        ]
    )


def nested():
    image = keras.Input((6, 6, 2))
    return keras.Model(image, sequential()(layers.Rescaling(0.5)(image)))


@pytest.mark.parametrize(
    "build",
    [
        lambda: dense("softmax"),
        softmax_layer,
        activation_layer,
        convolution,
        sequential,
        nested,
    ],
)
def test_softmax_of_the_logits_is_the_model(build, tmp_path):
    model = build()
    x = images(model)
    before = np.array(model(x))
    config = model.get_config()

    logits = as_logits(model)
    out = np.array(logits(x))
    assert abs(out.sum(-1) - 1).min() > 1e-3
    np.testing.assert_allclose(keras.ops.softmax(out), before, rtol=1e-5, atol=1e-7)

    # The same variables, and the model as it was.
    assert {id(w) for w in logits.weights} == {id(w) for w in model.weights}
    assert model.get_config() == config
    np.testing.assert_array_equal(model(x), before)
    logits.save(tmp_path / "net.keras")
    again = keras.models.load_model(tmp_path / "net.keras")
    np.testing.assert_allclose(again(x), out, rtol=1e-6)


def test_training_one_trains_the_other():
    model = dense("softmax")
    logits = as_logits(model)
    logits.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x = images(model)
    before = model.get_layer("out").kernel.numpy()
    logits.fit(x, np.arange(3), verbose=0)
    assert (model.get_layer("out").kernel.numpy() != before).any()
    np.testing.assert_allclose(
        keras.ops.softmax(logits(x)), model(x), rtol=1e-5, atol=1e-7
    )


def idle_end():
    image, x = body()
    x = layers.Dense(5)(layers.Flatten()(x))
    return keras.Model(image, layers.Activation("linear", dtype="float32")(x))


@pytest.mark.parametrize(
    "build",
    [
        lambda: dense(None),
        idle_end,
        lambda: architectures.build("resnet20"),
        lambda: keras.Sequential([keras.Input((4,)), layers.Dense(3)]),
    ],
)
def test_logits_stay_as_they_are(build):
    model = build()
    assert as_logits(model) is model


@pytest.mark.parametrize(
    ("build", "head"),
    [
        (keras.applications.MobileNetV2, {"alpha": 0.35}),
        (keras.applications.MobileNet, {"alpha": 0.25}),
    ],
)
def test_keras_applications_work(build, head):
    model = build(input_shape=(32, 32, 3), weights=None, classes=7, **head)
    logits = as_logits(model)
    x = images(model)
    np.testing.assert_allclose(
        keras.ops.softmax(logits(x)), model(x), rtol=1e-5, atol=1e-7
    )


def test_logits_of_a_mixed_precision_model_stay_in_float32():
    image = keras.Input((4,))
    x = layers.Dense(3, dtype="mixed_float16")(image)
    model = keras.Model(image, layers.Softmax(dtype="float32")(x))
    assert model(images(model)).dtype == "float32"
    assert as_logits(model)(images(model)).dtype == "float32"


class Subclassed(keras.Model):
    def call(self, x):
        return x


def two_outputs():
    image, x = body()
    return keras.Model(image, [x, x])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: dense("sigmoid"), r"ends in 'out' \(sigmoid\).*cannot be read"),
        (lambda: keras.Model(*body()), r"\(relu\).*cannot be read"),
        (Subclassed, "no functional or sequential model"),
        (lambda: keras.Sequential([layers.Dense(3)]), "is not built"),
        (two_outputs, "has 2 outputs"),
    ],
)
def test_what_has_no_logits_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        as_logits(build())
