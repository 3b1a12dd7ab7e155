"""The nearest of some names."""

import pytest

from compression.nearest import did_you_mean

NAMES = ("resnet20", "resnet32", "lenet5", "MobileNetV2")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("resnet21", "resnet20"),  # as like to resnet32, but it begins so
        ("RESNET32", "resnet32"),
        ("mobilenet2", "MobileNetV2"),
        ("lent5", "lenet5"),
        ("vgg16", None),
        ("", None),
    ],
)
def test_the_nearest_name(word, expected):
    meant = f" (did you mean {expected}?)" if expected else ""
    assert did_you_mean(word, NAMES) == meant
    assert did_you_mean(word, iter(NAMES)) == meant


def test_of_no_names_there_is_none():
    assert did_you_mean("x", ()) == ""
