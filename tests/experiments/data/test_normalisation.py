"""Which pixels a model takes: asked for, read off its graph, or tried on train images.

The models here know four greys by their nearest neighbour, after a normalisation of
their own: under any other they take some of them for others.
"""

import dataclasses

import keras
import numpy as np
import pytest
from keras import layers

from compression.export.runners import Runner
from experiments import data as datasets
from experiments.data import normalisation, pipeline
from experiments.data.image_arrays import in_three
from experiments.data.normalisation import Score
from experiments.data.splits import seventy_ten_twenty

LEVELS = np.array([20, 60, 110, 240])  # greys, one a class


def greys(count=200, channels=3):
    """Images of one grey each, that of their class."""
    labels = np.arange(count) % len(LEVELS)
    pixels = np.broadcast_to(
        LEVELS[labels][:, None, None, None], (count, 8, 8, channels)
    )
    cut = seventy_ten_twenty(labels, validation=None)
    return in_three("greys", pixels.astype(np.uint8), labels, cut, tuple("abcd"), None)


def expecting(name, data, sharpness=200.0):
    """Logits -sharpness * (mean of what it is given - what it expects of a class)^2."""
    mean, std = (np.array(x) for x in normalisation.statistics(name, data))
    wanted = ((LEVELS[:, None] / 255 - mean) / std).mean(axis=1)

    def run(images):
        distance = images.mean(axis=(1, 2, 3))[:, None] - wanted
        return -sharpness * distance**2 / np.ptp(wanted) ** 2

    return Runner("keras", None, data.image_shape, None, run, output="logits")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", normalisation.NAMES)
def test_what_a_model_expects_is_found_by_its_scores(name, channels):
    if name == "imagenet" and channels == 1:
        pytest.skip("ImageNet has colours")
    data = greys(channels=channels)
    found = normalisation.for_model(expecting(name, data), data)
    assert found.name == name
    assert (found.mean, found.std) == normalisation.statistics(name, data)
    assert found.scores[name].top1 == 1.0 and not found.is_guessing
    assert "top-1 on 140 train images is 100.0 %" in found.reason
    applied = found.applied(data)
    assert (applied.mean, applied.std) == (found.mean, found.std)


def test_what_is_asked_for_is_taken_and_still_tried():
    data = greys()
    found = normalisation.for_model(expecting("0..1", data), data, "0..255")
    assert (found.name, found.std) == ("0..255", (1 / 255,) * 3)
    assert found.scores["0..255"].top1 == 0.25 and found.is_guessing
    right = normalisation.for_model(expecting("0..1", data), data, "0,0,0/1")
    assert right.scores["0,0,0/1"].top1 == 1.0 and not right.is_guessing


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("0..255", ((0.0,), (1 / 255,)), True),
        ("0..255", ((0.0, 0.0, 0.0), (1 / 255,) * 3), True),
        ("0..1", "0/1", True),
        ("0..1", "0..255", False),
        ("imagenet", ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), True),
        ("imagenet", "-1..1", False),
        (None, "train", True),
        (None, "0..1", False),
        (((0.13,), (0.31,)), "train", False),
    ],
)
def test_normalisations_by_another_name(one, other, alike):
    assert normalisation.are_alike(one, other) is alike
    assert normalisation.are_alike(other, one) is alike


def test_normalisations_in_words():
    words = map(normalisation.in_words, (None, "0..1", ((0.1306,), (0.30811,))))
    assert list(words) == ["train", "0..1", "0.1306/0.3081"]


def test_a_model_that_is_guessing_is_told_so():
    data = greys()
    rng = np.random.default_rng(0)
    run = lambda images: rng.normal(size=(len(images), 4))  # noqa: E731
    found = normalisation.for_model(
        Runner("keras", None, (8, 8, 3), None, run, output="logits"), data
    )
    assert found.is_guessing and set(found.scores) == set(normalisation.NAMES)
    warning = found.warning("net.keras", data)
    assert "net.keras is no better than guessing on 140 train images of gre" in warning
    assert "one answer for all 25.0 %" in warning and "--normalisation" in warning


