"""A functional net of Keras 3 in tf_keras, and its weights back.

tf_keras reads no file and no config of Keras 3, so the graph is called again, layer by
layer, and the weights are copied by name. What comes out is checked: both nets are run
on the same random inputs.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import tree

from compression.graph import Call, Graph, Source, has_graph, read, rebuild
from compression.layer_names import require_compilable_names
from compression.tfmot.layer_twins import twin
from compression.tfmot.packages import tf_keras
from compression.weights import require_finite_weights

TOLERANCE = 1e-5  # of the largest output: sums in float32 in another order
UNKNOWN_SIDE = 32  # pixels of a side that the model leaves open
# Operations that are layers, too, where two tensors of one shape go in.
OF_TWO = ("Add", "Subtract", "Multiply", "Maximum", "Minimum")


def to_tf_keras(model: keras.Model):
    """The same net in tf_keras: a fresh functional model with the same weights.

    Models inside the model are flattened; layers keep their names, with the name of
    their model in front where it would be there twice. A layer called several times is
    one layer called several times. Operations of `keras.ops` become layers `Add`,
    `Multiply` and the like, or `Lambda` layers, which tfmot prunes and clusters around
    but does not quantize. What computes in half precision computes in float32 there.

    Args:
        model: functional or a built `Sequential`, of stock layers and limbeck's; it
            stays as it is. Other layers may have a method `tf_keras_twin()`.

    Raises:
        RuntimeError: tf_keras is not installed, or Keras is not on TensorFlow.
        ValueError: `model` has no graph or is one of tf_keras already, a layer has no
            twin, weights are not finite, or the twin does not compute the same.
    """
    require_keras_3(model)
    require_compilable_names(model)
    require_finite_weights(model)
    from compression.export.serving import float32_twin  # imports TensorFlow

    model = float32_twin(model)
    made = _Bridge(model).built()
    _check(model, made)
    return made


def weights_back(tf_keras_model, model: keras.Model) -> keras.Model:
    """`model` again, with the weights that its twin in tf_keras has now.

    Wrappers of tfmot are looked into, also those of quantization-aware training, whose
    weights are the floats that it fake-quantizes.

    Args:
        tf_keras_model: of `to_tf_keras(model)`, trained or wrapped since.
        model: stays as it is.

    Raises:
        ValueError: a layer of `model` that has weights is not there, or its weights
            are of another shape.
    """
    require_layers(tf_keras_model, model)
    again = rebuild(model)
    there = dict(_unwrapped(tf_keras_model))
    for name, layer in layer_names(again):
        if not layer.weights:
            continue
        for variable, other in _pairs(layer, there[name]):
            variable.assign(other.numpy())
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()
    return again


def require_layers(tf_keras_model, model: keras.Model) -> None:
    """Raises ValueError where a layer of `model` with weights is not in its twin."""
    require_keras_3(model)
    there = dict(_unwrapped(tf_keras_model))
    for name, layer in layer_names(model):
        if layer.weights and name not in there:
            raise ValueError(
                f"layer {name!r} ({type(layer).__name__}) of {model.name!r} is not in "
                "the model of tf_keras, tfmot has split or merged it: its weights "
                "cannot come back; use limbeck's own engine"
            )


def require_keras_3(model: Any) -> None:
    """Raises ValueError unless `model` is one of Keras 3 with a graph."""
    bases = {kind.__module__.split(".")[0] for kind in type(model).__mro__}
    if "tf_keras" in bases:
        raise ValueError(
            f"{model.name!r} is a model of tf_keras (Keras 2) already: give it to "
            "tfmot itself, or build it in Keras 3"
        )
    if not isinstance(model, keras.Model):
        raise ValueError(f"model must be a keras.Model, got {type(model).__name__}")
    if not has_graph(model):
        raise ValueError(
            f"{model.name!r} ({type(model).__name__}) is a subclassed or unbuilt "
            "model, which has no twin in tf_keras: build it as a functional or "
            "Sequential model"
        )


def layer_names(model: keras.Model) -> Iterator[tuple[str, keras.Layer]]:
    """The name in tf_keras of every layer, and the layer."""
    graph = read(model)
    for call, name in zip(graph.calls, _names(graph), strict=True):
        if isinstance(call.operation, keras.Layer):
            yield name, call.operation


def _names(graph: Graph) -> list[str]:
    """For each call the name of its layer in tf_keras: one for each layer."""
    names, taken = {}, set()

    def free(call):
        name = call.operation.name
        for around in reversed(call.models):
            if name not in taken:
                return name
            name = f"{around.name}_{name}"
        number, wanted = 1, name
        while name in taken:
            name, number = f"{wanted}_{number}", number + 1
        return name

    # Outer layers keep their names; a layer is one thing, an operation is each call.
    for call in sorted(graph.calls, key=lambda call: len(call.models)):
        key = _identity(call)
        if key not in names:
            names[key] = free(call)
            taken.add(names[key])
    return [names[_identity(call)] for call in graph.calls]


def _identity(call: Call):
    layer = isinstance(call.operation, keras.Layer)
    return id(call.operation) if layer else call.key


class _Bridge:
    """One model on its way."""

    def __init__(self, model):
        self.model, self.graph = model, read(model)
        self.twins = {}
        self.layers = tf_keras().layers

    def built(self):
        names, tensors = _names(self.graph), {}
        given = {id(x): self._input(x) for x in self.model.inputs}
        for at, (call, name) in enumerate(zip(self.graph.calls, names, strict=True)):
            if isinstance(call.operation, keras.layers.InputLayer):
                results = [given[id(call.outputs[0])]]
            else:
                ends = zip(call.sources, call.casts, strict=True)
                results = self._called(
                    call, name, [self._cast(tensors[s], casts) for s, casts in ends]
                )
            tensors |= {Source(at, i): x for i, x in enumerate(results)}
        ends = zip(self.graph.outputs, self.graph.output_casts, strict=True)
        outputs = [self._cast(tensors[source], casts) for source, casts in ends]
        made = tf_keras().Model(
            tree.map_structure(lambda x: given[id(x)], _structure(self.model, "input")),
            tree.pack_sequence_as(_structure(self.model, "output"), outputs),
            name=self.model.name,
        )
        for layer, other in self.twins.values():
            _copy_weights(layer, other)
        return made

    def _input(self, tensor):
        return tf_keras().Input(
            tensor.shape[1:],
            batch_size=tensor.shape[0],
            dtype=tensor.dtype,
            name=tensor.name,
        )

    def _called(self, call, name, given):
        layer = call.operation
        if not isinstance(layer, keras.Layer):
            return tree.flatten(_operation(call, name)(_alone(given)))
        if call.kwargs.get("mask") is not None:
            raise ValueError(
                f"layer {layer.name!r} is called with a mask, which is not carried "
                "over to tf_keras"
            )
        if id(layer) not in self.twins:
            if isinstance(layer, keras.Model):
                raise ValueError(
                    f"{layer.name!r} inside {self.model.name!r} is a subclassed model, "
                    "or called with arguments of its own: tf_keras can have no twin"
                )
            other = twin(layer)
            other._name = name  # the public name is read-only
            self.twins[id(layer)] = layer, other
        arguments = {k: v for k, v in call.kwargs.items() if v is not None}
        if arguments.get("training"):  # Keras notes the default of layers that augment
            del arguments["training"]
        return replace(call, kwargs=arguments).again(self.twins[id(layer)][1], given)

    def _cast(self, tensor, dtypes):
        import tensorflow as tf

        for dtype in dtypes:
            tensor = self.layers.Lambda(partial(tf.cast, dtype=dtype))(tensor)
        return tensor


def _structure(model, end):
    """How a model's inputs or outputs are given: a tensor, a list, a dict."""
    if isinstance(model, keras.Sequential):
        return getattr(model, f"{end}s")[0]
    return getattr(model, end)


