"""A net run one call after the other: what goes in to a layer, what comes out."""

from keras import KerasTensor, layers, ops, tree

from compression.graph import Source


class Walk:
    """A net run on batches one call after the other, as in inference.

    What nobody needs any more is let go.

    Args:
        graph: of the net.
        net: it.
        batches: of what goes in, as the net takes it.
    """

    def __init__(self, graph, net, batches):
        self._graph = graph
        self._given = [tree.flatten(batch) for batch in batches]
        self._images = [tensor.name for tensor in tree.flatten(net.inputs)]
        self._tensors = [{} for _ in batches]
        self._last = {
            source: max((at for at, _ in uses), default=-1)
            for source, uses in graph.consumers.items()
        }

    def inputs(self, at):
        """For each batch what goes into call number `at`, its first tensor."""
        call = self._graph.calls[at]
        return [self._into(call, tensors)[0] for tensors in self._tensors]

    def step(self, at) -> list[list]:
        """Runs call number `at`; for each batch, what comes out."""
        found = []
        call = self._graph.calls[at]
        for given, tensors in zip(self._given, self._tensors, strict=True):
            if isinstance(call.operation, layers.InputLayer):
                position = self._images.index(call.outputs[0].name)
                results = [
                    ops.convert_to_tensor(given[position], call.outputs[0].dtype)
                ]
            else:
                waiting = iter(self._into(call, tensors))
                flat = tree.flatten((call.args, call.kwargs))
                flat = [
                    next(waiting) if isinstance(x, KerasTensor) else x for x in flat
                ]
                args, kwargs = tree.pack_sequence_as((call.args, call.kwargs), flat)
                results = tree.flatten(call.operation(*args, **kwargs))
            for output, result in enumerate(results):
                if self._last[Source(at, output)] > at:
                    tensors[Source(at, output)] = result
            for source in set(call.sources):
                if self._last[source] == at:
                    del tensors[source]
            found.append(results)
        return found

    def _into(self, call, tensors):
        found = []
        for source, casts in zip(call.sources, call.casts, strict=True):
            tensor = tensors[source]
            for dtype in casts:
                tensor = ops.cast(tensor, dtype)
            found.append(tensor)
        return found
