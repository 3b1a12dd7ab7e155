"""After a cut and without labels: batch norm's statistics, the weights of readers."""

import math
from collections.abc import Iterable

import keras
import numpy as np
from keras import layers, ops, tree

from compression.arguments import (
    require_batches,
    require_end,
    require_number,
    shown,
)
from compression.batch_norm import batch_norms, momentum_lent
from compression.graph import read
from compression.pruning.channels.batches import finite_images
from compression.pruning.channels.groups import couple
from compression.pruning.channels.plan import ChannelPlan, units_of
from compression.pruning.channels.surgery import remove_channels
from compression.pruning.channels.walk import Walk

LARGEST = 8192  # inputs of one output: their products are a square of this side


def reestimate_batch_norm(model: keras.Model, images: Iterable) -> None:
    """Sets the moving statistics of `model`'s batch norms to those of `images`.

    Each becomes the average over the batches, as in training, so dropout is on; all
    batches should have one size. Frozen batch norms keep theirs, and no weight learns.

    Args:
        model: changed in place.
        images: batches as `model` takes them, or tuples that begin with them.

    Raises:
        ValueError: there is no batch, one is not what the model takes, or a pixel is
            not finite.
    """
    require_batches("images", images)
    norms = batch_norms(model)
    batches = 0
    with momentum_lent(norms):
        for batch in images:
            for norm in norms:
                norm.momentum = batches / (batches + 1)
            model(finite_images(batch, model), training=True)
            batches += 1
    if not batches:
        raise ValueError("batch norm is estimated from images, got no batch")


def reconstruct(
    smaller: keras.Model,
    model: keras.Model,
    plan: ChannelPlan,
    images: Iterable,
    *,
    positions: int = 16,
    ridge: float = 1e-4,
    seed: int = 0,
) -> None:
    """Fits the weights in `smaller` that read fewer channels to what `model` computes.

    Layer by layer in the order of calls: least squares between what the whole layer
    gives for what it sees, and what the smaller one gives for what it sees (He et al.,
    "Channel pruning for accelerating very deep neural networks", 2017, section 3.1,
    https://arxiv.org/abs/1707.06168), before the activation. Dense and ungrouped 2D
    convolutions that are called once and read at most 8,192 numbers for an output are
    fitted; other weights stay. So do zeros, those of a pruned net; values that weights
    share do not: share them afterwards.

    Args:
        smaller: of `remove_channels(model, plan)`, changed in place.
        model: the whole net.
        plan: between them.
        images: batches as both take them, or tuples that begin with them; gone
            through once.
        positions: of the map of each image that are fitted, drawn at random.
        ridge: how much, of the mean square of the inputs, holds the weights where
            they are; what the images do not determine stays.
        seed: for the positions.

    Raises:
        ValueError: the plan is not that of the two nets; there are models inside the
            model (`compression.graph.rebuild(model, flatten=True)` takes them out);
            there is no batch, a pixel is not finite, or they are more than memory
            should hold; a number is out of its range.
    """
    for net in (smaller, model):
        if not isinstance(net, keras.Model):
            raise ValueError(f"model must be a keras.Model, got {shown(net)}")
    if any(isinstance(layer, keras.Model) for layer in model.layers):
        raise ValueError(
            f"{model.name!r} has models inside: plan for and cut "
            "graph.rebuild(model, flatten=True)"
        )
    require_number("positions", positions, whole=True)
    require_number("ridge", ridge)
    if positions < 1 or ridge < 0:
        raise ValueError(
            f"positions must be at least 1, ridge 0 or more, got {positions}, {ridge}"
        )
    require_batches("images", images)
    batches = _held(images, model)
    if not batches:
        raise ValueError("weights are fitted on images, got no batch")
    coupling = couple(model)
    keep = coupling.keeper(units_of(plan, coupling))
    _require_cut(smaller, model, plan)
    graphs = [read(net) for net in (model, smaller)]
    names = [call.operation.name for call in graphs[0].calls]
    generator = np.random.default_rng(seed)
    walks = [
        Walk(graph, net, batches)
        for graph, net in zip(graphs, (model, smaller), strict=True)
    ]
    for at, (whole, cut) in enumerate(zip(*(g.calls for g in graphs), strict=True)):
        part = coupling.parts.get(whole.path)
        if (
            part is not None
            and _can_be_fitted(part.layer, cut.operation)
            and names.count(part.path) == 1
            and len(keep(part.inputs)) < len(part.inputs)
        ):
            _fit(
                part.layer,
                cut.operation,
                keep(part.flow.output),
                zip(*(walk.inputs(at) for walk in walks), strict=True),
                lambda rows: generator.permutation(rows)[:positions],
                ridge,
            )
        for walk in walks:
            walk.step(at)


