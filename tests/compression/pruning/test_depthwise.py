"""Kernels with one input channel for each output stay dense, unless they are named."""

import keras
import numpy as np
import pytest
from keras import layers

from compression.pruning import ConstantSparsity, DynamicSurgery, Prune, RigL

pytestmark = pytest.mark.usefixtures("eagerly")

IMAGES = np.random.default_rng(0).normal(size=(8, 6, 6, 4)).astype("float32")
LABELS = np.arange(8) % 4
FEW = {"line/kernel", "separable/depthwise_kernel", "each/kernel"}


def net():
    keras.utils.set_random_seed(0)
    image = keras.Input((6, 6, 4))
    x = layers.SeparableConv2D(8, 2, name="separable")(image)
    x = layers.Conv2D(16, 2, groups=8, name="each")(x)  # as other frameworks have it
    x = layers.GroupNormalization(groups=2)(x)
    x = layers.Conv2D(8, 2, groups=2, name="grouped")(x)
    x = layers.DepthwiseConv1D(2, name="line")(layers.Reshape((9, 8))(x))
    return keras.Model(image, layers.Dense(4, name="logits")(layers.Flatten()(x)))


def zeros(prune, model=None):
    """The fraction of each kernel after a step."""
    model = model or net()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(IMAGES, LABELS, callbacks=[prune], verbose=0)
    kernels = [v for v in model.trainable_variables if "kernel" in v.name]
    return {v.path: np.mean(keras.ops.convert_to_numpy(v) == 0) for v in kernels}


@pytest.mark.parametrize("options", [{}, {"scope": "layer"}, {"pattern": "2:4"}])
def test_they_stay_dense(options):
    found = zeros(Prune(ConstantSparsity(0.5), **options))
    assert len(found) == 6
    assert {path for path, fraction in found.items() if not fraction} == FEW


@pytest.mark.parametrize(
    "prune",
    [
        lambda: DynamicSurgery(ConstantSparsity(0.5)),
        lambda: RigL(0.5, [(IMAGES, LABELS)], until=1),
    ],
)
def test_where_weights_come_back_too(prune):
    found = zeros(prune())
    assert not any(found[path] for path in FEW) and any(found.values())


def test_named_in_targets_they_are_pruned():
    found = zeros(Prune(ConstantSparsity(0.5), targets={"line": 0.75, "each": 0.25}))
    assert found["line/kernel"] == 0.75 and found["each/kernel"] == 0.25
    assert found["separable/depthwise_kernel"] == 0


def test_selected_they_are_pruned():
    every = Prune(ConstantSparsity(0.5), scope="layer", select=lambda kernel: True)
    assert set(zeros(every).values()) == {0.5}


def test_a_net_of_nothing_else():
    model = keras.Sequential(
        [keras.Input((6, 6, 4)), layers.DepthwiseConv2D(2, name="only")]
        + [layers.GlobalAveragePooling2D()]
    )
    with pytest.raises(ValueError, match=r"depthwise, which .*/only\": 0.5\}, or c"):
        zeros(Prune(ConstantSparsity(0.5)), model)
    named = Prune(ConstantSparsity(0.5), targets={"only": 0.5})
    assert list(zeros(named, model).values()) == [0.5]
