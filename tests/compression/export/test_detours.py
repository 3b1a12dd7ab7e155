"""The operators that go from a .tflite file, and what it computes without them."""

import sys

import flatbuffers
import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from keras import layers

from compression import export
from compression.export.detours import without_detours
from compression.quantization import quantize_aware
from tests.compression.small_nets import shaken

pytestmark = pytest.mark.usefixtures("eagerly")
NAMES = {
    code: name
    for name, code in vars(schema.BuiltinOperator).items()
    if isinstance(code, int)
}


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).uniform(size=(32, 8, 8, 3)).astype("float32")


@pytest.fixture
def detours(images, tmp_path, monkeypatch):
    """A file as the converter leaves it, with a float layer and a concatenation."""
    keras.utils.set_random_seed(2)
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same")(image)
    bent = layers.ELU(name="bent")(x)
    x = layers.Concatenate()([layers.ReLU()(x), bent, layers.Conv2D(2, 1)(bent)])
    model = shaken(keras.Model(image, layers.Dense(3)(layers.Flatten()(x))), 2)
    quantized = quantize_aware(model, calibration=[images], skip="bent")
    module = sys.modules[export.litert.__module__]
    monkeypatch.setattr(module, "without_detours", lambda content: content)
    return export.litert(quantized, tmp_path / "long.tflite", precision="int8")


def operators(content):
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    codes = [NAMES[code.builtinCode] for code in model.operatorCodes]
    return [codes[each.opcodeIndex] for each in model.subgraphs[0].operators]


def test_the_same_numbers_by_fewer_operators(detours, images, tmp_path):
    content = detours.read_bytes()
    assert operators(content).count("CAST") > 2
    short = without_detours(content)
    found = operators(short)
    assert "CAST" not in found and len(found) < len(operators(content)) - 4
    assert found.count("DEQUANTIZE") == 1  # in front of the float layer
    path = tmp_path / "short.tflite"
    path.write_bytes(short)
    before, after = export.load(detours), export.load(path)
    apart = np.abs(before(images) - after(images)) / after.gives.scale
    assert apart.max() < 1.5
    assert without_detours(short) == short


def test_no_tensor_is_left_alone_and_constants_are_aligned(detours):
    short = without_detours(detours.read_bytes())
    model = schema.Model.GetRootAs(short, 0)
    graph = model.Subgraphs(0)
    used = {*graph.InputsAsNumpy(), *graph.OutputsAsNumpy()}
    for number in range(graph.OperatorsLength()):
        operator = graph.Operators(number)
        used |= {*operator.InputsAsNumpy(), *operator.OutputsAsNumpy()}
    assert used - {-1} == set(range(graph.TensorsLength()))
    whole = np.frombuffer(short, np.uint8)
    starts = []
    for number in range(model.BuffersLength()):
        if model.Buffers(number).DataLength():
            data = model.Buffers(number).DataAsNumpy()
            starts.append(data.ctypes.data - whole.ctypes.data)
    assert len(starts) > 4
    assert not any(start % 16 for start in starts)


def test_a_file_without_casts_is_left_as_it_is(tmp_path):
    model = keras.Sequential(
        [keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(2)]
    )
    content = export.litert(model, tmp_path / "net.tflite").read_bytes()
    assert without_detours(content) is content


def steps(scale, zero_point=0, type_=schema.TensorType.INT8):
    tensor = schema.TensorT()
    tensor.type, tensor.shape = type_, [1, 4]
    if scale is not None:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = [scale]
        tensor.quantization.zeroPoint = [zero_point]
    return tensor


def chain(path, tensors):
    """A file in which each operator takes what the one before gives."""
    names = sorted(set(path))
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.operatorCodes, graph.operators = [], []
    for name in names:
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        model.operatorCodes.append(code)
    for number, name in enumerate(path):
        operator = schema.OperatorT()
        operator.opcodeIndex = names.index(name)
        operator.inputs, operator.outputs = [number], [number + 1]
        graph.operators.append(operator)
    graph.tensors = tensors
    graph.inputs, graph.outputs = [0], [len(path)]
    model.subgraphs, model.buffers = [graph], [schema.BufferT()]
    return model


def packed(model):
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize(
    ("scale", "left"),
    [
        (0.5, ["RELU", "QUANTIZE", "RELU"]),
        (0.25, ["RELU", "RELU"]),  # the same codes
        (1e-4, ["RELU", "DEQUANTIZE", "QUANTIZE", "RELU"]),  # more than XNNPACK takes
    ],
)
def test_codes_are_made_of_codes_where_the_kernels_can(scale, left):
    floats = [schema.TensorType.FLOAT32, schema.TensorType.FLOAT64]
    through = [steps(None, type_=kind) for kind in (*floats, floats[0])]
    tensors = [steps(0.25), steps(0.25), *through, steps(scale), steps(scale)]
    path = ["RELU", "DEQUANTIZE", "CAST", "CAST", "QUANTIZE", "RELU"]
    assert operators(without_detours(packed(chain(path, tensors)))) == left


def test_operators_without_inputs_and_with_tensors_inside():
    floats = [schema.TensorType.FLOAT32, schema.TensorType.FLOAT64]
    kinds = [floats[0], floats[0], floats[1], *[floats[0]] * 4]
    model = chain(
        ["RELU", "CAST", "CAST", "RELU"], [steps(None, type_=k) for k in kinds]
    )
    [graph] = model.subgraphs
    graph.operators[3].intermediates = np.array([5, 6], np.int32)
    handle = schema.OperatorT()
    handle.opcodeIndex, handle.outputs = 1, [5]
    graph.operators.insert(0, handle)
    short = schema.ModelT.InitFromPackedBuf(without_detours(packed(model)), 0)
    [graph] = short.subgraphs
    first, second, third = graph.operators
    assert not list(first.inputs) and list(first.outputs) == [3]
    assert list(second.outputs) == list(third.inputs) == [1]
    assert list(third.intermediates) == [3, 4] and len(graph.tensors) == 5
