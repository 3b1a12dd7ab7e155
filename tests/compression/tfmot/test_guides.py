"""The scenarios of tfmot's comprehensive guides, on models of Keras 3.

https://www.tensorflow.org/model_optimization/guide/pruning/comprehensive_guide, and
likewise clustering, quantization (training) and combine (collaborative optimization).
What is about whole models stands beside the functions themselves.
"""

from functools import cache

import keras
import numpy as np
import pytest
from keras import layers

from compression import measure
from compression.export import load
from compression.pruning import ConstantSparsity
from compression.tfmot import cluster, prune, quantize
from compression.tfmot.packages import tf_keras, tfmot
from tests.compression.small_nets import shaken, small_net
from tests.compression.tfmot.test_pruning import batches, kernels
from tests.compression.tfmot.test_quantizing import int8_weights

pytestmark = pytest.mark.usefixtures("eagerly")
SGD = {"optimizer": "sgd", "learning_rate": 0.01}
HALF = ConstantSparsity(0.5)


@cache
def mixing_twin():
    """A layer of one's own in tf_keras, which says what is pruned and clustered."""
    prunable = tfmot().sparsity.keras.PrunableLayer
    clusterable = tfmot().clustering.keras.ClusterableLayer

    class Mixing(tf_keras().layers.Dense, prunable, clusterable):
        def get_prunable_weights(self):
            return [self.kernel, self.bias]  # not so in a Dense

        def get_clusterable_weights(self):
            return [("kernel", self.kernel)]

    return Mixing


class Mixing(layers.Dense):
    """A layer of one's own in Keras 3."""

    def tf_keras_twin(self):
        return mixing_twin()(self.units, name=self.name)


def with_own_layer():
    image = keras.Input((6, 6, 2))
    x = layers.Conv2D(3, 3, activation="relu", name="conv")(image)
    return shaken(keras.Model(image, Mixing(4, name="own")(layers.Flatten()(x))))


def kernel_config(bits):
    """A dense layer's kernel in so many bits, its output in 8, as the guide has it."""
    keras_of_tfmot = tfmot().quantization.keras
    quantizers = keras_of_tfmot.quantizers

    class KernelConfig(keras_of_tfmot.QuantizeConfig):
        def get_weights_and_quantizers(self, layer):
            how = quantizers.LastValueQuantizer(
                bits, symmetric=True, narrow_range=True, per_axis=False
            )
            return [(layer.kernel, how)]

        def set_quantize_weights(self, layer, quantize_weights):
            layer.kernel = quantize_weights[0]

        def get_activations_and_quantizers(self, layer):
            return []

        def set_quantize_activations(self, layer, quantize_activations):
            pass

        def get_output_quantizers(self, layer):
            return [
                quantizers.MovingAverageQuantizer(
                    8, symmetric=False, narrow_range=False, per_axis=False
                )
            ]

        def get_config(self):
            return {}

    return KernelConfig()


def test_prune_some_layers_and_weights_of_ones_own():
    new = prune(with_own_layer(), batches(1), HALF, exempt="conv", **SGD)
    conv, own = (new.get_layer(name) for name in ("conv", "own"))
    assert (np.asarray(conv.kernel) != 0).all()
    assert (np.asarray(own.kernel) == 0).mean() == 0.5
    assert (np.asarray(own.bias) == 0).mean() == 0.5


def test_a_policy_chooses_layers_to_prune():
    """As PruneForLatencyOnXNNPack does, which takes whole nets of a kind alone."""

    class OnlyDense(tfmot().sparsity.keras.PruningPolicy):
        asked = None

        def allow_pruning(self, layer):
            return isinstance(layer, tf_keras().layers.Dense)

        def ensure_model_supports_pruning(self, model):
            self.asked = model

    policy = OnlyDense()
    conv, dense = kernels(prune(small_net(), batches(1), HALF, policy=policy, **SGD))
    assert (conv != 0).all() and (dense == 0).mean() == 0.5
    assert isinstance(policy.asked, tf_keras().Model)
    policy.allow_pruning = lambda layer: False
    with pytest.raises(ValueError, match="OnlyDense allows no layer of"):
        prune(small_net(), batches(1), HALF, policy=policy, **SGD)
    xnnpack = tfmot().sparsity.keras.PruneForLatencyOnXNNPack()
    with pytest.raises(ValueError, match=r"prunes no net like .*pruning\.Prune"):
        prune(small_net(), batches(1), HALF, policy=xnnpack, **SGD)


def test_cluster_a_layer_of_ones_own():
    new = cluster(with_own_layer(), batches(1), 4, exempt="conv", **SGD)
    conv, own = kernels(new)
    assert len(np.unique(own)) <= 4 and len(np.unique(conv)) == conv.size


