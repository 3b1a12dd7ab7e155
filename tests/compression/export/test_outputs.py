"""Nets that end in probabilities are measured as if they ended in their logits."""

import keras
import numpy as np
import pytest
from keras import layers

from compression import export, measure, quantization

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(64, 6)).astype("float32")


def nets(classes, activation):
    """The same net with probabilities and with logits."""
    image = keras.Input((6,))
    hidden = layers.Dense(8, "relu")(image)
    logits = layers.Dense(classes, kernel_initializer="glorot_normal")(hidden)
    probabilities = layers.Activation(activation)(logits)
    return keras.Model(image, probabilities), keras.Model(image, logits)


def by_other_tools(net, folder):
    net.export(folder, verbose=False)
    return folder


FORMS = {
    "model": lambda net, path: net,
    "saved_model": lambda net, path: export.saved_model(net, path / "folder"),
    "litert": lambda net, path: export.litert(net, path / "net.tflite"),
    "keras_export": lambda net, path: by_other_tools(net, path / "other"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("classes", "activation"), [(5, "softmax"), (1, "sigmoid")])
def test_scores_are_those_of_the_logits(classes, activation, form, tmp_path):
    net, twin = nets(classes, activation)
    labels = RNG.integers(0, max(classes, 2), 64)
    data = [(IMAGES, labels)]
    file = FORMS[form](net, tmp_path)
    expected = measure.profile(twin, data, latency=False)
    found = measure.profile(file, data, latency=False, reference=twin)
    assert found.loss == pytest.approx(expected.loss, rel=1e-4)
    assert found.top1 == expected.top1 and found.agreement == 1
    assert 0 < found.top1 < 1  # no class is given for all


def test_the_file_says_what_it_gives(tmp_path):
    net, twin = nets(3, "softmax")
    for model, name in ((net, "probabilities"), (twin, "logits")):
        assert export.load(export.saved_model(model, tmp_path / name)).output == name
        file = export.litert(model, tmp_path / f"{name}.tflite")
        assert export.load(file).output == name
        np.testing.assert_allclose(  # nothing is changed in the file itself
            export.load(file)(IMAGES), model.predict(IMAGES, verbose=0), atol=1e-5
        )


def test_logits_that_look_like_probabilities_stay_logits(tmp_path):
    """One logit from 0 to 1 is class 1, also where all of them are."""
    image = keras.Input((2,))
    net = keras.Model(image, layers.Dense(1, kernel_initializer="ones")(image))
    images = np.full((8, 2), 0.1, "float32")
    data = [(images, np.ones(8, int))]
    for model in (net, export.litert(net, tmp_path / "net.tflite")):
        assert measure.profile(model, data, latency=False).top1 == 1


@pytest.mark.parametrize("form", ["model", "int8", "float_ends"])
def test_rounded_probabilities_that_sum_to_another_number_are_of_a_softmax(
    form, tmp_path
):
    """Ten of 0.1 each are 26 / 256 in a file, and sum to 1.016."""
    net, twin = nets(10, "softmax")
    images = np.concatenate([np.full((1, 6), 1e-6, "float32"), IMAGES])
    made = export.litert(
        net,
        tmp_path / "net.tflite",
        precision="int8",
        calibration=[images],
        float_ends=form == "float_ends",
    )
    if form == "model":
        made = quantization.calibrate(net, [images])
    assert np.abs(export.runners.of_model(net)(images).sum(1) - 1).max() < 1e-4
    labels = measure.logits(net, [images]).argmax(1)
    found = measure.cross_entropy(measure.logits(made, [images]), labels)
    exact = measure.cross_entropy(measure.logits(twin, [images]), labels)
    assert found == pytest.approx(exact, abs=0.1)
