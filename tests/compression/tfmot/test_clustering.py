"""Clustering by tfmot through the bridge."""

import keras
import numpy as np
import pytest

from compression.quantization import Cluster
from compression.tfmot import cluster
from tests.compression.small_nets import small_net
from tests.compression.tfmot.test_pruning import batches, kernels

pytestmark = pytest.mark.usefixtures("eagerly")
SGD = {"optimizer": "sgd", "learning_rate": 1e-2}


def test_linear_centroids_are_evenly_spaced():
    model = small_net()
    for kernel, new in zip(
        kernels(model), kernels(cluster(model, batches(1), 8, epochs=0)), strict=True
    ):
        even = np.linspace(kernel.min(), kernel.max(), 8)
        nearest = even[np.abs(kernel[..., None] - even).argmin(-1)]
        np.testing.assert_allclose(new, nearest, atol=1e-5)


def test_linear_centroids_are_trained_as_ours_are():
    """From the same values; tfmot's gradient of one is the mean, as ours always is."""
    model, data = small_net(), batches(4)
    for layer in model.layers:
        if layer.weights:  # on values that are where both let them begin
            kernel = np.array(layer.kernel)
            low, high = kernel.min(), kernel.max()
            step = (high - low) / 7
            layer.kernel.assign(np.round((kernel - low) / step) * step + low)
    theirs = cluster(model, data, 8, gradient="mean", **SGD)
    ours = keras.models.clone_model(model)
    ours.set_weights(model.get_weights())
    ours.compile(
        keras.optimizers.SGD(SGD["learning_rate"]),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    images, labels = map(np.concatenate, zip(*data, strict=True))
    ours.fit(
        images,
        labels,
        batch_size=8,
        shuffle=False,
        callbacks=[Cluster(8, preserve_zeros=False)],
        verbose=0,
    )
    for before, a, b in zip(*map(kernels, (model, theirs, ours)), strict=True):
        assert len(np.unique(a)) == len(np.unique(b)) == len(np.unique(before))
        assert np.abs(a - before).max() > 1e-4  # they have moved
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_values_are_trained_and_stay_few():
    model = small_net()
    begun = cluster(model, batches(1), 8, epochs=0)
    trained = cluster(model, batches(2), 8, gradient="mean", exempt="dense*", **SGD)
    conv, dense = kernels(trained)
    assert len(np.unique(conv)) <= 8
    assert not np.array_equal(conv, kernels(begun)[0])
    assert len(np.unique(dense)) == dense.size  # exempt, and still trained


def test_zeros_stay():
    model = small_net()
    for layer in model.layers:
        if layer.weights:
            kernel = np.array(layer.kernel)
            layer.kernel.assign(np.where(np.abs(kernel) < 0.1, 0, kernel))
    new = cluster(model, batches(2), 8, preserve_zeros=True, **SGD)
    for before, after in zip(kernels(model), kernels(new), strict=True):
        assert (after[before == 0] == 0).all()
        assert len(np.unique(after)) <= 8


def test_channels_have_values_of_their_own():
    new = cluster(small_net(), batches(1), 4, scope="channel", **SGD)
    conv = kernels(new)[0]
    assert len(np.unique(conv)) > 4
    assert all(len(np.unique(conv[..., i])) <= 4 for i in range(conv.shape[-1]))


def test_small_kernels_begin_without_kmeans():
    with pytest.warns(UserWarning, match="conv2d.* begin linearly"):
        cluster(small_net(), batches(1), 8, initialisation="kmeans++", epochs=0)


def test_channels_are_told_apart_by_the_bias():
    """tfmot counts the channels of a convolution by its last variable."""
    conv = keras.layers.Conv2D(3, 3, use_bias=False, name="bare")
    model = keras.Sequential([keras.Input((6, 6, 2)), conv, keras.layers.Flatten()])
    with pytest.raises(ValueError, match="'bare' has no bias"):
        cluster(model, batches(1), 4, scope="channel")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clusters": 1}, "clusters must be at least 2, got 1"),
        ({"clusters": 2, "preserve_zeros": True}, "at least 3 where zeros"),
        ({"initialisation": "even"}, "no initialisation called 'even'"),
        ({"scope": "global"}, "no scope called 'global'"),
        ({"gradient": "max"}, "no gradient called 'max'"),
        ({"path": "net.bin"}, "path must end in .tflite"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(ValueError, match=message):
        cluster(small_net(), batches(1), **options)
