"""What a SavedModel folder holds: weights from its variables, MACs from its graph."""

import math
from pathlib import Path

import numpy as np

from compression.measure.products import einsum_macs, matmul_macs

# Operators that multiply, too: counted nowhere, so refused.
UNKNOWN = {
    "Conv3D", "Conv3DBackpropInputV2", "XlaConvV2", "XlaDotV2",
}  # fmt: skip

# Operators that may stand between a dilated convolution and the end of its blocks.
BETWEEN = {"BiasAdd", "Identity", "Relu", "Relu6", "Squeeze"}


def saved_model_weights(folder: Path) -> list[np.ndarray]:
    """The variables that count as parameters; int8 codes count, their scales do not.

    A folder that limbeck wrote says which variables these are. In any other every
    floating-point variable counts, moving statistics too.
    """
    import tensorflow as tf

    variables = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
    names = sorted(variables.get_variable_to_dtype_map())
    ours = [name for name in names if name.startswith("parameters/")]
    found = [variables.get_tensor(name) for name in ours or names]
    return [
        np.asarray(value)
        for value in found
        if ours or getattr(value, "dtype", np.dtype("S")).kind == "f"
    ]


def saved_model_macs(folder: Path) -> int:
    """Multiply-accumulates of one image, from the graph of "serving_default".

    Raises:
        ValueError: the graph has an operator whose MACs are not known here, or does
            not give the size of its tensors.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((folder / "saved_model.pb").read_bytes())
    [meta] = (m for m in saved.meta_graphs if "serve" in m.meta_info_def.tags)
    functions = {f.signature.name: f for f in meta.graph_def.library.function}
    # The outer graph also saves and restores variables: take the signature's call.
    outputs = meta.signature_def["serving_default"].outputs.values()
    wanted = {output.name.split(":")[0] for output in outputs}
    calls = [node for node in meta.graph_def.node if node.name in wanted]
    return sum(_macs(Scope(calls, {}), node, functions, folder) for node in calls)


class Scope:
    """The nodes of one function, and the shapes of what they give."""

    def __init__(self, nodes, arguments):
        self.nodes = {node.name: node for node in nodes}
        self.shapes = arguments | {node.name: _shapes(node.attr) for node in nodes}

    def consumers(self, name):
        """The nodes that a node's output goes into."""
        return [
            node
            for node in self.nodes.values()
            if any(source.split(":")[0] == name for source in node.input)
        ]

    def shape(self, name):
        """Of "node", "node:3" or, inside a function, "node:output:0"."""
        node, *_, index = (
            [*name.split(":"), "0"] if ":" not in name else name.split(":")
        )
        shapes = self.shapes.get(node, [])
        return shapes[int(index)] if int(index) < len(shapes) else None

    def before_reshapes(self, name):
        """The tensor that `name` is a reshaped form of."""
        node = self.nodes.get(name.split(":")[0])
        while node is not None and node.op in ("Reshape", "Identity"):
            name = node.input[0]
            node = self.nodes.get(name.split(":")[0])
        return name


def _macs(scope, node, functions, folder):
    if node.op in UNKNOWN or _multiplies_inside(node, functions):
        raise ValueError(f"the MACs of operator {node.op} in {folder} are not known")
    called = functions.get(node.attr["f"].func.name) if "f" in node.attr else None
    if called is not None:
        arguments = {
            argument.name: _shapes(called.arg_attr[i].attr)
            for i, argument in enumerate(called.signature.input_arg)
        }
        inner = Scope(called.node_def, arguments)
        return sum(_macs(inner, n, functions, folder) for n in called.node_def)
    if node.op not in COUNTED:
        return 0
    try:
        return COUNTED[node.op](scope, node)
    except TypeError:  # None for a shape, or for one of its sizes
        raise ValueError(f"{folder} does not say the sizes of {node.name!r}") from None


def _multiplies_inside(node, functions):
    """Whether a loop or a branch has multiplications: nothing says how often."""
    waiting = [
        function.name
        for key, value in node.attr.items()
        if key != "f"
        for function in (value.func, *value.list.func)
    ]
    seen = set()
    while waiting:
        name = waiting.pop()
        if name not in functions or name in seen:
            continue
        seen.add(name)
        for inner in functions[name].node_def:
            if inner.op in UNKNOWN or inner.op in COUNTED:
                return True
            for value in inner.attr.values():
                waiting += [value.func.name, *(each.name for each in value.list.func)]
    return False


def _convolution(scope, node):
    """Output positions times the kernel, (height, width, in / groups, out)."""
    image = _image(node, _dilated_output(scope, node))
    return math.prod(image) * math.prod(scope.shape(node.input[1]))


def _dilated_output(scope, node):
    """The shape of what a convolution gives, dilated or not.

    TensorFlow cuts the maps of a dilated one into a block of smaller ones, a batch
    each, and joins them again after it: only then have they their size.
    """
    at = node
    while at is not None:
        after = scope.consumers(at.name)
        for joined in after:
            if joined.op == "BatchToSpaceND":
                return scope.shapes[joined.name][0]
        at = after[0] if len(after) == 1 and after[0].op in BETWEEN else None
    return scope.shapes[node.name][0]


def _transposed(scope, node):
    image = _image(node, scope.shape(node.input[2]))
    return math.prod(image) * math.prod(scope.shape(node.input[1]))


def _dense(scope, node):
    """Every activation meets every unit once."""
    return _numbers(scope, node.input[0]) * scope.shapes[node.name][0][-1]


def _numbers(scope, name):
    """How many numbers of a tensor belong to one image.

    A dense layer on maps reshapes them to rows, those of all images below each other;
    only before that is it known which axis is the batch.
    """
    name = scope.before_reshapes(name)
    node = scope.nodes.get(name.split(":")[0])
    if node is None or node.op != "MatMul":
        return math.prod(scope.shape(name)[1:])
    units = scope.shape(name)[-1]
    features = math.prod(scope.shape(node.input[1])) // units
    return _numbers(scope, node.input[0]) // features * units


def _matmul(scope, node):
    first = scope.shape(node.input[0])
    turned = node.attr["adj_x"].b
    depth = first[-2 if turned else -1]
    return matmul_macs(depth, scope.shapes[node.name][0])


def _einsum(scope, node):
    shapes = [scope.shape(name) for name in node.input]
    return einsum_macs(node.attr["equation"].s.decode(), shapes)


COUNTED = {
    **dict.fromkeys(("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"), _matmul),
    "Conv2D": _convolution,
    "Conv2DBackpropInput": _transposed,
    "DepthwiseConv2dNative": _convolution,
    "Einsum": _einsum,
    "MatMul": _dense,
}


def _image(node, shape):
    first = node.attr["data_format"].s == b"NCHW"
    return shape[2:] if first else shape[1:-1]


def _shapes(attributes):
    return [
        None
        if shape.unknown_rank
        else [dim.size if dim.size >= 0 else None for dim in shape.dim]
        for shape in attributes["_output_shapes"].list.shape
    ]
