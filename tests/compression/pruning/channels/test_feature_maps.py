"""HRank and Wanda of channels, on maps worked by hand."""

import keras
import numpy as np
import pytest
from keras import layers

from compression import pruning
from compression.pruning.channels.feature_maps import made_maps
from compression.pruning.channels.groups import couple
from compression.pruning.channels.saliency import saliency
from tests.compression.small_nets import on_images, shaken


def scores(name, model, maker, data):
    coupling = couple(model)
    found = saliency(name, model, coupling, data=data)
    [group] = [g for g in coupling.groups if maker in g.makers]
    return found[group.units]


def test_ranks_by_hand():
    """Three channels hand on a map each, of ranks 2, 1 and, behind the ReLU, 0."""
    model = on_images(
        layers.Conv2D(3, 1, use_bias=False, name="c"),
        layers.ReLU(),
        layers.Flatten(),
        layers.Dense(2),
        shape=(2, 2, 2),
    )
    model.get_layer("c").kernel.assign([[[[1.0, 0, -1], [0.0, 1, 0]]]])
    image = np.zeros((1, 2, 2, 2), "float32")
    image[0, :, :, 0] = [[1, 2], [3, 4]]
    image[0, :, :, 1] = [[1, 2], [2, 4]]
    np.testing.assert_allclose(scores("hrank", model, "c", [image]), [2, 1, 0])
    other = np.zeros_like(image)
    other[0, :, :, 1] = np.eye(2)  # ranks 0, 2, 0: in all 2, 3, 0
    batches = [(image, np.array([0])), (other, np.array([1]))]
    found = scores("hrank", model, "c", batches)
    np.testing.assert_allclose(found, np.array([2, 3, 0]) / (5 / 3))


def test_numbers_have_rank_one_where_they_are_not_zero():
    model = on_images(
        layers.Dense(2, activation="relu", name="d"), layers.Dense(2), shape=(1,)
    )
    model.get_layer("d").kernel.assign([[1.0, -1.0]])
    images = np.array([[1.0], [2.0], [-3.0], [4.0]], "float32")
    found = scores("hrank", model, "d", [images])
    np.testing.assert_allclose(found, np.array([3, 1]) / 2)


def test_maps_are_those_behind_norm_and_activation():
    image = keras.Input((4, 4, 3))
    x = layers.BatchNormalization(name="n")(layers.Conv2D(4, 1, name="c")(image))
    y = layers.ReLU(name="r")(x)
    model = keras.Model(image, layers.Dense(2, name="d")(layers.Add()([x, y])))
    coupling = couple(model)
    found = {
        part.path: coupling.graph.calls[source.call].path
        for source, part in made_maps(coupling).items()
    }
    assert found == {"c": "n", "d": "d"}  # behind the norm, two read it


@pytest.mark.parametrize(
    "reader",
    [
        layers.Dense(5, use_bias=False, name="r"),
        layers.Conv2D(5, 1, use_bias=False, name="r"),
        layers.Conv2D(6, 1, groups=2, use_bias=False, name="r"),
        layers.Conv2DTranspose(5, 1, use_bias=False, name="r"),
    ],
)
def test_wanda_is_what_vanishes_from_the_readers_outputs(reader):
    """Its norm, when the channel is silenced, channels in one by one."""
    model = shaken(on_images(layers.Conv2D(4, 3, name="c"), reader, layers.Dense(2)))
    images = np.random.default_rng(1).normal(size=(3, 8, 8, 4)).astype("float32")
    coupling = couple(model)
    [group] = [g for g in coupling.groups if "c" in g.makers]
    maps = np.array(model.get_layer("c")(images))
    reader, whole = model.get_layer("r"), np.array(model.get_layer("r")(maps))
    lost = []
    for unit in group.units:
        part = coupling.parts["c"]
        # Of a grouped reader, channels 0 and 2, 1 and 3 are one unit, in two groups,
        # whose outputs are others: their squares add up.
        silent = maps.copy()
        silent[..., coupling.units_of(part.made) == unit] = 0
        lost.append(np.linalg.norm(whole - np.array(reader(silent))))
    found = scores("wanda", model, "c", [images[:2], (images[2:], None)])
    np.testing.assert_allclose(found, np.array(lost) / np.mean(lost), rtol=1e-5)


def test_wanda_behind_flatten_weighs_each_position():
    model = on_images(
        layers.Conv2D(2, 1, use_bias=False, name="c"),
        layers.Flatten(),
        layers.Dense(1, name="d"),
        shape=(1, 2, 1),
    )
    model.get_layer("c").kernel.assign([[[[1.0, 2.0]]]])
    # Positions (0, 1), channels (0, 1): weights 3, 1 at the first, 4, 1 at the second.
    model.get_layer("d").kernel.assign([[3.0], [1.0], [4.0], [1.0]])
    image = np.array([1.0, 2.0], "float32").reshape(1, 1, 2, 1)
    lost = np.sqrt([3**2 * 1 + 4**2 * 2**2, 1 * 2**2 + 1 * 4**2])
    np.testing.assert_allclose(
        scores("wanda", model, "c", [image]), lost / lost.mean(), rtol=1e-6
    )


@pytest.mark.parametrize("name", ["hrank", "wanda"])
def test_they_need_images(name):
    model = shaken(on_images(layers.Conv2D(4, 3), layers.Dense(2)))
    with pytest.raises(ValueError, match=f"'{name}' needs data: batches images"):
        pruning.plan_channels(model, macs=0.5, saliency=name)
    with pytest.raises(ValueError, match="got no batch"):
        pruning.plan_channels(model, macs=0.5, saliency=name, data=iter(()))
