"""What a .tflite file holds, read from its flatbuffer: weights and MACs.

The schema is TensorFlow Lite's, `ai_edge_litert.schema_py_generated`. The file must
have been loaded by its runtime before, which verifies it.
"""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ai_edge_litert import schema_py_generated as schema

# Where an operator has its data, its kernel and its bias.
WEIGHTED = {
    "CONV_2D": (0, 1, 2),
    "DEPTHWISE_CONV_2D": (0, 1, 2),
    "FULLY_CONNECTED": (0, 1, 2),
    "TRANSPOSE_CONV": (2, 1, 3),
}
# Operators that multiply, too, or hide others that do: counted nowhere, so refused.
UNKNOWN = {
    "BIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_RNN",
    "CALL", "CALL_ONCE", "CONV_3D", "CONV_3D_TRANSPOSE", "CUSTOM", "DELEGATE", "IF",
    "LSTM", "RNN", "SVDF", "UNIDIRECTIONAL_SEQUENCE_LSTM",
    "UNIDIRECTIONAL_SEQUENCE_RNN", "WHILE",
}  # fmt: skip
# Operators with as many numbers out as in, as far as they are looked through here.
BETWEEN = {"ADD", "DEQUANTIZE", "QUANTIZE", "RELU", "RELU6", "RESHAPE", "SQUEEZE"}
DTYPES = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.FLOAT16: np.float16,
    schema.TensorType.INT8: np.int8,
    schema.TensorType.INT16: np.int16,
    schema.TensorType.INT32: np.int32,
    schema.TensorType.INT64: np.int64,
    schema.TensorType.UINT8: np.uint8,
}
# Bits of codes of which several share a byte, the first in its lowest bits.
PACKED = {schema.TensorType.INT4: 4, schema.TensorType.INT2: 2}
NAMES = {
    code: name
    for name, code in vars(schema.BuiltinOperator).items()
    if isinstance(code, int)
}


class Contents(NamedTuple):
    """One graph of a file; its operators by name."""

    content: bytes
    model: schema.Model
    graph: schema.SubGraph
    operators: list[tuple[str, schema.Operator]]


def litert_weights(path: Path) -> list[np.ndarray]:
    """Every constant that images meet: kernels, biases and leftovers of batch norm.

    Values are float, or codes less their zero point, so that zero means zero. Shapes,
    axes and paddings, which are integers, are not among them.
    """
    weights, biases = {}, {}
    for number, file in enumerate(_graphs(path)):
        stored = _stored(file)
        for name, operator in file.operators:
            if name == "DEQUANTIZE":
                continue
            inputs = [stored.get(i, i) for i in operator.InputsAsNumpy().tolist()]
            _, kernel_at, bias_at = WEIGHTED.get(name, (None, None, None))
            for position, index in enumerate(inputs):
                values = None if index < 0 else _real_constant(file, index)
                if values is None:
                    continue
                if position == bias_at:
                    # Equal biases of several operators are one tensor in the file: they
                    # count once for each kernel. The converter invents a bias of zeros
                    # for some operators and drops it from others: it counts nowhere.
                    if values.any():
                        biases[number, inputs[kernel_at], index] = values
                else:
                    weights[number, index] = values
    return [*weights.values(), *biases.values()]


def litert_kernels(path: Path) -> dict[str, np.ndarray]:
    """Kernels of convolutions and dense layers by name, as `litert_weights` has them.

    Those that are computed, not stored, are left out.
    """
    found = {}
    for file in _graphs(path):
        stored = _stored(file)
        for name, operator in file.operators:
            if name in WEIGHTED:
                index = int(operator.Inputs(WEIGHTED[name][1]))
                index = stored.get(index, index)
                values = _real_constant(file, index)
                if values is not None:
                    found[file.graph.Tensors(index).Name().decode()] = values
    return found


