"""In which layers an integer file leaves the float file of the same net.

Both come from one converter, which gives a tensor the same name in both.
"""

import re
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from compression.export.tensors import Tensor, of_details
from compression.graph import all_layers, last_call
from compression.quantization.calibration import samples
from compression.quiet import quiet

SUFFIX = "_int16"  # of what int16x8 makes of a tensor
OUTPUT = "StatefulPartitionedCall"
BETWEEN = ("QUANTIZE", "DEQUANTIZE")  # change the form of numbers, no layer does


class LayerError(NamedTuple):
    """How much further from the float file a layer's output is than its input.

    Attributes:
        layer: its name in the model; where that is not to be seen, the tensor's.
        error: of its output: ||integer - float|| / ||float|| of a channel, at most 1,
            the mean over channels. Of all channels together a wide one would hide
            what the others lose.
        growth: that, less the largest error of what the layer reads.
    """

    layer: str
    error: float
    growth: float


def worst_layers(
    integer: Path, real: Path, model: keras.Model, images: np.ndarray, count: int = 3
) -> list[LayerError]:
    """The layers in which the error grows most, the worst first; none if none grows.

    Args:
        integer: a .tflite file, all or partly integer.
        real: the float32 file of the same model, with the same batch.
        model: what both were written from.
        images: (n, height, width, channels).
        count: how many layers.
    """
    ours, reads = _outputs(integer, images)
    theirs, _ = _outputs(real, images)
    errors = {
        name: _error(ours[name], theirs[name])
        for name in ours
        if name in theirs and ours[name].shape == theirs[name].shape
    }
    grown = [
        LayerError(
            _layer_of(name, model),
            error,
            error - max((errors.get(source, 0) for source in reads[name]), default=0),
        )
        for name, error in errors.items()
    ]
    grown = [each for each in grown if each.growth > 0]
    return sorted(grown, key=lambda each: -each.growth)[:count]


def _error(codes_as_reals, reals):
    rows = reals.reshape(-1, reals.shape[-1]).astype(np.float64)
    norms = np.linalg.norm(rows, axis=0)
    lost = np.linalg.norm(codes_as_reals.reshape(rows.shape) - rows, axis=0)
    alive = norms > 0
    return float((lost[alive] / norms[alive]).clip(max=1).mean()) if alive.any() else 0


def _outputs(path, images):
    """({name: what an operator computed, as reals}, {name: the names that it read})."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    with quiet():
        interpreter = Interpreter(
            model_content=path.read_bytes(),
            experimental_preserve_all_tensors=True,
            # The fast kernels run many operators as one and keep nothing of them.
            experimental_op_resolver_type=(
                OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            ),
        )
        [source] = interpreter.get_input_details()
        takes = of_details(source)
        batch = takes.shape[0] or len(images)
        if batch != source["shape"][0]:
            interpreter.resize_tensor_input(source["index"], [batch, *takes.shape[1:]])
        interpreter.allocate_tensors()
    tensors = {d["index"]: of_details(d) for d in interpreter.get_tensor_details()}
    made, reads = _computed(path, tensors)
    found = {at: [] for at in made}
    for [chunk] in samples(images, batch):
        interpreter.set_tensor(source["index"], takes.codes(chunk))
        interpreter.invoke()
        for at in made:
            found[at].append(tensors[at].reals(interpreter.get_tensor(at)))
    return {made[at]: np.concatenate(parts) for at, parts in found.items()}, reads


def _computed(path, tensors: dict[int, Tensor]):
    """({index: name} of what operators compute, {name: names of what they read})."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(path.read_bytes())
    graph = model.Subgraphs(0)
    between = {getattr(schema.BuiltinOperator, name) for name in BETWEEN}
    made, reads = {}, {}
    for operator in map(graph.Operators, range(graph.OperatorsLength())):
        code = model.OperatorCodes(operator.OpcodeIndex())
        if max(code.BuiltinCode(), code.DeprecatedBuiltinCode()) in between:
            continue
        for at in operator.OutputsAsNumpy().tolist():
            tensor = tensors.get(at)
            if tensor is None or not tensor.shape:
                continue
            if tensor.scale is None and tensor.dtype != "float32":  # shapes, indices
                continue
            made[at] = _name(tensor)
            reads[made[at]] = [
                _name(tensors[i])
                for i in operator.InputsAsNumpy().tolist()
                if i in tensors
            ]
    return made, reads


def _name(tensor):
    return tensor.name.removesuffix(SUFFIX)


def _layer_of(name, model):
    """The layer that a tensor is of: one with weights first, of those merged into it.

    A name is such as "relu1_1/Relu;conv1_1/convolution": Keras numbers the calls of a
    layer, here of "relu1" and "conv1".
    """
    if name.startswith(OUTPUT):
        return last_call(model).operation.name
    layers = {layer.name: layer for layer in all_layers(model)}
    found = []
    for word in re.split("[/;]", name):
        for known in (re.sub(r"_\d+$", "", word), word):
            if known in layers and not isinstance(layers[known], keras.Model):
                found.append(layers[known])
                break
    found.sort(key=lambda layer: not hasattr(layer, "kernel"))  # stable
    return found[0].name if found else name
