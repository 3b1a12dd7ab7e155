"""What ends in logits and what does not; softmax models become logits models."""

import keras
import numpy as np
import pytest
from keras import layers

import architectures
from compression import as_logits
from compression.logits import ending, require_logits


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


# --- what an output is --------------------------------------------------------------


def classifier(*end, activation=None, units=5):
    image, x = body()
    x = layers.Dense(units, activation=activation, name="scores")(layers.Flatten()(x))
    for layer in end:
        x = layer(x)
    return keras.Model(image, x, name="net")


def squash(x):
    """Nobody's function into [0, 1]."""
    return keras.ops.clip(0.1 * x + 0.5, 0, 1)


def average_of_softmaxes():
    image = keras.Input((6, 6, 2))
    one, other = dense("softmax"), dense("softmax")
    return keras.Model(image, layers.Average()([one(image), other(image)]))


def shares_of_a_sum():
    """Probabilities that no single layer gives: only images can tell."""
    image, x = body()
    x = layers.Dense(5, activation="softplus")(layers.Flatten()(x)) + 1e-6
    return keras.Model(image, x / keras.ops.sum(x, axis=-1, keepdims=True))


def map_of_softmaxes():
    image, x = body()
    x = layers.Conv2D(5, 1, activation="softmax")(x)
    return keras.Model(image, layers.GlobalAveragePooling2D()(x))


SOFTMAXES = {
    "by name": lambda: classifier(activation="softmax"),
    "keras.activations": lambda: classifier(activation=keras.activations.softmax),
    "keras.ops": lambda: classifier(activation=keras.ops.softmax),
    "a layer object": lambda: classifier(activation=layers.Softmax()),
    "a lambda": lambda: classifier(activation=lambda x: keras.ops.softmax(x)),
    "operation": lambda: classifier(keras.ops.softmax),
    "softmax layer": lambda: classifier(layers.Softmax(dtype="float32")),
    "reshaped": lambda: classifier(layers.Softmax(), layers.Reshape((5, 1))),
    "identities": lambda: classifier(
        layers.Softmax(),
        layers.Dropout(0.5),
        layers.Activation("linear"),
        layers.Lambda(lambda x: x),
        layers.Identity(),
    ),
    "reshaped by an operation": lambda: classifier(
        layers.Softmax(), lambda x: keras.ops.squeeze(x[:, :, None], -1)
    ),
    "inside": nested,
    "average": average_of_softmaxes,
    "map": map_of_softmaxes,
}


@pytest.mark.parametrize("build", SOFTMAXES.values(), ids=SOFTMAXES)
def test_a_softmax_is_found_whatever_it_is_called(build):
    assert ending(build()).kind == "softmax"
    with pytest.raises(ValueError, match=r"student '.*' ends in a softmax \(layer '"):
        require_logits(build(), "student")


def test_tensorflows_softmax_has_another_name():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("TensorFlow's own functions take its own tensors")
    import tensorflow as tf

    assert tf.nn.softmax.__name__ != "softmax"
    model = classifier(activation=tf.nn.softmax)
    with pytest.raises(ValueError, match="ends in a softmax"):
        require_logits(model, "teacher")
    x = images(model)
    logits = as_logits(model)
    np.testing.assert_allclose(
        keras.ops.softmax(logits(x)), model(x), rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize(
    ("build", "kind", "word"),
    [
        (lambda: classifier(activation="sigmoid"), "sigmoid", "sigmoid"),
        (lambda: classifier(layers.Activation("sigmoid")), "sigmoid", "sigmoid"),
        (lambda: classifier(activation="log_softmax"), "log_softmax", "log_softmax"),
        (lambda: classifier(keras.ops.log_softmax), "log_softmax", "log_softmax"),
        (
            lambda: classifier(activation="hard_sigmoid"),
            "probabilities",
            "hard_sigmoid",
        ),
        (lambda: classifier(activation=squash), "probabilities", "squash"),
        (shares_of_a_sum, "probabilities", "(True)?Divide"),
    ],
)
def test_other_functions_into_probabilities_are_found(build, kind, word):
    assert ending(build()).kind == kind
    with pytest.raises(ValueError, match=f"ends in a {word} "):
        require_logits(build(), "student")


def residual_end():
    image, x = body()
    x = layers.Flatten()(x)
    return keras.Model(image, layers.Add()([layers.Dense(5)(x), layers.Dense(5)(x)]))


def average_of_logits():
    image = keras.Input((6, 6, 2))
    return keras.Model(
        image, layers.Average()([dense(None)(image), dense(None)(image)])
    )


@pytest.mark.parametrize(
    ("build", "kind"),
    [
        (classifier, "linear"),
        (lambda: classifier(layers.Dropout(0.5), layers.Reshape((5,))), "linear"),
        (average_of_logits, "linear"),
        (lambda: architectures.build("resnet20"), "linear"),
        (residual_end, "other"),
        (lambda: classifier(activation="relu"), "other"),
        (lambda: classifier(layers.BatchNormalization()), "other"),
        (lambda: classifier(activation="tanh"), "other"),
        # All outputs are zero, which lies within [0, 1] and proves nothing.
        (lambda: zeroed(classifier(activation="relu")), "other"),
    ],
)
def test_logits_are_no_probabilities(build, kind):
    model = build()
    assert ending(model).kind == kind
    require_logits(model, "student")


def zeroed(model):
    model.get_layer("scores").set_weights([np.zeros((64, 5)), np.zeros(5)])
    return model


def test_half_precision_is_recognised():
    image = keras.Input((4,))
    model = keras.Model(
        image, layers.Dense(3, activation="softmax", dtype="mixed_float16")(image)
    )
    assert ending(model).kind == "softmax"


def test_images_that_are_too_large_are_not_tried(monkeypatch):
    model = shares_of_a_sum()
    monkeypatch.setattr("compression.logits.MOST_NUMBERS", 100)
    assert ending(model).kind == "other"


def test_an_average_of_softmaxes_has_no_logits():
    with pytest.raises(ValueError, match=r"\(Average\), from which logits cannot be"):
        as_logits(average_of_softmaxes())


@pytest.mark.parametrize("inside", [False, True])
def test_only_the_last_call_of_a_shared_layer_loses_its_softmax(inside):
    image = keras.Input((6, 6, 2))
    inner = layers.Dense(2, activation="softmax")
    if inside:
        inner = keras.Sequential([keras.Input((6, 6, 2)), inner])
    model = keras.Model(image, inner(inner(image)))
    logits = as_logits(model)
    x = images(model)
    np.testing.assert_allclose(
        keras.ops.softmax(logits(x)), model(x), rtol=1e-5, atol=1e-7
    )


def test_models_without_one_output_are_refused():
    for build in (Subclassed, two_outputs, lambda: keras.Sequential([layers.Dense(3)])):
        with pytest.raises(ValueError, match="teacher '.*' must be a built functional"):
            require_logits(build(), "teacher")
