"""Products inside layers of a user's own, which no weight tells of."""

import keras
from keras import layers, tree

from compression.graph import Call, all_layers
from compression.measure.saved_model_folder import COUNTED, UNKNOWN

PRODUCTS = {*COUNTED, *UNKNOWN, "SparseMatMul"}  # operators that sum them
OURS = "limbeck>"  # how the names under which our layers are registered begin


def multiplies_unseen(call: Call) -> bool:
    """Whether a layer without kernels sums products of what it is given.

    Layers of Keras and of limbeck that do are known. What any other does is seen in its
    graph, on the TensorFlow backend alone.
    """
    layer = call.operation
    if keras.backend.backend() != "tensorflow" or hasattr(layer, "count_macs"):
        return False
    if any(len(weight.shape) > 1 for weight in layer.weights):
        return False  # counted by its kernels, or unknown because of them
    if not any(map(_is_foreign, all_layers(layer))):
        return False
    return not PRODUCTS.isdisjoint(_operators(call))


def _is_foreign(layer):
    kind = type(layer)
    if kind.__module__.startswith("keras."):
        return kind is layers.Lambda
    return not keras.saving.get_registered_name(kind).startswith(OURS)


def _operators(call):
    """The names of all operators in the graph of a call."""
    import tensorflow as tf  # only where it is the backend

    def signature(value):
        is_tensor = isinstance(value, keras.KerasTensor)
        return tf.TensorSpec(value.shape, value.dtype) if is_tensor else value

    given = tree.map_structure(signature, (call.args, call.kwargs))

    @tf.function
    def called(args, kwargs):
        return call.operation(*args, **kwargs)

    graph = called.get_concrete_function(*given).graph.as_graph_def()
    nodes = [*graph.node]
    for function in graph.library.function:
        nodes += function.node_def
    return {node.op for node in nodes}
