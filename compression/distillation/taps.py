"""Taps: tensors inside a functional model, found by layer or by feature stage."""

import re
from collections.abc import Hashable, Mapping, Sequence

import keras

from compression.arguments import shown
from compression.data_format import is_channels_first
from compression.distillation.arguments import require_flag, require_graph
from compression.graph import Graph, Source, read, rebuild
from compression.nearest import did_you_mean

EMBEDDING, OUTPUT = "embedding", "output"
SHAPERS = (keras.layers.InputLayer, keras.layers.ZeroPadding2D)  # compute nothing
ACTIVATIONS = (
    keras.layers.Activation,
    keras.layers.ELU,
    keras.layers.LeakyReLU,
    keras.layers.PReLU,
    keras.layers.ReLU,
)

# (name, before_activation), or None for the output, whatever its layer is called.
Tap = tuple[str, bool] | None


def tap(model: keras.Model, name: str, *, before_activation: bool = False):
    """A tensor of `model`, from which `keras.Model(model.inputs, tensor)` can be made.

    Several together give a model that computes everything once: see `tapped`.

    Args:
        model: a functional model.
        name: of a layer: what comes out of its last call; "inner/layer", or only
            "layer", for one in a model inside the model. Or "stage1", "stage2", ...:
            the end of that stage; or "embedding": what the last layer is given; or
            "output". Stages are those in the layers' names (`stage2_block9_out`),
            otherwise one for each size of the feature maps, from the largest.
        before_activation: what the activation that gives this output is given.

    Returns:
        A KerasTensor of `model`; for a layer in a model inside the model, of the same
        layers called without that model.

    Raises:
        ValueError: there is no such layer or stage, listing those that there are; or
            `before_activation` where no activation layer gives the output; or `model`
            has no graph.
    """
    require_graph(model, "model")
    call, output = _find(model, read(model), name, before_activation)
    if not call.models:
        return call.outputs[output]
    return tapped(model, {name: (name, before_activation)}).output[name]


def tapped(
    model: keras.Model, taps: Mapping[Hashable, Tap], *, channels_last: bool = False
) -> keras.Model:
    """`model` with a dict of taps as its output: the same layers, called once.

    Layers are shared with `model`. Models inside it are kept, but for those in which a
    tap lies: their layers become layers of what comes out.

    Args:
        model: a functional model.
        taps: key in the dict -> (name, before_activation) of `tap`, or None for the
            model's output.
        channels_last: whether maps whose channels come first are transposed, so that
            all are (batch, height, width, channels).

    Raises:
        ValueError: as for `tap`.
    """
    require_graph(model, "model")
    graph = read(model)
    found = {key: _find(model, graph, *which) for key, which in taps.items() if which}
    open_models = {id(m) for call, _ in found.values() for m in call.models}

    def flatten(inner):
        return id(inner) in open_models

    opened = read(model, flatten=flatten)
    tensors = _tensors(opened)
    outputs = dict.fromkeys(taps, opened.outputs[0])
    outputs |= {key: tensors[call.key, i] for key, (call, i) in found.items()}
    made = rebuild(model, share=True, flatten=flatten, outputs=outputs)
    first = {
        id(made.output[key]): made.output[key]
        for key, end in found.items()
        if channels_last and is_channels_first(graph, *end)
    }
    if not first:
        return made
    transposed = {
        key: keras.layers.Permute(
            (2, 3, 1), dtype=tensor.dtype, name=f"channels_last_{n}"
        )(tensor)
        for n, (key, tensor) in enumerate(first.items(), start=1)
    }
    outputs = {key: transposed.get(id(x), x) for key, x in made.output.items()}
    return keras.Model(made.input, outputs, name=model.name)


def shapes_at(model: keras.Model, taps: Sequence[Tap]) -> list[tuple]:
    """The shapes of some taps, as `tapped(..., channels_last=True)` gives them."""
    if not taps:
        return []
    made = tapped(model, dict(enumerate(taps)), channels_last=True)
    return [tuple(made.output[n].shape) for n in range(len(taps))]


