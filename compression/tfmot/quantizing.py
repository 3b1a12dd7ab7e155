"""Quantization-aware training by tfmot, and what of pruning and clustering it keeps."""

import warnings
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import keras

from compression.arguments import names
from compression.tfmot.bridge import (
    layer_names,
    require_layers,
    to_tf_keras,
    weights_back,
)
from compression.tfmot.fused_relus import with_fused_relus
from compression.tfmot.int8_file import require_path, write_fake_quantized
from compression.tfmot.own_layers import own
from compression.tfmot.packages import tf_keras, tfmot
from compression.tfmot.refusals import naming_the_layer
from compression.tfmot.training import Training


def quantize(  # noqa: PLR0913, each is a choice of tfmot's
    model: keras.Model,
    train: Any,
    path: str | Path | None = None,
    *,
    preserve_zeros: bool = False,
    preserve_clusters: bool = False,
    configs: Mapping[str, Any] | None = None,
    exempt: Sequence[str] = (),
    **training,
) -> keras.Model:
    """`model`, trained by tfmot with fake quantization in 8 bits.

    Args:
        model: as `to_tf_keras` takes it; it stays as it is.
        train: a `tf.data.Dataset`, a tuple of arrays, or a list of batches.
        path: where the int8 .tflite file is written.
        preserve_zeros: whether weights that are zero stay so (PQAT).
        preserve_clusters: whether weights that share a value go on sharing one (CQAT);
            with `preserve_zeros`, both (PCQAT). In a convolution those of one channel
            do: tfmot takes each for clustered by channel, so that the channels of a
            shared value part, and the layer has more values than before.
        configs: a `QuantizeConfig` of tfmot by patterns of layers' names, instead of
            what tfmot does with such a layer; the first that matches counts.
        exempt: patterns of names of layers that stay in floats.
        training: epochs, optimizer, loss and so on, as `Training` takes them.

    Returns:
        A new model of the same layers with the trained weights, as floats: it has no
        fake quantization, the file has their codes.

    Raises:
        RuntimeError: tfmot is not installed, Keras is not on TensorFlow, or the file
            cannot be written.
        ValueError: an argument is not as above, or tfmot does not take a layer.
    """
    how, configs = Training(**training), dict(configs or {})
    require_path(path, model)
    twin, data = with_fused_relus(to_tf_keras(model)), how.data(train)
    exempt = names("exempt", exempt)
    require_names(model, [*configs, *exempt])
    _refuse_operations(twin, exempt)
    with naming_the_layer(model, "quantizes", "quantization.quantize_aware"):
        aware = _fake_quantized(
            twin, configs, exempt, _scheme(preserve_zeros, preserve_clusters)
        )
        how.compile(aware, model)
    require_layers(aware, model)  # before it trains for nothing
    if how.epochs:
        how.fit(aware, data)
    if preserve_clusters:
        aware = _without_centroids(aware)
    if path is not None:
        write_fake_quantized(aware, model, path, data)
    return weights_back(aware, model)


def require_names(model: keras.Model, patterns: Sequence[str]) -> None:
    """Raises ValueError where no layer has a name like one of the `patterns`."""
    there = [name for name, _ in layer_names(model)]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in there):
            raise ValueError(
                f"no layer of {model.name!r} is called {pattern!r}; there are "
                f"{', '.join(there)}"
            )


def _refuse_operations(twin, exempt):
    for layer in twin.layers:
        if isinstance(layer, tf_keras().layers.Lambda) and not _named(layer, exempt):
            raise ValueError(
                f"tfmot quantizes no Lambda, and {layer.name!r} is one, or an "
                "operation of keras.ops that becomes one: put a layer in its place, or "
                "use limbeck's own quantization.quantize_aware"
            )


def _named(layer, patterns):
    return any(fnmatchcase(layer.name, pattern) for pattern in patterns)


def _scheme(preserve_zeros, preserve_clusters):
    """None: tfmot's own 8 bits."""
    tfmot()
    from tensorflow_model_optimization.python.core.quantization.keras.collab_opts.cluster_preserve import (  # noqa: E501
        default_8bit_cluster_preserve_quantize_scheme as clusters,
    )
    from tensorflow_model_optimization.python.core.quantization.keras.collab_opts.prune_preserve import (  # noqa: E501
        default_8bit_prune_preserve_quantize_scheme as zeros,
    )

    if preserve_clusters:
        return clusters.Default8BitClusterPreserveQuantizeScheme(preserve_zeros)
    return zeros.Default8BitPrunePreserveQuantizeScheme() if preserve_zeros else None


def _fake_quantized(twin, configs, exempt, scheme):
    quantization = tfmot().quantization.keras

    def annotated(layer):
        if isinstance(layer, tf_keras().layers.InputLayer) or _named(layer, exempt):
            return layer
        config = next((c for p, c in configs.items() if _named(layer, [p])), None)
        if config is None and isinstance(layer, own().weightless):
            config = _output_alone()
        return quantization.quantize_annotate_layer(layer, config)

    strange = [
        layer
        for layer in twin.layers
        if type(layer).__module__.split(".")[0] != "tf_keras"
    ]
    classes = {type(x).__name__: type(x) for x in [*strange, *configs.values()]}
    with quantization.quantize_scope(classes | own().classes):
        model = tf_keras().models.clone_model(twin, clone_function=annotated)
        options = {} if scheme is None else {"scheme": scheme}
        return quantization.quantize_apply(model, **options)


def _output_alone():
    """Of a layer without weights that gives values of a range of its own."""
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (  # noqa: E501
        default_8bit_quantize_registry as registry,
    )

    return registry.Default8BitQuantizeConfig([], [], True)


def _without_centroids(aware):
    from tensorflow_model_optimization.python.core.quantization.keras.collab_opts.cluster_preserve import (  # noqa: E501
        cluster_utils,
    )

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cluster_utils.strip_clustering_cqat(aware)