def _alone(tensors):
    return tensors[0] if len(tensors) == 1 else tensors


def _operation(call, name):
    """A layer for an operation of `keras.ops`, called with its tensors alone."""
    layers, kind = tf_keras().layers, type(call.operation).__name__
    values = tree.flatten((call.args, call.kwargs))
    only_tensors = len(values) == len(call.inputs)
    shapes = {x.shape for x in call.inputs}
    if kind in OF_TWO and only_tensors and len(values) == 2 and len(shapes) == 1:
        return getattr(layers, kind)(name=name)
    if kind == "Relu" and only_tensors:
        return layers.ReLU(name=name)

    def function(tensors, call=call):
        given = tensors if isinstance(tensors, list | tuple) else [tensors]
        results = call.again(call.operation, given)
        return results[0] if len(call.outputs) == 1 else results

    return layers.Lambda(function, name=name)


def _copy_weights(layer, other):
    for variable, mine in _pairs(other, layer):
        variable.assign(np.asarray(keras.ops.convert_to_numpy(mine)))
    if hasattr(other, "finalize_state") and other.weights:
        other.finalize_state()


def _pairs(layer, other) -> list[tuple[Any, Any]]:
    """The weights of a layer with those of its twin that have the same name."""
    found = _by_name(other.weights)
    pairs = []
    for name, variables in _by_name(layer.weights).items():
        there = found.get(name, [])
        if [tuple(v.shape) for v in variables] != [tuple(v.shape) for v in there]:
            raise ValueError(
                f"layer {layer.name!r}: its {name!r} is not that of {other.name!r} in "
                "the other framework"
            )
        pairs += zip(variables, there, strict=True)
    return pairs