def stages(model: keras.Model) -> dict[str, str]:
    """Stage ("stage1", ...) -> name (or "inner/layer") of what ends it, in order."""
    require_graph(model, "model")
    graph = read(model)
    return {
        stage: graph.calls[source.call].path
        for stage, source in _stage_ends(graph).items()
    }


def _tensors(graph: Graph) -> dict:
    """(key of a call, number of its output) -> that tensor's `Source`."""
    found = {
        (call.key, output): Source(at, output)
        for at, call in enumerate(graph.calls)
        for output in range(len(call.outputs))
    }
    for entry in graph.flattened:
        found |= {(entry.call.key, i): s for i, s in enumerate(entry.outputs)}
    return found


def _find(model, graph, name, before_activation):
    """The call that gives a tap, and the number of its output."""
    if not isinstance(name, str):
        raise ValueError(f"name must be that of a layer or stage, got {shown(name)}")
    require_flag("before_activation", before_activation)
    named = _named(graph)
    if name in named:
        call, output = named[name], 0
    elif name == OUTPUT:
        call, output = _at(graph, graph.outputs[0])
    elif name == EMBEDDING:
        call, output = _before(model, graph, graph.calls[graph.outputs[0].call])
    else:
        ends = _stage_ends(graph)
        if name not in ends:
            by_depth = sorted(named.values(), key=lambda call: len(call.models))
            own = dict.fromkeys(call.path for call in by_depth)
            known = [*ends, EMBEDDING, OUTPUT, *own]
            raise ValueError(
                f"{model.name!r} has no layer or stage called {name!r}"
                f"{did_you_mean(str(name), known)}; choose from {', '.join(known)}"
            )
        call, output = _at(graph, ends[name])
    if not before_activation:
        return call, output
    call, output = graph.innermost(call, output)
    if not isinstance(call.operation, ACTIVATIONS):
        raise ValueError(
            f"{name!r} of {model.name!r} comes from {call.operation.name!r}, a "
            f"{type(call.operation).__name__}: to tap before an activation, name a "
            "ReLU or activation layer"
        )
    return _at(graph, call.sources[0])


def _at(graph, source):
    return graph.calls[source.call], source.output


def _before(model, graph, call):
    sources = set(call.sources)
    if len(sources) != 1:
        raise ValueError(
            f"the last layer of {model.name!r}, {call.operation.name!r}, has "
            f"{len(sources)} inputs, none of which is the embedding: name a layer"
        )
    return _at(graph, sources.pop())


def _calls(graph):
    """All calls, also those of models whose own calls are listed: in their order."""
    ends = {}  # number of the last call inside -> the models' calls that end there
    for entry in graph.flattened:
        ends.setdefault(max(s.call for s in entry.outputs), []).append(entry.call)
    for at, call in enumerate(graph.calls):
        yield call
        yield from ends.get(at, ())


def _named(graph):
    """Name or path -> a layer's last call; outer layers go before inner ones."""
    calls = [c for c in _calls(graph) if isinstance(c.operation, keras.Layer)]
    by_depth = sorted(calls, key=lambda call: -len(call.models))
    return {call.operation.name: call for call in by_depth} | {
        call.path: call for call in calls
    }


def _stage_ends(graph):
    maps = [
        (Source(at), call)
        for at, call in enumerate(graph.calls)
        if not isinstance(call.operation, SHAPERS)
        and len(call.outputs) == 1
        and len(call.outputs[0].shape) == 4
    ]
    by_name = {}
    for source, call in maps:
        if match := re.match(r"stage(\d+)_", call.operation.name):
            by_name[f"stage{int(match[1])}"] = source
    if by_name:
        return by_name
    last = {}
    for source, call in maps:  # in the graph's order: the last of a size stays
        start = 2 if is_channels_first(graph, call) else 1
        last[tuple(call.outputs[0].shape[start : start + 2])] = source
    largest_first = sorted(last, key=lambda size: -(size[0] or 0) * (size[1] or 0))
    return {f"stage{i}": last[size] for i, size in enumerate(largest_first, start=1)}
