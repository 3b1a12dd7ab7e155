"""Bias correction: rounded weights shift the mean of what a layer gives; put it back.

Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction"
(2019), https://arxiv.org/abs/1906.04721, section 4.2 and, by images, appendix D: layer
by layer, the mean error of each channel before its activation is taken from the bias.
"""

from collections.abc import Iterable, Sequence

import keras
import numpy as np
from keras import ops

from compression.graph import rebuild
from compression.quantization.calibration import calibration_images
from compression.quantization.fake_quantize import require_bits
from compression.quantization.folding import fold_batch_norm
from compression.quantization.layerwise import Layerwise, without_activation
from compression.quantization.twins import twin_of


def correct_bias(
    model: keras.Model,
    batches: Iterable,
    *,
    bits: int = 8,
    reference: keras.Model | None = None,
    skip: Sequence[str] = (),
) -> keras.Model:
    """The same net, batch norm folded, its biases as suits weights of few bits.

    Once its weights are rounded as `calibrate` rounds them, each channel has the mean
    over the images that it had before. (Rounding of activations is not counted: its
    mean error is next to none.) A layer without a bias gets one; a layer that is
    called several times stays as it is.

    Args:
        model: functional or a built `Sequential`, as trained; it stays as it is.
        batches: of images like those that the net will see, or of tuples that begin
            with images; a few hundred images, all held in memory.
        bits: of the weights, 8 or 4.
        reference: the net whose means are to be had, with layers of the same names,
            such as the one that `adaround` was given; None: `model`.
        skip: layers that stay float32, by name or pattern.

    Raises:
        ValueError: as `calibrate`, or a layer is missing in `reference`.
    """
    require_bits(bits)
    net = fold_batch_norm(model, skip=skip, biased=True)
    images = calibration_images(net, batches)
    wanted = net
    if reference is not None:
        wanted = fold_batch_norm(reference, skip=skip, biased=True)
    wanted = Layerwise.of(wanted, skip)
    originals = {layer.name: layer for layer in wanted.layers}
    at = Layerwise.of(net, skip)
    missing = [layer.name for layer in at.layers if layer.name not in originals]
    if missing:
        raise ValueError(
            f"reference {reference.name!r} has no layer called {missing[0]!r}: give "
            f"the net that {model.name!r} was made of"
        )
    chosen = {id(layer) for layer in at.layers}
    rounded = rebuild(
        net,
        lambda call: (
            twin_of(call.operation, bits=bits) if id(call.operation) in chosen else None
        ),
    )
    sweep = Layerwise.of(rounded)
    corrected = {}
    for layer in at.layers:
        twin = rounded.get_layer(layer.name)
        original = originals[layer.name]
        error = _mean(twin, sweep, images) - _mean(original, wanted, images)
        corrected[layer.name] = ops.convert_to_numpy(twin.bias) - error
        twin.bias.assign(corrected[layer.name])
    for layer in at.layers:
        layer.bias.assign(corrected[layer.name])
    return net


def _mean(layer, net, images):
    """Of each channel before its activation, over images and positions, float64."""
    linear = without_activation(layer)
    total, count = 0.0, 0
    for inputs in net.inputs(layer, images):
        found = ops.convert_to_numpy(linear(inputs)).astype(np.float64)
        found = found.reshape(-1, found.shape[-1])
        total, count = total + found.sum(axis=0), count + len(found)
    return total / count
