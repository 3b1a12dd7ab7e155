"""A classifier as backbone and head: the head taken off, a new one put on."""

from collections.abc import Sequence

import keras
import numpy as np

from compression.distillation.taps import stages, tap
from compression.graph import (
    LEFT_OUT,
    all_layers,
    called_once,
    has_graph,
    last_call,
    made_again,
    read,
    rebuild,
)
from compression.logits import as_logits, ending
from compression.nearest import did_you_mean


def backbone(model: keras.Model, head: str | None = None) -> keras.Model:
    """Images to features: `model` without its head. Layers are shared.

    Args:
        model: a functional classifier of images.
        head: name of the layer with which the head begins; None: it is the last
            layer, which then must be dense.

    Returns:
        A model with features (batch, width); maps are averaged over their pixels.

    Raises:
        ValueError: the head cannot be told, there is no such layer, or what it is
            given is neither a vector nor maps.
    """
    if len(model.inputs) != 1:
        raise ValueError(f"{model.name!r} has {len(model.inputs)} inputs, not images")
    features = _before_the_last(model) if head is None else _given_to(model, head)
    if len(features.shape) == 4:
        features = keras.layers.GlobalAveragePooling2D(name="features")(features)
    if len(features.shape) != 2:
        raise ValueError(
            f"the head of {model.name!r} is given {tuple(features.shape)}: choose a "
            "layer that is given maps or one vector an image"
        )
    return keras.Model(model.inputs[0], features, name=model.name)


def with_head(features: keras.Model, classes: int) -> keras.Model:
    """A classifier: a new dense layer after a backbone, whose layers are shared.

    Args:
        features: from `backbone`.
        classes: number of logits.
    """
    taken = {layer.name for layer in all_layers(features)}
    name = "logits" if "logits" not in taken else "new_logits"
    logits = keras.layers.Dense(classes, name=name)(features.output)
    return keras.Model(features.input, logits, name=features.name)


def class_logits(model: keras.Model) -> keras.Model:
    """A net with a logit for each class, whatever it ends in; see `two_logits`.

    Raises:
        ValueError: logits cannot be read from its last layer.
    """
    one_output = has_graph(model) and model.output_shape == (None, 1)
    return (two_logits if one_output else as_logits)(model)


def two_logits(model: keras.Model) -> keras.Model:
    """A net of one output, z or sigmoid(z), with two logits in its place, (0, z).

    Their softmax is (1 - sigmoid(z), sigmoid(z)). The model stays as it is.

    Args:
        model: functional, one output (batch, 1); its last layer is a `Dense`, perhaps
            with a sigmoid, or followed by one.

    Raises:
        ValueError: it ends in anything else.
    """
    graph = read(model)
    calls = [graph.calls[graph.outputs[0].call]]  # from the output back
    if not isinstance(calls[0].operation, keras.layers.Dense) and calls[0].sources:
        calls.append(graph.calls[calls[0].sources[0].call])
    head = calls[-1].operation
    if (
        type(head) is not keras.layers.Dense
        or ending(model).kind not in ("linear", "sigmoid")
        or not all(called_once(graph, call) for call in calls)
    ):
        raise ValueError(
            f"{model.name!r} has one output for two classes, and ends in "
            f"{calls[0].operation.name!r}: only a Dense layer, perhaps with a sigmoid, "
            "becomes two logits; give it with two outputs, a softmax or none"
        )

    def replace(call):
        if call.operation is head:
            return _with_zeros_first(head, calls[-1].inputs[0].shape)
        if call.operation is not calls[0].operation:
            return None
        dtype = call.outputs[0].dtype  # of mixed precision's last layer: float32
        if dtype == calls[-1].outputs[0].dtype:
            return LEFT_OUT
        return keras.layers.Activation("linear", dtype=dtype, name=call.operation.name)

    return rebuild(model, replace)


def _with_zeros_first(dense, shape):
    """A layer of two logits, the second of which is that of `dense`."""
    twin = made_again(dense, units=2, activation="linear")
    twin.build(shape)
    twin.set_weights(
        [np.concatenate([np.zeros_like(w), w], axis=-1) for w in dense.get_weights()]
    )
    twin.trainable = dense.trainable
    return twin


def by_depth(
    model: keras.Model, ends: Sequence[str] | None = None
) -> list[list[keras.Layer]]:
    """The layers that have weights, in groups from the images to the head.

    A group is a feature stage: what comes after the end of the stage before. What
    lies between the last stage and the head is a group of its own, and so is the head.

    Args:
        model: a classifier whose last layer is its head.
        ends: names of the layers that end the feature stages; None: those that
            `compression.distillation.stages` finds.

    Raises:
        ValueError: a layer is not there, or no feature stage can be told.
    """
    graph = read(model)
    ends = list(stages(model).values() if ends is None else ends)
    if not ends:
        raise ValueError(
            f"{model.name!r} has no feature stages that can be told (no maps): name "
            "the layers that end them, ends=(...)"
        )
    paths = {call.path: at for at, call in enumerate(graph.calls)}
    names = {call.operation.name: at for at, call in enumerate(graph.calls)} | paths
    for end in ends:
        if end not in names:
            raise ValueError(
                f"{model.name!r} has no layer called {end!r}"
                f"{did_you_mean(end, paths)}; choose from {', '.join(paths)}"
            )
    closed = {names[end] for end in ends}
    before: list[set[int]] = []  # the ends that lie before each call
    groups: dict[int, list[keras.Layer]] = {}
    seen: set[int] = set()
    for call in graph.calls:
        above = set().union(*(before[at] | ({at} & closed) for at in call.producers))
        before.append(above)
        layer = call.operation
        if isinstance(layer, keras.layers.Layer) and layer.weights:
            if id(layer) not in seen:
                groups.setdefault(len(above), []).append(layer)
            seen.add(id(layer))
    head = last_call(model).operation
    body = [[one for one in groups[n] if one is not head] for n in sorted(groups)]
    return [group for group in body if group] + [[head]]


def _before_the_last(model):
    last = last_call(model).operation
    if not isinstance(last, keras.layers.Dense):
        raise ValueError(
            f"the head of {model.name!r} cannot be told: its last layer, "
            f"{last.name!r}, is no Dense but a {type(last).__name__}; name the layer "
            "with which the head begins, head=..."
        )
    return tap(model, "embedding")


def _given_to(model, head):
    calls = {c.operation.name: c for c in read(model, flatten=False).calls}
    layers = [name for name, call in calls.items() if call.inputs]
    if head not in layers:
        raise ValueError(
            f"{model.name!r} has no layer called {head!r}"
            f"{did_you_mean(head, layers)}; choose from {', '.join(layers)}"
        )
    return calls[head].inputs[0]