def litert_macs(path: Path) -> int:
    """Multiply-accumulates of one image.

    Raises:
        ValueError: the file has an operator whose MACs are not known here, as loops and
            branches are, or several graphs.
    """
    file, *others = _graphs(path)
    batch = _shape(file, file.graph.Inputs(0))[0]
    total = 0
    for name, operator in file.operators:
        if name in UNKNOWN:
            raise ValueError(f"the MACs of operator {name} in {path} are not known")
        if name == "BATCH_MATMUL":
            total += _matmul(file, operator) // batch
        if name not in WEIGHTED:
            continue
        data_at, kernel_at, _ = WEIGHTED[name]
        kernel = _shape(file, operator.Inputs(kernel_at))
        output = _shape(file, _joined(file, operator.Outputs(0)))
        if name == "FULLY_CONNECTED":
            data = _elements(file, operator.Inputs(data_at))
            positions = batch * (data // kernel[1])
        elif name == "TRANSPOSE_CONV":
            positions = math.prod(_shape(file, operator.Inputs(data_at))[:3])
        else:
            positions = math.prod(output[:-1])
        total += positions * math.prod(kernel) // batch
    if others:
        raise ValueError(
            f"{path} holds {1 + len(others)} graphs, the MACs of one can be counted"
        )
    return total


def _matmul(file, operator):
    """Of all images of a product of activations by each other."""
    options, table = schema.BatchMatMulOptions(), operator.BuiltinOptions()
    turned = False
    if table is not None:
        options.Init(table.Bytes, table.Pos)
        turned = options.AdjX()
    depth = _shape(file, operator.Inputs(0))[-2 if turned else -1]
    return math.prod(_shape(file, operator.Outputs(0))) * depth


def _stored(file):
    """Of float16 files: the widened tensor -> the stored one."""
    return {
        int(operator.Outputs(0)): int(operator.Inputs(0))
        for name, operator in file.operators
        if name == "DEQUANTIZE"
    }


def _joined(file, tensor):
    """`tensor`, or what becomes of it where it is a dilated convolution's in blocks.

    In a file for any batch a dilated convolution stays as TensorFlow computes it: on
    maps cut into smaller ones, a batch each, which are joined again after it.
    """
    at = int(tensor)
    while True:
        after = [
            (name, operator)
            for name, operator in file.operators
            if at in operator.InputsAsNumpy()
        ]
        for name, operator in after:
            if name == "BATCH_TO_SPACE_ND":
                return int(operator.Outputs(0))
        if len(after) != 1 or after[0][0] not in BETWEEN:
            return int(tensor)
        at = int(after[0][1].Outputs(0))


def _elements(file, tensor):
    """How many numbers of a tensor belong to one image.

    A dense layer on maps reshapes them to rows, and in a file for any batch nothing
    says how many those are: only before that is it known which axis is the batch.
    """
    made_by = {int(op.Outputs(0)): (name, op) for name, op in file.operators}
    name, operator = made_by.get(int(tensor), (None, None))
    if name in BETWEEN:
        return _elements(file, operator.Inputs(0))
    if name == "FULLY_CONNECTED":
        units, features = _shape(file, operator.Inputs(1))
        return _elements(file, operator.Inputs(0)) // features * units
    return math.prod(_shape(file, tensor)[1:])


def _graphs(path):
    """What is computed first of all, and what its loops and branches compute."""
    content = path.read_bytes()
    model = schema.Model.GetRootAs(content)
    names = [
        # Codes from 127 on do not fit into the old field, which then holds 127.
        NAMES[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        for code in map(model.OperatorCodes, range(model.OperatorCodesLength()))
    ]
    return [
        Contents(content, model, graph, _operators(graph, names))
        for graph in map(model.Subgraphs, range(model.SubgraphsLength()))
    ]


def _operators(graph, names):
    return [
        (names[operator.OpcodeIndex()], operator)
        for operator in map(graph.Operators, range(graph.OperatorsLength()))
        if operator.InputsLength()
    ]


def _shape(file, index):
    return file.graph.Tensors(int(index)).ShapeAsNumpy().tolist()


def _real_constant(file, index):
    """A tensor's values less its zero point; None if computed, or no real numbers."""
    tensor = file.graph.Tensors(index)
    quantization = tensor.Quantization()
    scaled = quantization is not None and quantization.ScaleLength() > 0
    values = _values(file, tensor)
    if values is None or (values.dtype.kind in "iu" and not scaled):
        return None
    zero_points = quantization.ZeroPointAsNumpy() if scaled else np.zeros(1)
    if not np.any(zero_points):
        return values
    codes = values.reshape(_shape(file, index)).astype(np.int64)
    if len(zero_points) == 1:  # also of a scalar, which has no axis
        return codes - zero_points[0]
    along = [1] * tensor.ShapeLength()
    along[quantization.QuantizedDimension()] = -1
    return codes - zero_points.reshape(along)


def _values(file, tensor):
    """What is stored, in one row; None if nothing is, or of another type."""
    data, dtype = _data(file, tensor), DTYPES.get(tensor.Type())
    if data is not None and dtype is not None:
        return np.frombuffer(data, dtype)
    bits = PACKED.get(tensor.Type())
    if data is None or bits is None:
        return None
    fields = np.frombuffer(data, np.uint8)[:, None] >> np.arange(0, 8, bits)
    codes = (fields % 2**bits).ravel()[: math.prod(tensor.ShapeAsNumpy().tolist())]
    return np.where(codes < 2 ** (bits - 1), codes, codes - 2**bits).astype(np.int8)


def _data(file, tensor):
    buffer = file.model.Buffers(tensor.Buffer())
    if buffer.Offset() > 1:  # files beyond 2 GB keep their data behind the flatbuffer
        return file.content[buffer.Offset() : buffer.Offset() + buffer.Size()]
    return buffer.DataAsNumpy().tobytes() if buffer.DataLength() else None