def test_answers_that_are_not_finite_count_as_wrong():
    data = greys()
    right = expecting("0..1", data)

    def run(images):
        return (
            right.run(images) if images.max() <= 1 else np.full((len(images), 4), 1e39)
        )

    runner = Runner("keras", None, (8, 8, 3), None, run, output="logits")
    with np.errstate(over="ignore"):
        found = normalisation.for_model(runner, data)
    assert found.name == "0..1" and found.scores["0..255"].top1 == 0


def test_other_classes_cannot_be_tried():
    data = greys()
    run = lambda images: np.zeros((len(images), 7))  # noqa: E731
    runner = Runner("keras", None, (8, 8, 3), None, run, output="logits")
    found = normalisation.for_model(runner, data)
    assert (found.name, found.scores, found.is_guessing) == ("train", {}, False)
    assert "it knows other classes" in found.reason


def test_only_the_middle_is_looked_at_where_images_are_larger():
    data = greys()
    images = data.train.images.copy()
    images[:, :2], images[:, -2:], images[:, :, :2], images[:, :, -2:] = 0, 0, 0, 255
    labels, everything = data.train.labels, np.arange(len(images))
    framed = in_three("framed", images, labels, [everything] * 3, tuple("abcd"), None)
    runner = dataclasses.replace(expecting("0..1", data), input_shape=(None,) * 3)
    assert (
        normalisation.for_model(runner, framed, "0..1", size=4).scores["0..1"][0] == 1
    )
    assert normalisation.for_model(runner, framed, "0..1").scores["0..1"][0] < 1


def net(*first):
    image = keras.Input((8, 8, 3))
    x = image
    for layer in first:
        x = layer(x)
    return keras.Model(image, layers.Flatten()(x))


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (lambda: [layers.Rescaling(1 / 255)], "0..255"),
        (lambda: [layers.Rescaling(1 / 127.5, offset=-1)], "0..255"),
        (lambda: [layers.Rescaling(2.0, offset=-1)], "0..1"),
        (lambda: [layers.Normalization(mean=[124], variance=[3400])], "0..255"),
        (lambda: [layers.Normalization(mean=[0.5], variance=[0.06])], "0..1"),
        (lambda: [layers.Normalization(mean=0, variance=1)], None),
        (lambda: [layers.RandomFlip(), net(layers.Rescaling(0.01))], "0..255"),
        (lambda: [layers.Conv2D(2, 3), layers.Rescaling(1 / 255)], None),
        (lambda: [layers.Rescaling(1.0, offset=[-104, -117, -124])], "0..255"),
        (lambda: [keras.applications.mobilenet_v2.preprocess_input], "0..255"),
        (lambda: [keras.applications.densenet.preprocess_input], "0..255"),
        (lambda: [keras.applications.resnet.preprocess_input], "0..255"),
        (lambda: [layers.RandomFlip(), lambda x: x / 127.5 - 1], "0..255"),
        (lambda: [layers.Resizing(4, 4), lambda x: (x - 0.5) / 0.25], "0..1"),
        (lambda: [lambda x: 1 - x / 255, layers.Normalization(mean=0.5, variance=1)],
         "0..255"),
        (lambda: [lambda x: keras.ops.cast(x, "float32")[..., ::-1],
                  layers.Rescaling(2.0)], "0..1"),
        (lambda: [lambda x: x[..., ::-1], layers.Conv2D(2, 3)], None),
    ],
)  # fmt: skip
def test_what_a_graph_says(first, expected):
    name, reason = normalisation.of_graph(net(*first()))
    assert name == expected
    assert bool(reason) == bool(name) and (not name or name in reason)


