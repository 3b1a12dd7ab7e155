"""Bias correction: rounded weights shift the mean of what a layer gives; put it back.

Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction"
(2019), https://arxiv.org/abs/1906.04721, section 4.2 and, by images, appendix D: layer
by layer, the mean error of each channel before its activation is taken from the bias.
"""

from collections.abc import Iterable, Sequence

import keras
import numpy as np
from keras import ops

from compression.graph import read, rebuild
from compression.quantization.calibration import calibration_images
from compression.quantization.fake_quantize import require_bits
from compression.quantization.folding import fold_batch_norm
from compression.quantization.layerwise import kernels, visits, with_kernel
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
        ValueError: as `calibrate`, or `reference` has other layers.
    """
    require_bits(bits)
    net = fold_batch_norm(model, skip=skip, biased=True)
    images = calibration_images(net, batches)
    wanted = net
    if reference is not None:
        wanted = fold_batch_norm(reference, skip=skip, biased=True)
    graph = read(net)
    chosen = [graph.calls[number].operation for number in kernels(graph, skip)]
    _require_same(wanted, [layer.name for layer in chosen], skip)
    twins = {id(layer): twin_of(layer, bits=bits) for layer in chosen}
    rounded = rebuild(net, lambda call: twins.get(id(call.operation)))
    pairs = zip(visits(rounded, images), visits(wanted, images, skip), strict=True)
    biases = []
    for ours, theirs in pairs:
        error = _mean(ours) - _mean(theirs)
        ours.layer.bias.assign_sub(error)
        biases.append(ours.layer.bias)
    for layer, bias in zip(chosen, biases, strict=True):
        layer.bias.assign(bias)
    return net


def _require_same(reference, names, skip):
    """Raises ValueError unless a net has kernels of these names, in this order."""
    graph = read(reference)
    found = [graph.calls[number].operation.name for number in kernels(graph, skip)]
    if found != names:
        raise ValueError(
            f"reference {reference.name!r} has the kernels {', '.join(found)}, not "
            f"{', '.join(names)}: give the net that the model was made of"
        )


def _mean(visit):
    """Of each channel before its activation, over images and positions, float64."""
    linear = with_kernel(visit.layer, visit.layer.kernel, "linear")
    total, count = 0.0, 0
    for inputs in visit.inputs:
        found = ops.convert_to_numpy(linear(inputs)).astype(np.float64)
        found = found.reshape(-1, found.shape[-1])
        total, count = total + found.sum(axis=0), count + len(found)
    return total / count