def _held(images, model):
    """All batches of `images`, in memory."""
    batches, firsts, size = [], [], 0
    for batch in images:
        batches.append(finite_images(batch, model))
        arrays = [ops.convert_to_numpy(x) for x in tree.flatten(batches[-1])]
        firsts.append(arrays[0])
        size += sum(array.nbytes for array in arrays)
        require_end(firsts, size, "images")
    return batches


def _require_cut(smaller, model, plan):
    wanted = remove_channels(model, plan).weights
    if sorted(map(_shape, smaller.weights)) != sorted(map(_shape, wanted)):
        raise ValueError(
            f"{smaller.name!r} is not what the plan leaves of {model.name!r}: cut it "
            "with remove_channels(model, plan)"
        )


def _shape(variable):
    return tuple(variable.shape)


def _can_be_fitted(layer, cut):
    if not isinstance(layer, layers.Dense | layers.Conv2D):
        return False
    if isinstance(layer, layers.DepthwiseConv2D | layers.Conv2DTranspose):
        return False
    inputs = cut.kernel.shape[:-1]
    return getattr(layer, "groups", 1) == 1 and np.prod(inputs) <= LARGEST


def _fit(layer, cut, outputs, seen, draw, ridge):  # noqa: PLR0913
    old = _matrix(layer.kernel)[:, outputs]
    new = _matrix(cut.kernel)
    size = len(new)
    squares, products = np.zeros((size, size)), np.zeros(new.shape)
    inputs, missing, count = np.zeros(size), np.zeros(new.shape[1]), 0
    for pair in seen:
        maps = layer.compute_output_shape(pair[0].shape)[1:-1]
        drawn = np.stack([draw(math.prod(maps)) for _ in range(len(pair[0]))])
        before, after = (_patches(layer, x, maps, drawn) for x in pair)
        wanted = before @ old - after @ new  # what the change of the weights shall give
        squares += after.T @ after
        products += after.T @ wanted
        inputs += after.sum(0)
        missing += wanted.sum(0)
        count += len(after)
    inputs, missing = inputs / count, missing / count
    if cut.bias is not None:  # which takes what is constant
        squares -= count * np.outer(inputs, inputs)
        products -= count * np.outer(inputs, missing)
    held = ridge * max(np.trace(squares) / size, 1e-12)
    change = _solved(squares + held * np.eye(size), products, free=new != 0)
    cut.kernel.assign((new + change).reshape(cut.kernel.shape))
    if cut.bias is not None:
        bias = ops.convert_to_numpy(layer.bias)[outputs]
        cut.bias.assign(bias + missing - inputs @ change)


def _solved(squares, products, free):
    """X with squares @ X = products, or the nearest that is 0 where none is free."""
    if free.all():
        return np.linalg.solve(squares, products)
    found = np.zeros_like(products)
    for output in range(products.shape[1]):
        inputs = np.flatnonzero(free[:, output])
        found[inputs, output] = np.linalg.solve(
            squares[np.ix_(inputs, inputs)], products[inputs, output]
        )
    return found


def _matrix(kernel):
    return ops.convert_to_numpy(kernel).astype("float64").reshape(-1, kernel.shape[-1])


def _patches(layer, x, maps, drawn):
    """What a layer sees at the `drawn` positions of its map, one row for each.

    `drawn`: (images, positions), numbers of positions in a map of the size `maps`.
    """
    x = ops.convert_to_numpy(ops.cast(x, "float32"))
    image = np.arange(len(x))[:, None]
    if isinstance(layer, layers.Dense):
        seen = x.reshape(len(x), -1, x.shape[-1])[image, drawn]
    else:
        x = _padded(layer, x, maps)
        rows, columns = (
            position[..., None] * stride + np.arange(size) * step
            for position, stride, size, step in zip(
                np.unravel_index(drawn, maps),
                layer.strides,
                layer.kernel_size,
                layer.dilation_rate,
                strict=True,
            )
        )
        seen = x[image[..., None, None], rows[..., None], columns[..., None, :]]
    return seen.reshape(drawn.size, -1).astype("float64")


def _padded(layer, x, maps):
    """The input with the zeros that "same" puts around it, one more at the end."""
    if layer.padding != "same":
        return x
    around = []
    for size, out, stride, kernel, step in zip(
        x.shape[1:-1],
        maps,
        layer.strides,
        layer.kernel_size,
        layer.dilation_rate,
        strict=True,
    ):
        missing = max((out - 1) * stride + (kernel - 1) * step + 1 - size, 0)
        around.append((missing // 2, missing - missing // 2))
    return np.pad(x, ((0, 0), *around, (0, 0)))