def test_nets_of_keras_applications():
    """Each family's `preprocess_input`; MobileNetV3's and EfficientNet's do nothing."""
    pixels = np.array([[[[0.0, 64.0, 255.0]]]])
    data = greys()
    for name, module in (
        ("MobileNetV2", keras.applications.mobilenet_v2),
        ("MobileNetV3Small", keras.applications.mobilenet_v3),
        ("EfficientNetB0", keras.applications.efficientnet),
        ("ConvNeXtTiny", keras.applications.convnext),
        ("DenseNet121", keras.applications.densenet),
        ("ResNet50V2", keras.applications.resnet_v2),
        ("Xception", keras.applications.xception),
        ("NASNetMobile", keras.applications.nasnet),
        ("InceptionV3", keras.applications.inception_v3),
    ):
        asked = normalisation.of_application(name)
        mean, std = normalisation.statistics(asked, data)
        expected = module.preprocess_input(pixels.copy(), data_format="channels_last")
        np.testing.assert_allclose((pixels / 255 - mean) / std, expected, rtol=1e-5)
    for name, module in (
        ("VGG16", keras.applications.vgg16),
        ("ResNet50", keras.applications.resnet),
    ):
        mean, std = normalisation.statistics(normalisation.of_application(name), data)
        expected = module.preprocess_input(pixels.copy(), data_format="channels_last")
        found = (pixels / 255 - mean) / std
        np.testing.assert_allclose(found[..., ::-1], expected, rtol=1e-5)


def test_every_net_of_keras_applications_is_known():
    nets = [name for name in dir(keras.applications) if name[0].isupper()]
    assert len(nets) > 30
    assert not [name for name in nets if normalisation.of_application(name) is None]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            "imagnet",
            r"'imagnet' \(did you mean imagenet\?\); choose from train, 0..255",
        ),
        ("0.1", "no normalisation called '0.1'"),
        ("0.1/0", "no normalisation called '0.1/0'"),
        ("0.1/nan", "or give MEAN/STD"),
        ("0.1,0.2/0.5", "is of 2 channels, images of greys have 3"),
    ],
)
def test_what_is_refused(asked, message):
    with pytest.raises(ValueError, match=message):
        normalisation.statistics(asked, greys(12))


def test_imagenets_needs_colours():
    with pytest.raises(ValueError, match="is of 3 channels, .* have 1: .*as rgb:"):
        normalisation.normalised(greys(12, channels=1), "imagenet")


@pytest.mark.parametrize("name", ["MobileNetV3Small", "EfficientNetV2B0"])
def test_nets_without_the_preprocessing_that_they_may_have(name):
    """It is left to whoever gives the pixels then: what the layers would have done."""
    build = getattr(keras.applications, name)
    whole = build(input_shape=(32, 32, 3), include_top=False, weights=None)
    scaling = [
        layer
        for layer in whole.layers[:3]
        if isinstance(layer, layers.Rescaling | layers.Normalization)
    ]
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3)).astype("float32")
    expected = keras.Sequential(scaling)(pixels)
    asked = normalisation.of_application(name, preprocesses=False)
    mean, std = normalisation.statistics(asked, greys())
    np.testing.assert_allclose((pixels / 255 - mean) / std, expected, atol=1e-5)
    assert normalisation.of_application(name) == "0..255"


def test_of_ways_that_are_as_right_the_loss_tells():
    """Without biases answers are the same for all pixels times a number."""
    data = datasets.load("digits")
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 1))
    x = keras.layers.Dense(32, "relu", use_bias=False)(keras.layers.Flatten()(image))
    model = keras.Model(image, keras.layers.Dense(10, use_bias=False)(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss, jit_compile=False)
    to_one = normalisation.normalised(data, "0..1")
    images, labels = map(
        np.concatenate, zip(*pipeline.first_batches(to_one, "train"), strict=True)
    )
    model.fit(images, labels, epochs=5, verbose=0)
    found = normalisation.for_model(model, data)
    assert found.scores["0..255"].top1 == found.scores["0..1"].top1 > 0.8
    assert found.name == "0..1"
    # And where one way is more right by an image of 200, with a worse loss.
    scores = {"0..255": Score(0.905, 9.0), "0..1": Score(0.9, 0.3)}
    name, reason = normalisation._best(scores, 200)
    assert name == "0..1"
    assert reason == (
        "top-1 on 200 train images is 90.0 %, and the loss the least; 0..255 90.5 %"
    )
    scores["0..255"] = Score(0.95, 9.0)
    assert normalisation._best(scores, 200)[0] == "0..255"
