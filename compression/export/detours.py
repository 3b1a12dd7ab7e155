"""A .tflite file without the detours by which integers were kept apart.

In the graph that LiteRT's converter reads, casts to float64 and back stand where it
shall read no range through (`LeaveFloat`). In the file they are in the way: no board
has an operator for them. Here they go, and where nothing is left between two ranges one
operator makes codes of codes.
"""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

CAST = schema.BuiltinOperator.CAST
QUANTIZE = schema.BuiltinOperator.QUANTIZE
DEQUANTIZE = schema.BuiltinOperator.DEQUANTIZE
INT8 = schema.TensorType.INT8
FLOAT32, FLOAT64 = schema.TensorType.FLOAT32, schema.TensorType.FLOAT64
# Steps of codes, as a multiple of those that they become: what XNNPACK takes.
LEAST_RATIO, LARGEST_RATIO = 2.0**-8, 2.0**7
ALIGNED = 16  # bytes, of constants: what the schema says


def without_detours(content: bytes) -> bytes:
    """The same net in fewer operators.

    What it computes is the same but for codes made of codes, which may be rounded to
    the other side where a number lies half between two.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    if CAST not in _codes(model):
        return content
    for number, graph in enumerate(model.subgraphs):
        _shorten(model, graph)
        _leave_out_tensors(model, number)
    builder = _Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


class _Builder(flatbuffers.Builder):
    """Python's packer forgets that LiteRT reads constants where they lie."""

    def StartVector(self, elemSize, numElems, alignment):  # noqa: N802, N803
        aligned = ALIGNED if elemSize == 1 else alignment
        return super().StartVector(elemSize, numElems, aligned)


def _codes(model):
    """What each number of an operator's kind stands for."""
    return [
        max(code.builtinCode, code.deprecatedBuiltinCode)
        for code in model.operatorCodes
    ]


def _shorten(model, graph):
    """Takes detours out, and operators that nobody reads then."""
    codes = _codes(model)
    makers, instead = {}, {}  # by tensor: its operator, and what is read for it
    for operator in graph.operators:
        operator.inputs = [instead.get(at, at) for at in _numbers(operator.inputs)]
        given = operator.inputs[0] if operator.inputs else None
        before = makers.get(given)
        makers |= dict.fromkeys(_numbers(operator.outputs), operator)
        if before is None:
            continue
        kinds = (codes[before.opcodeIndex], codes[operator.opcodeIndex])
        first, made = before.inputs[0], operator.outputs[0]
        through = [graph.tensors[at] for at in (first, given, made)]
        if kinds == (CAST, CAST):
            there_and_back = [t.type for t in through] == [FLOAT32, FLOAT64, FLOAT32]
        elif kinds == (DEQUANTIZE, QUANTIZE):
            steps = _steps(through[0]), _steps(through[2])
            if _suit(*steps):
                operator.inputs = [first]
            there_and_back = steps[0] is not None and steps[0] == steps[1]
        else:
            there_and_back = False
        if there_and_back and made not in graph.outputs:
            instead[made] = first
    used, needed = set(_numbers(graph.outputs)), []
    for operator in reversed(graph.operators):
        aside = codes[operator.opcodeIndex] in (CAST, DEQUANTIZE, QUANTIZE)
        if not aside or used & {*operator.outputs}:
            needed.append(operator)
            used |= {*operator.inputs}
    graph.operators = needed[::-1]


def _steps(tensor):
    """(scale, zero point) of codes; None where there are none or several."""
    how = tensor.quantization
    if tensor.type != INT8 or how is None or len(how.scale) != 1:
        return None
    return float(how.scale[0]), int(how.zeroPoint[0])


def _suit(before, after):
    """Whether LiteRT's kernels make the one codes of the other."""
    if before is None or after is None:
        return False
    return LEAST_RATIO <= before[0] / after[0] <= LARGEST_RATIO


def _leave_out_tensors(model, number):
    """Those that no operator of a graph takes or gives; others get new numbers."""
    graph = model.subgraphs[number]
    used = {*_numbers(graph.inputs), *_numbers(graph.outputs)}
    for operator in graph.operators:
        for numbers in (operator.inputs, operator.outputs, operator.intermediates):
            used |= {*_numbers(numbers)}
    kept = [at for at in range(len(graph.tensors)) if at in used]
    places = {at: place for place, at in enumerate(kept)} | {-1: -1}  # -1: none
    graph.tensors = [graph.tensors[at] for at in kept]

    def move(owner, *lists):
        for name in lists:
            found = getattr(owner, name)
            if found is not None:
                moved = [places[at] for at in _numbers(found)]
                setattr(owner, name, np.array(moved, np.int32))

    move(graph, "inputs", "outputs")
    for operator in graph.operators:
        move(operator, "inputs", "outputs", "intermediates")
    for signature in model.signatureDefs or ():
        if signature.subgraphIndex == number:
            for named in (*signature.inputs, *signature.outputs):
                named.tensorIndex = places[named.tensorIndex]


def _numbers(vector):
    """A vector of a flatbuffer, which is None where it is empty."""
    return [] if vector is None else [int(number) for number in vector]
