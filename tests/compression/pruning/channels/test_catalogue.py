"""Channels of zeros go from every net of the catalogue, and from keras.applications."""

import keras
import pytest

import architectures
from tests.compression.pruning.channels.cutting import assert_zeros_can_go
from tests.compression.small_nets import shaken
from tests.compression.test_graph import SMALL

QUICK = {"mlp", "lenet5", "resnet20", "alexnet_small", "vgg11_cifar"}
# Its neighbours change for a channel in the middle, not for those before the last.
NORMALISED = ("alexnet", "googlenet", "zfnet")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=() if n in QUICK else pytest.mark.slow)
        for n in architectures.names()
    ],
)
def test_zeros_can_go_from_every_net(name):
    model = shaken(architectures.build(name, **SMALL.get(name, {})))
    for layer in model.layers:
        if name == "alexnet" and hasattr(layer, "power"):
            layer.scale = 0.0  # of two towers, each loses its last channels
    smaller = assert_zeros_can_go(model, at_the_end=name.startswith(NORMALISED))
    assert [layer.name for layer in smaller.layers] == [x.name for x in model.layers]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("ResNet50V2", 32),
        ("MobileNetV2", 32),
        ("MobileNetV3Small", 32),
        ("EfficientNetB0", 32),
        ("DenseNet121", 32),
        ("InceptionV3", 75),
        ("Xception", 71),
    ],
)
def test_zeros_can_go_from_nets_that_keras_ships(name, side):
    build = getattr(keras.applications, name)
    options = {} if name == "InceptionV3" else {"classifier_activation": None}
    model = shaken(
        build(weights=None, input_shape=(side, side, 3), classes=5, **options)
    )
    for variable in model.variables:
        if "normalization/" in variable.path and variable.name in ("mean", "variance"):
            variable.assign(variable * 0 + (variable.name == "variance"))
    assert_zeros_can_go(model)