@pytest.mark.slow
def test_quantize_a_layer_of_ones_own_and_one_in_four_bits(tmp_path):
    path, model = tmp_path / "net.tflite", with_own_layer()
    with pytest.raises(ValueError, match="Layer own.*quantization.quantize_aware"):
        quantize(model, batches(1))
    new = quantize(model, batches(4), path, configs={"own": kernel_config(4)}, **SGD)
    own = np.asarray(new.get_layer("own").kernel)
    [codes] = [x for x in int8_weights(path) if x.shape == own.T.shape]
    assert 8 < len(np.unique(codes)) <= 15
    step = np.abs(own).max() / 7
    rounded = np.round(own / step).T
    np.testing.assert_allclose(codes / np.abs(codes).max(), rounded / 7, atol=0.01)


def test_quantize_some_layers():
    """The rest stays in floats, of which no int8 file can be made."""
    model = small_net()
    dense = model.layers[-1].name
    new = quantize(model, batches(2), exempt=[dense], optimizer="sgd")
    assert not np.array_equal(kernels(new)[1], kernels(model)[1])  # it trains, too


@pytest.mark.slow
@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("clusters", [False, True])
def test_collaborative_optimization_down_to_the_file(zeros, clusters, tmp_path):
    """Pruned, clustered, quantized: each keeps what the one before has made."""
    image = keras.Input((6, 6, 2))
    x = layers.ReLU()(layers.Conv2D(16, 3)(image))
    model = shaken(keras.Model(image, layers.Dense(4)(layers.Flatten()(x))))
    data, options = batches(6), {"optimizer": "adam", "learning_rate": 1e-3}
    dense_size = zipped(quantize, model, data, tmp_path / "dense.tflite", **options)
    if zeros:
        model = prune(model, data, HALF, **options)
    if clusters:
        model = cluster(model, data, 8, preserve_zeros=zeros, **options)
    path = tmp_path / "net.tflite"
    kept = {"preserve_zeros": zeros, "preserve_clusters": clusters}
    size = zipped(quantize, model, data, path, **kept, **options)
    for kernel in kernels(model):
        shape = np.moveaxis(kernel, -1, 0).shape
        [codes] = [x for x in int8_weights(path) if x.shape == shape]
        if zeros:
            assert (codes == 0).mean() >= 0.49
        if clusters:
            rows = codes if kernel.ndim == 4 else [codes]  # convolutions by channel
            assert all(len(np.unique(row)) <= 8 for row in rows)
    assert size < dense_size or not (zeros or clusters)


def zipped(function, model, data, path, **options):
    function(model, data, path, **options)
    return measure.zipped_size(path)


@pytest.mark.slow
@pytest.mark.usefixtures("traced")
def test_deploy_pruned_and_clustered_nets(tmp_path):
    """Stripped, converted, zipped: smaller than the dense one, and as right."""
    image = keras.Input((6, 6, 2))
    x = layers.Flatten()(layers.Conv2D(16, 3, activation="relu")(image))
    model, data = shaken(keras.Model(image, layers.Dense(4)(x))), batches(6)
    images = np.concatenate([x for x, _ in data])
    sizes = {}
    for name, new in (
        (
            "dense",
            prune(model, data, ConstantSparsity(0.01), path=tmp_path / "dense.tflite"),
        ),
        (
            "pruned",
            prune(model, data, ConstantSparsity(0.8), path=tmp_path / "pruned.tflite"),
        ),
        ("clustered", cluster(model, data, 4, path=tmp_path / "clustered.tflite")),
    ):
        file = tmp_path / f"{name}.tflite"
        agreed = load(file)(images).argmax(-1) == np.asarray(new(images)).argmax(-1)
        assert agreed.mean() > 0.85
        sizes[name] = measure.zipped_size(file)
    assert sizes["pruned"] < 0.8 * sizes["dense"]
    assert sizes["clustered"] < 0.8 * sizes["dense"]


@pytest.mark.slow
@pytest.mark.usefixtures("traced")
def test_all_of_it_trains_with_xla():
    model, data = small_net(), batches(2)
    xla = {"jit_compile": True, **SGD}
    pruned = prune(model, data, HALF, **xla)
    shared = cluster(pruned, data, 8, preserve_zeros=True, **xla)
    last = quantize(shared, data, preserve_zeros=True, preserve_clusters=True, **xla)
    for one, two, three in zip(*map(kernels, (pruned, shared, last)), strict=True):
        assert (one == 0).mean() == 0.5
        assert (two[one == 0] == 0).all() and len(np.unique(two)) <= 8
        assert (three[one == 0] == 0).all()
