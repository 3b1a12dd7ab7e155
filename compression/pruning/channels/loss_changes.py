"""Saliencies from gradients: what the loss changes with a unit, to first order."""

from collections.abc import Iterable

import keras
import numpy as np

from compression.graph import Source
from compression.logits import SQUASHING, ending
from compression.pruning.channels.batches import labelled
from compression.pruning.channels.feature_maps import made_maps
from compression.pruning.channels.groups import Coupling
from compression.pruning.channels.rules import ALONG, MADE
from compression.pruning.channels.scores import made, zeros
from compression.pruning.channels.walk import Walk


def taylor(model: keras.Model, coupling: Coupling, data: Iterable | None) -> np.ndarray:
    """(sum of gradient times weight)^2 over the scales, or filters, of a unit.

    Behind batch norm it is the scale and shift that tell what the channel gives to the
    loss (section 3.2); where there is none, the filter and its bias.
    """
    _require_logits("taylor", model)
    gates = _gates(coupling)
    logits = model.outputs[0].shape[-1]
    loss = _loss(logits)
    variables = [axis.variable for axis in gates]
    total, batches = zeros(coupling), 0
    for images, labels in labelled("taylor", data, model):
        gradients = _gradients(model, loss, variables, images, labels)
        change = zeros(coupling)
        for axis, gradient in zip(gates, gradients, strict=True):
            product = gradient * keras.ops.convert_to_numpy(axis.variable)
            by_channel = np.moveaxis(product, axis.axis, 0)
            by_channel = by_channel.reshape(len(axis.channels), -1).sum(1)
            np.add.at(change, coupling.units_of(axis.channels), by_channel)
        total += change**2
        batches += 1
    return made(total / batches, coupling)


def fisher(model: keras.Model, coupling: Coupling, data: Iterable | None) -> np.ndarray:
    """Half the mean, over examples, of (what the loss changes with the unit)^2.

    To first order, with a gate at 1 on what each layer that makes the unit gives, and
    the gates of a unit being one (Theis et al., with the coupling of Liu et
    al.); not divided by what the unit costs. `taylor` squares the change of a batch's
    mean loss instead, in which examples may cancel.
    """
    _require_logits("fisher", model)
    tf = _tensorflow("fisher")
    logits = model.outputs[0].shape[-1]
    loss = _loss(logits, reduction="sum")
    maps, [output] = made_maps(coupling), coupling.graph.outputs
    total, examples = zeros(coupling), 0
    for images, labels in labelled("fisher", data, model):
        walk, seen = Walk(coupling.graph, model, [images]), []
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            for at in range(len(coupling.graph.calls)):
                [outputs] = walk.step(at)
                if Source(at) in maps:
                    tape.watch(outputs[0])
                    seen.append((Source(at), outputs[0]))
                if at == output.call:
                    value = loss(labels, outputs[output.output])
        gradients = tape.gradient(
            value,
            [tensor for _, tensor in seen],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        change = np.zeros((len(total), len(labels)))
        for (source, tensor), gradient in zip(seen, gradients, strict=True):
            product = tf.cast(tensor * gradient, "float32").numpy()
            of_channels = product.reshape(len(labels), -1, product.shape[-1]).sum(1)
            units = coupling.units_of(coupling.tensors[source])
            np.add.at(change, units, of_channels.T)
        total += (change**2).sum(1) / 2
        examples += len(labels)
    return made(total / examples, coupling)


def _loss(logits, **options):
    """Of one logit that of two classes: the others' would be 0, whatever it is."""
    if logits == 1:
        return keras.losses.BinaryCrossentropy(from_logits=True, **options)
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, **options)


def _require_logits(name, model):
    if len(model.outputs) != 1:
        raise ValueError(
            f"saliency {name!r} needs one output, the logits: {model.name!r} has "
            f"{len(model.outputs)}"
        )
    found = ending(model)
    if found.kind in SQUASHING:
        raise ValueError(
            f"saliency {name!r} needs logits: {model.name!r} ends in a {found.word} "
            f"(layer {found.layer.name!r}); plan with as_logits(model), the plan "
            "suits both"
        )


def _gates(coupling):
    """The weights whose change to zero is the channel's."""
    scales, filters = [], []
    for part, axis in coupling.axes():
        if isinstance(part.layer, keras.layers.BatchNormalization):
            if axis.variable is part.layer.gamma or axis.variable is part.layer.beta:
                scales.append(axis)
        elif axis.role == MADE or (part.made is not None and axis.role == ALONG):
            filters.append(axis)
    scaled = np.zeros(len(coupling.roots), bool)
    for axis in scales:
        scaled[coupling.units_of(axis.channels)] = True
    # A layer whose channels are scaled in part only: all of its filters count.
    bare = [a for a in filters if not scaled[coupling.units_of(a.channels)].all()]
    return scales + bare


def _gradients(model, loss, variables, images, labels):
    tf = _tensorflow("taylor")
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([variable.value for variable in variables])
        [logits] = keras.tree.flatten(model(images, training=False))
        value = loss(labels, logits)
    gradients = tape.gradient(
        value,
        [variable.value for variable in variables],
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    return [tf.convert_to_tensor(gradient).numpy() for gradient in gradients]


def _tensorflow(name):
    if keras.backend.backend() != "tensorflow":
        raise ValueError(f"saliency {name!r} runs on the TensorFlow backend only")
    import tensorflow as tf  # only where it is the backend: the room is Keras's

    return tf
