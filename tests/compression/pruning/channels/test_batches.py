"""Images and labels that saliencies and repairs look at: checked before they count."""

import keras
import numpy as np
import pytest

from compression import pruning
from compression.pruning.channels.groups import couple
from compression.pruning.channels.saliency import saliency
from tests.compression.small_nets import on_images, shaken

pytestmark = pytest.mark.usefixtures("eagerly")
IMAGES = np.random.default_rng(0).normal(size=(6, 8, 8, 4)).astype("float32")
LABELS = np.array([0, 1, 1, 0, 1, 0])


def net(logits=2):
    conv = keras.layers.Conv2D(6, 3, name="conv")
    norm = keras.layers.BatchNormalization(name="norm")
    pool = keras.layers.GlobalAveragePooling2D()
    return shaken(on_images(conv, norm, pool, keras.layers.Dense(logits)))


def spoilt():
    images = IMAGES.copy()
    images[3, 0, 0, 0] = np.nan
    return images


@pytest.mark.parametrize("name", ["hrank", "wanda", "taylor", "fisher"])
def test_images_that_are_not_finite(name):
    with pytest.raises(ValueError, match="a pixel that is not finite: leave it out"):
        pruning.plan_channels(net(), macs=0.5, saliency=name, data=[(spoilt(), LABELS)])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS + 1, "'taylor': labels must be 0 to 1, got 1 to 2"),
        (np.eye(2)[LABELS], r"needs integer labels \(n,\), got float64 \(6, 2\)"),
        (LABELS + 0.5, r"needs integer labels \(n,\), got float64 \(6,\)"),
    ],
)
def test_labels_that_are_none(labels, message):
    with pytest.raises(ValueError, match=message):
        pruning.plan_channels(
            net(), macs=0.5, saliency="taylor", data=[(IMAGES, labels)]
        )


@pytest.mark.parametrize(
    "batch", [(IMAGES, LABELS), [IMAGES, LABELS], {"image": IMAGES, "label": LABELS}]
)
def test_images_are_found_in_every_kind_of_batch(batch):
    model = net()
    wanted = pruning.plan_channels(model, macs=0.5, saliency="hrank", data=[IMAGES])
    plan = pruning.plan_channels(model, macs=0.5, saliency="hrank", data=[batch])
    assert plan == wanted
    pruning.reestimate_batch_norm(model, [batch])


@pytest.mark.parametrize("name", ["taylor", "fisher"])
def test_one_logit_ranks_as_two_logits_of_the_same_probabilities(name):
    """Softmax of (0, z) is the sigmoid of z; of one logit alone the loss would be 0."""
    one, two = net(1), net(2)
    for source, target in zip(one.layers[:-1], two.layers[:-1], strict=True):
        target.set_weights(source.get_weights())
    kernel, bias = one.layers[-1].get_weights()
    two.layers[-1].set_weights([np.hstack([0 * kernel, kernel]), np.append(0, bias)])
    found = []
    for model in (one, two):
        coupling = couple(model)
        scores = saliency(name, model, coupling, data=[(IMAGES, LABELS[:, None])])
        found.append(scores[coupling.groups[0].units])
    assert found[0].min() > 0
    np.testing.assert_allclose(*found, rtol=1e-4)


def test_repairs_take_images_beside_labels_and_no_others():
    model = net()
    plan = pruning.plan_channels(model, macs=0.5)
    smaller = pruning.remove_channels(model, plan)
    before = smaller.get_weights()
    with pytest.raises(ValueError, match="not finite"):
        pruning.reestimate_batch_norm(smaller, [spoilt()])
    with pytest.raises(ValueError, match="not finite"):
        pruning.reconstruct(smaller, model, plan, [spoilt()])
    with pytest.raises(ValueError, match="positions must be at least 1, ridge 0 or m"):
        pruning.reconstruct(smaller, model, plan, [IMAGES], ridge=-1.0)
    other = pruning.plan_channels(model, macs=0.9)
    with pytest.raises(ValueError, match="is not what the plan leaves of"):
        pruning.reconstruct(smaller, model, other, [IMAGES])
    for old, new in zip(before, smaller.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    pruning.reconstruct(smaller, model, plan, [(IMAGES, LABELS)])
    pruning.reestimate_batch_norm(smaller, [(IMAGES, LABELS)])
    maps = np.asarray(smaller.get_layer("conv")(IMAGES))
    mean = smaller.get_layer("norm").moving_mean
    np.testing.assert_allclose(mean, maps.mean((0, 1, 2)), atol=1e-5)
