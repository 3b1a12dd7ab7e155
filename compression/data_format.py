"""Where the channels of a map are: first, or last."""

import keras

from compression.graph import Call, Graph, read

CHANNELS_FIRST, CHANNELS_LAST = "channels_first", "channels_last"
# These may put the channels elsewhere; all others leave them where they are.
REARRANGING = (keras.layers.Permute, keras.layers.Reshape, keras.layers.InputLayer)
REARRANGING_OPERATIONS = {"Moveaxis", "Reshape", "Swapaxes", "Transpose"}


def is_channels_first(graph: Graph, call: Call, output: int = 0) -> bool:
    """Whether a map is (batch, channels, height, width), as the layers say around it.

    The nearest layer before it with a `data_format` decides; else the nearest after
    it; else Keras's setting.
    """
    if len(call.outputs[output].shape) != 4:
        return False
    call, output = graph.innermost(call, output)
    found = _format_before(graph, call) or _format_after(graph, call)
    return (found or keras.config.image_data_format()) == CHANNELS_FIRST


def takes_channels_first(model: keras.Model) -> bool:
    """Whether a model of images takes them as (batch, channels, height, width)."""
    graph = read(model)
    for call in graph.calls:
        if isinstance(call.operation, keras.layers.InputLayer):
            return is_channels_first(graph, call)
    return False


def _format_before(graph, call):
    """The data format in which `call` gives its map; None: nothing before it says."""
    while (found := _own_format(call)) is None:
        if _rearranges(call) or not call.sources:
            return _rearranged(graph, call)
        call = graph.calls[call.sources[0].call]
    return found


def _rearranged(graph, call):
    """What becomes of a known format where a layer moves the channels."""
    if not isinstance(call.operation, keras.layers.Permute):
        return None
    before = _format_before(graph, graph.calls[call.sources[0].call])
    moves = {
        (CHANNELS_FIRST, (2, 3, 1)): CHANNELS_LAST,
        (CHANNELS_LAST, (3, 1, 2)): CHANNELS_FIRST,
    }
    return moves.get((before, tuple(call.operation.dims)))


def _format_after(graph, call):
    """The data format in which the calls after it take what `call` gives."""
    start = next(at for at, other in enumerate(graph.calls) if other.key == call.key)
    reached = {start}
    for at in range(start + 1, len(graph.calls)):
        later = graph.calls[at]
        if reached.isdisjoint(later.producers):
            continue
        if found := _own_format(later):
            return found
        if not _rearranges(later):
            reached.add(at)
    return None


def _own_format(call):
    operation = call.operation
    if not any(len(tensor.shape) == 4 for tensor in (*call.inputs, *call.outputs)):
        return None
    if isinstance(operation, keras.layers.BatchNormalization):
        return CHANNELS_FIRST if operation.axis in (1, -3) else CHANNELS_LAST
    # Convolutions, poolings, paddings, Flatten, ...: they have no common class.
    return getattr(operation, "data_format", None)


def _rearranges(call):
    return (
        isinstance(call.operation, REARRANGING)
        or type(call.operation).__name__ in REARRANGING_OPERATIONS
        or len(call.outputs[0].shape) != 4
    )
