"""Weight clustering by tfmot: each kernel is trained with a few values."""

import warnings
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import keras
import numpy as np

from compression.arguments import require_number
from compression.tfmot.bridge import layer_names, to_tf_keras, weights_back
from compression.tfmot.int8_file import require_path, write_int8
from compression.tfmot.packages import tf_keras, tfmot
from compression.tfmot.pruning import kernel_layers
from compression.tfmot.refusals import naming_the_layer
from compression.tfmot.training import Training

INSIDE = "tensorflow_model_optimization.python.core.clustering.keras"
INITIALISATIONS = {
    "kmeans++": "KMEANS_PLUS_PLUS",
    "linear": "LINEAR",
    "density": "DENSITY_BASED",
    "random": "RANDOM",
}
GRADIENTS = {"sum": "SUM", "mean": "AVG"}
# tfmot's k-means++ draws its centroids without replacement and fails on fewer points.
POINTS_A_CLUSTER = 10


def cluster(  # noqa: PLR0913, each is a choice of tfmot's
    model: keras.Model,
    train: Any,
    clusters: int = 16,
    *,
    initialisation: str = "linear",
    scope: str = "layer",
    preserve_zeros: bool = False,
    gradient: str = "sum",
    exempt: Sequence[str] = (),
    path: str | Path | None = None,
    **training,
) -> keras.Model:
    """`model`, trained by tfmot with few values in each kernel.

    Args:
        model: as `to_tf_keras` takes it; it stays as it is.
        train: a `tf.data.Dataset`, a tuple of arrays, or a list of batches.
        clusters: the most values of a kernel, a zero that stays among them.
        initialisation: of the values: "kmeans++", "linear" (evenly from the least to
            the largest weight), "density" or "random". Small kernels, of fewer than
            ten weights that are not zero a value, begin linearly instead of with
            k-means++, which fails there; a warning names them.
        scope: who shares values: the weights of a "layer", or of each "channel" of
            its convolutions.
        preserve_zeros: whether zeros stay (sparsity-preserving clustering).
        gradient: of a value: the "sum" of its weights' gradients, or the "mean".
        exempt: layers whose weights are left alone: "first", "last" or patterns.
        path: where an int8 .tflite file of the result is written; its calibration is
            the first images of `train`.
        training: epochs, optimizer, loss and so on, as `Training` takes them.

    Returns:
        A new model of the same layers, not compiled. Kernels of no more weights than
        `clusters` are as tfmot leaves them: trained freely.

    Raises:
        RuntimeError: tfmot is not installed, Keras is not on TensorFlow, or the file
            cannot be written.
        ValueError: an argument is not as above, or tfmot does not take a layer.
    """
    how = Training(**training)
    require_sharing(clusters, initialisation, scope, gradient, preserve_zeros)
    require_path(path, model)
    twin, data = to_tf_keras(model), how.data(train)
    chosen = kernel_layers(model, exempt)
    if scope == "channel":
        require_biases(model, chosen)
    begun = dict.fromkeys(chosen, INITIALISATIONS[initialisation])
    if initialisation == "kmeans++":
        begun |= _too_small(model, chosen, clusters, scope)
    keras_of_tfmot = tfmot().clustering.keras
    wrap = partial(
        _cluster_weights(),
        number_of_clusters=int(clusters),
        preserve_sparsity=preserve_zeros,
        cluster_per_channel=scope == "channel",
        cluster_gradient_aggregation=_gradient(GRADIENTS[gradient]),
    )

    def wrapped(layer):
        if layer.name not in chosen:
            return layer
        how_begun = keras_of_tfmot.CentroidInitialization[begun[layer.name]]
        return wrap(layer, cluster_centroids_init=how_begun)

    with naming_the_layer(model, "clusters", "quantization.Cluster"):
        clustered = tf_keras().models.clone_model(twin, clone_function=wrapped)
        how.compile(clustered, model)
    if how.epochs:
        how.fit(clustered, data)
    result = weights_back(keras_of_tfmot.strip_clustering(clustered), model)
    if path is not None:
        write_int8(result, path, data)
    return result


def require_sharing(
    clusters: int, initialisation: str, scope: str, gradient: str, preserve_zeros: bool
) -> None:
    """Raises ValueError unless `cluster` takes these arguments."""
    require_number("clusters", clusters, whole=True)
    least = 3 if preserve_zeros else 2
    if clusters < least:
        also = " where zeros are preserved" if preserve_zeros else ""
        raise ValueError(f"clusters must be at least {least}{also}, got {clusters}")
    for name, value, allowed in (
        ("initialisation", initialisation, INITIALISATIONS),
        ("scope", scope, ("layer", "channel")),
        ("gradient", gradient, GRADIENTS),
    ):
        if value not in allowed:
            raise ValueError(
                f"no {name} called {value!r}; choose from {', '.join(allowed)}"
            )


def require_biases(model: keras.Model, chosen: set[str]) -> None:
    """Raises ValueError where one of the `chosen` convolutions has no bias.

    tfmot takes the size of a convolution's last variable for its channels.
    """
    for name, layer in layer_names(model):
        if name in chosen and isinstance(layer, keras.layers.Conv2D):
            if layer.use_bias:
                continue
            raise ValueError(
                f"tfmot shares values by channel only in convolutions with a bias, and "
                f"{name!r} has no bias: exempt it, or use limbeck's own "
                'quantization.Cluster(scope="channel")'
            )


def _too_small(model, chosen, clusters, scope):
    """Kernels on which tfmot's k-means++ would fail, to begin linearly."""
    small = {}
    for name, layer in layer_names(model):
        if name not in chosen:
            continue
        kernel = keras.ops.convert_to_numpy(layer.weights[0])
        axes = tuple(range(kernel.ndim - 1)) if scope == "channel" else None
        points = int(np.min((kernel != 0).sum(axis=axes)))
        if points < POINTS_A_CLUSTER * clusters:
            small[name] = INITIALISATIONS["linear"]
    if small:
        warnings.warn(
            f"tfmot's k-means++ may fail on so few weights for {clusters} values: "
            f"{', '.join(sorted(small))} begin linearly",
            stacklevel=3,
        )
    return small


def _cluster_weights():
    """The function with all options; the public one lacks two."""
    return _inside("experimental.cluster").cluster_weights


def _gradient(name):
    return _inside("cluster_config").GradientAggregation[name]


def _inside(module):
    tfmot()
    return import_module(f"{INSIDE}.{module}")
