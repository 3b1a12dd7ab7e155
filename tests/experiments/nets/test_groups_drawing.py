"""The picture of groups: what it names, and that it is the same each time."""

import re

import keras
import pytest
from keras import layers

from experiments.nets import groups_drawing


def residual():
    image = keras.Input((8, 8, 4), name="image")
    x = layers.Conv2D(5, 3, padding="same", name="conv1")(image)
    y = layers.BatchNormalization(name="bn")(x)
    y = layers.Conv2D(7, 3, padding="same", name="conv2")(y)
    y = layers.Conv2D(5, 3, padding="same", name="conv3")(y)
    y = layers.Add(name="add")([y, x])
    return keras.Model(image, layers.Dense(3, name="logits")(y), name="residual")


def texts(svg):
    return re.findall(r"<!-- (.*?) -->", svg)


def test_a_row_for_each_layer_and_a_column_for_each_group(tmp_path):
    groups_drawing.draw(residual(), tmp_path / "groups.svg")
    svg = (tmp_path / "groups.svg").read_text()
    found = texts(svg)
    for name in ("conv1", "bn", "conv2", "conv3", "logits", "makes", "reads"):
        assert name in found
    assert "add" not in found  # has nothing of its own that changes
    assert [word for word in found if word.isdigit()] == ["5", "7", "3"]
    assert "residual: 3 groups of channels, 2 may lose some" in found
    groups_drawing.draw(residual(), tmp_path / "again.svg")
    assert (tmp_path / "again.svg").read_text() == svg


def test_only_pictures_are_drawn(tmp_path):
    with pytest.raises(ValueError, match="a drawing is a .png or .svg file"):
        groups_drawing.draw(residual(), tmp_path / "groups.pdf")