def _by_name(variables):
    """By the last part of the name; several of one name in their order."""
    found = {}
    for variable in variables:
        name = variable.name.split(":")[0].rpartition("/")[2]
        found.setdefault(name, []).append(variable)
    if "depthwise_kernel" in found and "pointwise_kernel" not in found:
        found["kernel"] = found.pop("depthwise_kernel")  # as Keras 3 calls it
    return found


def _unwrapped(model):
    """Layers of a model of tf_keras, or wrappers of tfmot, by the layer's name."""
    for layer in model.layers:
        # A wrapper holds what it quantizes itself, the layer in it no more.
        wrapped = isinstance(layer, tf_keras().layers.Wrapper)
        yield (layer.layer if wrapped else layer).name, layer


def _check(model, made):
    """Raises ValueError where the two nets do not give the same."""
    inputs = _random_inputs(model)
    expected = _run(model, inputs)
    got = _run(made, inputs)
    worst = max(map(_difference, got, expected), default=0.0)
    if worst <= TOLERANCE:
        return
    raise ValueError(
        f"the twin of {model.name!r} in tf_keras is off by {worst:.1e} of the largest "
        f"output, first behind layer {_first_different(model, made, inputs)!r}: it "
        "computes something else there"
    )


def _run(model, inputs):
    results = model(inputs, training=False)
    return [np.asarray(x) for x in tree.flatten(results)]


def _difference(got, expected):
    if got.shape != expected.shape:
        return np.inf
    size = max(float(np.abs(expected).max(initial=0)), 1e-6)
    return float(np.abs(got - expected).max(initial=0)) / size


def _first_different(model, made, inputs):
    there = {layer.name: layer for layer in made.layers}
    for name, layer in layer_names(model):
        if name not in there or not any(layer is x for x in model.layers):
            continue
        mine = keras.Model(_structure(model, "input"), layer.output)
        other = tf_keras().Model(made.input, there[name].output)
        pairs = zip(_run(other, inputs), _run(mine, inputs), strict=True)
        if max(_difference(a, b) for a, b in pairs) > TOLERANCE:
            return name
    return model.name


def _random_inputs(model):
    generator = np.random.default_rng(0)

    def random(tensor):
        shape = [2 if tensor.shape[0] is None else tensor.shape[0]]
        shape += [UNKNOWN_SIDE if side is None else side for side in tensor.shape[1:]]
        if not keras.backend.is_float_dtype(tensor.dtype):
            return np.zeros(shape, tensor.dtype)
        return generator.normal(size=shape).astype(tensor.dtype)

    return tree.map_structure(random, _structure(model, "input"))
