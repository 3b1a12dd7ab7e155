"""What an integer concatenation takes, rounded to the range of what it gives.

It copies codes, so all of them must have one range. In a net that is trained only the
result is rounded, for its range has to follow what goes in; a file's is so before, too.
"""

from functools import partial

import keras
from keras import layers

from compression.graph import Source, read, rebuild
from compression.quantization.placement import (
    KEPT,
    POOLED,
    concatenates,
    has_kernel,
    kind_of,
    operation_name,
)
from compression.quantization.ranges import ActivationRange, LeaveFloat

NARROWING = (
    layers.AveragePooling2D,
    layers.CenterCrop,
    layers.Cropping2D,
    layers.GlobalMaxPooling2D,
    layers.MaxPooling2D,
)


def narrowed_before_concatenations(model: keras.Model) -> bool:
    """Whether something is pooled or cut and then concatenated, as Inception does.

    When LiteRT's converter calibrates by itself, it gives what stands before that the
    range of the concatenation, where less may be left of it.
    """
    graph = read(model)
    if not all(has_kernel(call) for call in graph.calls):
        return False

    def narrows(at):
        call = graph.calls[at]
        if kind_of(call, floats=()) not in (KEPT, POOLED):
            return False
        narrow = isinstance(call.operation, NARROWING)
        if narrow or operation_name(call.operation) == "GetItem":
            return True
        return narrows(call.producers[0])

    return any(
        narrows(at)
        for call in graph.calls
        if concatenates(call.operation)
        for at in call.producers
    )


def rounded_before_concatenations(model: keras.Model) -> keras.Model:
    """The same net, of the same layers: it gives the same numbers.

    Args:
        model: with fake quantization or without, in which case it is given back.
    """
    graph = read(model)
    ranges = {}
    for number, call in enumerate(graph.calls):
        given = [graph.calls[at].operation for at in call.producers]
        apart = any(isinstance(layer, LeaveFloat) for layer in given)
        if not apart or not concatenates(call.operation):
            continue  # the converter sees to kernels that nothing else reads
        for use, _ in graph.consumers.get(Source(number), ()):
            if isinstance(graph.calls[use].operation, ActivationRange):
                ranges[call.key] = graph.calls[use].operation
    if not ranges:
        return model

    def before(call, _):
        range_ = ranges.get(call.key)
        return None if range_ is None else partial(range_, observe=False)

    return rebuild(model, before=before, share=True)
