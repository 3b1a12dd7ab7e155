"""A functional Keras model as a list of calls: read, and rebuilt with changes.

The only file that touches Keras's private graph. `read` lists the calls of layers,
models inside the model and operations of `keras.ops`, with the tensors between them;
`rebuild` makes the same net again with layers replaced, inserted or left out.

A graph is that of a functional model or of a built `Sequential`. A subclassed model
has none: inside a functional one it is a single call, like a layer.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import cached_property
from types import FunctionType
from typing import Any

import keras
from keras import tree

from compression.arguments import shown
from compression.one_line import what_is_wrong

LEFT_OUT = object()  # what `replace` answers for a call whose input shall pass it by


@dataclass(frozen=True)
class Source:
    """A tensor of a graph: output number `output` of call number `call`."""

    call: int
    output: int = 0


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a layer, of a model inside the model or of a `keras.ops` operation.

    Attributes:
        operation: what is called; an `InputLayer` for what goes into the model.
        args: its positional arguments, KerasTensors among them.
        kwargs: its keyword arguments, KerasTensors among them.
        inputs: the KerasTensors in `args` and `kwargs`, as `keras.tree` flattens them.
        outputs: the KerasTensors that come out.
        sources: which outputs of which earlier calls the `inputs` are.
        models: the models around a call in a model inside the model, outermost first.
        key: the same for the same call, whatever else is flattened.
        casts: for each input, the dtypes it is cast to at the doors of `models`.
    """

    operation: keras.Operation
    args: tuple
    kwargs: dict[str, Any]
    inputs: tuple[keras.KerasTensor, ...]
    outputs: tuple[keras.KerasTensor, ...]
    sources: tuple[Source, ...]
    models: tuple[keras.Model, ...]
    key: tuple[int, ...]
    casts: tuple[tuple[str, ...], ...]

    @property
    def producers(self) -> tuple[int, ...]:
        """For each input, where in the list of calls stands the one it comes from."""
        return tuple(source.call for source in self.sources)

    @property
    def path(self) -> str:
        """Its name behind those of the models around it: "inner/layer"."""
        return "/".join(op.name for op in (*self.models, self.operation))

    def as_input(self, number: int, value: Any) -> Any:
        """A value, or another tensor, as the input of that number: in its dtype."""
        return _cast(value, self.casts[number])

    def again(self, operation: keras.Operation, given: Sequence[Any]) -> list[Any]:
        """What `operation` makes of `given` in place of the inputs, in the same way."""
        flat = tree.flatten((self.args, self.kwargs))
        waiting = iter(given)
        flat = [next(waiting) if _is_tensor(x) else x for x in flat]
        args, kwargs = tree.pack_sequence_as((self.args, self.kwargs), flat)
        return tree.flatten(operation(*args, **kwargs))


@dataclass(frozen=True)
class Flattened:
    """A call of a model inside the model, whose own calls stand in the list instead."""

    call: Call
    outputs: tuple[Source, ...]


@dataclass(frozen=True)
class Graph:
    """The calls of a model.

    Attributes:
        calls: each after those whose outputs go into it; branches one after the other,
            in the order in which they are joined. An input of the model that nothing
            depends on is not among them.
        outputs: the model's outputs, as `keras.tree` flattens them.
        flattened: the calls of models whose own calls are listed.
        output_casts: for each output, as `Call.casts`.
    """

    calls: tuple[Call, ...]
    outputs: tuple[Source, ...]
    flattened: tuple[Flattened, ...]
    output_casts: tuple[tuple[str, ...], ...]

    def innermost(self, call: Call, output: int) -> tuple[Call, int]:
        """A model's call as the call inside it that gives its output."""
        inside = {entry.call.key: entry.outputs for entry in self.flattened}
        if call.key not in inside:
            return call, output
        source = inside[call.key][output]
        return self.calls[source.call], source.output

    @cached_property
    def consumers(self) -> dict[Source, tuple[tuple[int, int], ...]]:
        """For every tensor the calls it goes into: (number of the call, of its input).

        Empty for a tensor that is only an output of the model, or unused.
        """
        found = {
            Source(at, output): []
            for at, call in enumerate(self.calls)
            for output in range(len(call.outputs))
        }
        for at, call in enumerate(self.calls):
            for position, source in enumerate(call.sources):
                found[source].append((at, position))
        return {source: tuple(uses) for source, uses in found.items()}


Flatten = bool | Callable[[keras.Model], bool]


def has_graph(model: keras.Operation) -> bool:
    """Whether `model` is a functional model or a built `Sequential`."""
    return _function_of(model) is not None


def read(model: keras.Model, *, flatten: Flatten = True) -> Graph:
    """The calls of `model`.

    Args:
        model: functional or a built `Sequential`.
        flatten: whether the calls of a model inside the model are listed instead of
            the call of that model, at any depth; or a function that decides by the
            model. One that is called with a mask given by hand, without an optional
            input, or with a tensor of another rank stays one call: only the model
            itself knows what it makes of that.

    Raises:
        ValueError: `model` has no graph.
    """
    calls, flattened = [], []
    ends = _walk(model, None, _Around(), flatten, calls, flattened)
    return Graph(
        tuple(calls),
        tuple(end.source for end in ends),
        tuple(flattened),
        tuple(end.casts for end in ends),
    )


def last_call(model: keras.Model) -> Call:
    """The call whose output is the model's only one; a model used as last layer is
    walked into.

    Raises:
        ValueError: `model` has no graph, or several outputs.
    """
    graph = read(model)
    if len(graph.outputs) != 1:
        raise ValueError(f"{model.name!r} has {len(graph.outputs)} outputs, not one")
    return graph.calls[graph.outputs[0].call]


def called_once(graph: Graph, call: Call) -> bool:
    """Whether it is the only call of its layer."""
    return sum(other.operation is call.operation for other in graph.calls) == 1


def only_consumer(graph: Graph, number: int) -> int | None:
    """The one call that a call's output goes into.

    None where there are more, or it is an output of the net, too.
    """
    uses = graph.consumers[Source(number)]
    if Source(number) in graph.outputs or len(uses) != 1:
        return None
    return uses[0][0]


def all_layers(layer: keras.Layer) -> list[keras.Layer]:
    """`layer` and all layers inside it at any depth, shared ones once.

    For a model: its layers, those of models inside it and what these are made of. No
    graph is needed.

    Raises:
        ValueError: it is neither a layer nor a model.
    """
    if not isinstance(layer, keras.Layer):
        raise ValueError(f"model must be a keras.Model, got {shown(layer)}")
    return layer._flatten_layers()


def own_trainable_variables(layer: keras.Layer) -> list[keras.Variable]:
    """What `layer` itself can train, frozen or not; not what layers inside it can."""
    return list(layer._trainable_variables)  # the public list is empty when frozen


Replace = Callable[[Call], Any]
Before = Callable[[Call, int], keras.Operation | None]
After = Callable[[Call], keras.Operation | None]


def rebuild(
    model: keras.Model,
    replace: Replace | None = None,
    *,
    before: Before | None = None,
    after: After | None = None,
    outputs: Any = None,
    share: bool = False,
    flatten: Flatten = False,
) -> keras.Model:
    """The same net again, with other layers where asked for.

    Names of model, inputs and layers, the structure of inputs and outputs (lists,
    dicts), arguments of calls, dtype policies and what is frozen stay. A layer called
    several times is one layer called several times again. Operations of `keras.ops`
    hold no weights and are always shared. What comes out is a functional model, also
    of a `Sequential`, and is not compiled. Without changes `model.weights` keeps its
    order; flattening may change it, for Keras orders a model's layers by their depth.

    Args:
        model: functional or a built `Sequential`; it stays as it is.
        replace: gives a layer or operation to use instead of a call's, `LEFT_OUT` to
            pass its input by it, or None to keep it. Asked once for each operation,
            also about models inside that are not flattened, and about an
            `InputLayer`, for which it gives another. A new layer that is not built
            takes over the values of those weights that are called the same; one that
            is built keeps its own.
        before: gives a layer for input number i of a call to go through first, or
            None; only this call sees what comes out.
        after: gives a layer for the outputs of a call to go through, or None; all that
            uses them sees what comes out, also where it is the output of the model.
        outputs: other outputs than the model's, as a structure of `Source`s of
            `read(model, flatten=flatten)`.
        share: whether kept layers are the model's own, so that training one net trains
            the other; otherwise they are copies with the same values (also of random
            generators), and only then may a layer be renamed. What does not change is
            not even called again.
        flatten: whether the layers of models inside the model become layers of the
            net, less those that its outputs do not need; or a function that decides
            by the model. Where a name would be there twice, the inner layer's gets
            its model's in front.

    Raises:
        ValueError: `model` has no graph; a layer cannot be copied; a replacement
            cannot take over the weights; two layers would have one name.
    """
    nothing = lambda *_: None  # noqa: E731
    build = _Rebuilding(
        replace or nothing, before or nothing, after or nothing, share, flatten
    )
    state = random.getstate()  # new layers draw their seeds from it
    try:
        rebuilt = build.rebuilt(model, outputs)
        build.carry_weights()
    finally:
        random.setstate(state)
    return rebuilt


# --- reading -----------------------------------------------------------------------


@dataclass(frozen=True)
class _Around:
    """Where a graph is called from: the models around it, `training` as they set it."""

    models: tuple[keras.Model, ...] = ()
    key: tuple[int, ...] = ()
    training: bool | None = None


@dataclass(frozen=True)
class _End:
    """A tensor on its way into a call or out of a graph."""

    source: Source
    casts: tuple[str, ...] = ()


def _function_of(model):
    """The `keras.Function` that holds a model's graph, None where there is none."""
    if not isinstance(model, keras.Model):
        return None
    if not isinstance(model, keras.Sequential | keras.Function):
        return None
    if not type(model).call.__module__.startswith("keras."):
        return None  # computes something else than its graph
    return model._functional if isinstance(model, keras.Sequential) else model


def _walk(model, given, around, flatten, calls, flattened):  # noqa: PLR0913
    """Appends the calls of `model` to `calls`; gives the ends of its outputs.

    `given` are the ends that go into a model inside another; None for the outermost,
    whose inputs are calls of their own.
    """
    function = _function_of(model)
    if function is None and not isinstance(model, keras.Operation):
        raise ValueError(f"model must be a keras.Model, got {shown(model)}")
    if function is None:
        raise ValueError(
            "this needs a built functional or Sequential model, got "
            f"{type(model).__name__} {model.name!r} without a graph"
        )
    ends = {}  # by the tensor's id
    if given is not None:
        ends = dict(zip(map(id, function.inputs), given, strict=True))
    for node in _in_order(function):
        if node.is_input and given is not None:
            continue
        call = _call(node, [ends[id(x)] for x in node.input_tensors], around)
        inner = node.operation
        entering = _entering(call) if _decide(flatten, inner) else None
        if entering is None:
            after = [_End(Source(len(calls), i)) for i in range(len(call.outputs))]
            calls.append(call)
        else:
            inside = _Around(
                (*around.models, inner), call.key, call.kwargs.get("training")
            )
            after = _walk(inner, entering, inside, flatten, calls, flattened)
            flattened.append(Flattened(call, tuple(end.source for end in after)))
        ends |= zip(map(id, call.outputs), after, strict=True)
    return [ends[id(x)] for x in function.outputs]


def _in_order(function) -> Iterator:
    """The nodes of a graph, each after those before it, branch by branch."""
    nodes = [node for nodes in function._nodes_by_depth.values() for node in nodes]
    maker = {id(tensor): node for node in nodes for tensor in node.output_tensors}
    waiting = [maker[id(tensor)] for tensor in reversed(function.outputs)]
    done = set()
    while waiting:  # depth first; a recursion would be too deep for ResNet-152
        node = waiting[-1]
        before = [maker[id(tensor)] for tensor in node.input_tensors]
        missing = [other for other in before if id(other) not in done]
        if missing:
            waiting += reversed(missing)
            continue
        waiting.pop()
        if id(node) not in done:
            done.add(id(node))
            yield node


def _call(node, ends, around):
    kwargs = dict(node.arguments.kwargs)
    takes_training = (
        isinstance(node.operation, keras.Layer)
        and node.operation._call_has_training_arg
    )
    if around.training is not None and takes_training:
        kwargs["training"] = around.training  # as Keras hands it down
    return Call(
        operation=node.operation,
        args=tuple(node.arguments.args),
        kwargs=kwargs,
        inputs=tuple(node.input_tensors),
        outputs=tuple(node.output_tensors),
        sources=tuple(end.source for end in ends),
        models=around.models,
        key=(*around.key, id(node)),
        casts=tuple(end.casts for end in ends),
    )


def _decide(flatten, model):
    if not has_graph(model):
        return False
    return flatten if isinstance(flatten, bool) else flatten(model)


def _entering(call):
    """The ends that become the inputs of the called model; None: it is kept whole."""
    function = _function_of(call.operation)
    given = call.args[0] if call.args else call.kwargs.get("inputs")
    if isinstance(given, dict) and not isinstance(function._inputs_struct, dict):
        given = [given.get(tensor.name) for tensor in function.inputs]
    given = tree.flatten(given)
    if len(given) != len(function.inputs) or len(call.args) > 1:
        return None
    if not _own_masks(call.kwargs.get("mask"), given):
        return None
    ends = dict(
        zip(
            map(id, call.inputs),
            zip(call.sources, call.casts, strict=True),
            strict=True,
        )
    )
    entering = []
    for outer, inner in zip(given, function.inputs, strict=True):
        if id(outer) not in ends or len(outer.shape) != len(inner.shape):
            return None
        source, casts = ends[id(outer)]
        cast = (inner.dtype,) if outer.dtype != inner.dtype else ()
        entering.append(_End(source, casts + cast))
    return entering


def _own_masks(masks, tensors):
    """Whether `masks`, an argument, is only what Keras fills in by itself."""
    flat = tree.flatten(masks)
    if all(mask is None for mask in flat):
        return True
    own = [getattr(tensor, "_keras_mask", None) for tensor in tensors]
    return len(flat) == len(own) and all(a is b for a, b in zip(flat, own, strict=True))


# --- layers made again ------------------------------------------------------------


def config_of(layer: keras.Layer) -> dict[str, Any]:
    """What `get_config` gives.

    Raises:
        ValueError: it gives nothing.
    """
    try:
        return layer.get_config()
    except Exception as error:  # whatever a layer's own may raise
        raise _not_copied(layer, error) from error


def made_again(layer: keras.Layer, **changed: Any) -> keras.Layer:
    """A new layer of the options of `layer`, with other values for some of them.

    Functions among the options, such as an activation, are the very same: in a config
    stands a function's name, which nobody has registered, or another one has, too.

    Raises:
        ValueError: its config does not make it again.
    """
    if isinstance(layer, keras.layers.Lambda):  # Keras trusts no function in a config
        return type(layer)(
            layer.function,
            layer._output_shape,
            layer.mask,
            layer.arguments,
            dtype=layer.dtype_policy,
        )
    config = config_of(layer) | changed
    functions = {
        key: getattr(layer, key)
        for key in config.keys() - changed.keys()
        if isinstance(getattr(layer, key, None), FunctionType)
    }
    if functions:
        with suppress(Exception):  # its own code may take names only
            made = type(layer).from_config(config | functions)
            if all(getattr(made, key) is own for key, own in functions.items()):
                return made
    try:
        return type(layer).from_config(config)
    except Exception as error:
        raise _not_copied(layer, error) from error


def _not_copied(layer, error):
    return ValueError(
        f"layer {layer.name!r} ({type(layer).__name__}) cannot be copied, give it "
        "get_config and from_config that make it again: "
        f"{what_is_wrong(error)}"
    )


# --- rebuilding --------------------------------------------------------------------


class _Rebuilding:
    """One `rebuild`: which new operation stands for which old one."""

    def __init__(self, replace, before, after, share, flatten):
        self.replace, self.before, self.after = replace, before, after
        self.share, self.flatten = share, flatten
        self.twins = {}  # by the old operation's id
        self.copies = []  # (old layer, its copy)
        self.successors = []  # (old layer, new layer that was not built)

    def rebuilt(self, model, outputs=None, inner=False):
        graph, function = read(model, flatten=self.flatten), _function_of(model)
        for call in graph.calls:  # models inside first: they have scopes of their own
            self._find_twin(call)
        self._give_names(graph, model)
        # The variables of a Sequential have its name in their paths.
        scoped = isinstance(model, keras.Sequential) and not self.share
        with keras.name_scope(model.name) if scoped else nullcontext():
            tensors = self._run(graph)
        given = [self._input(tensor) for tensor in function.inputs]
        if outputs is None:
            ends = zip(graph.outputs, graph.output_casts, strict=True)
            new = [_cast(tensors[source], casts) for source, casts in ends]
            if (
                inner
                and self.share
                and _same(new + given, function.outputs + function.inputs)
            ):
                return model
            outputs = tree.pack_sequence_as(function._outputs_struct, new)
        else:
            outputs = tree.map_structure(lambda source: tensors[source], outputs)
        inputs = tree.pack_sequence_as(function._inputs_struct, given)
        made = keras.Model(inputs, outputs, name=model.name)
        made.dtype_policy = model.dtype_policy
        made._trainable = model.trainable  # the setter would pass it on to all layers
        return made

    def carry_weights(self):
        for old, new in self.copies:
            _copy_state(old, new)
        for old, new in self.successors:
            _take_over(old, new)

    def _find_twin(self, call):
        old = call.operation
        if id(old) in self.twins:
            return
        twin = self.replace(call)
        if twin is None:
            twin = self._kept(old)
        elif (
            isinstance(twin, keras.Layer)
            and not twin.built
            and (isinstance(old, keras.Layer))
        ):
            self.successors.append((old, twin))
        self.twins[id(old)] = twin

    def _kept(self, operation):
        if has_graph(operation):
            return self.rebuilt(operation, inner=True)
        if self.share or not isinstance(operation, keras.Layer):
            return operation
        return self._copied(operation)

    def _copied(self, layer):
        twin = made_again(layer)
        twin.name = layer.name  # a config without the name would give a new one
        self.copies.append((layer, twin))
        return twin

    def _input(self, tensor):
        """What goes into the new model in place of `tensor`."""
        layer = tensor._keras_history.operation
        if id(layer) not in self.twins:  # nothing depends on it
            self.twins[id(layer)] = self._kept(layer)
        return self.twins[id(layer)].output

    def _give_names(self, graph, model):
        """Layers that come out of models inside make way for others' names."""
        holders = {}
        for call in sorted(graph.calls, key=lambda call: len(call.models)):
            twin = self.twins[id(call.operation)]
            if twin is LEFT_OUT or holders.setdefault(twin.name, twin) is twin:
                continue
            if twin is call.operation:
                raise ValueError(
                    f"flattened, {model.name!r} would have two layers called "
                    f"{twin.name!r}: keep the models inside it, or do not share layers"
                )
            for around in reversed(call.models):
                twin.name = f"{around.name}_{twin.name}"
                if holders.setdefault(twin.name, twin) is twin:
                    break

    def _run(self, graph):
        """The new tensors, by the `Source` of the old ones."""
        tensors = {}
        for at, call in enumerate(graph.calls):
            given = []
            for i, source in enumerate(call.sources):
                tensor = call.as_input(i, tensors[source])
                inserted = self.before(call, i)
                given.append(tensor if inserted is None else inserted(tensor))
            results = self._called(call, given)
            inserted = self.after(call)
            if inserted is not None:
                results = [inserted(tensor) for tensor in results]
            tensors |= {Source(at, i): tensor for i, tensor in enumerate(results)}
        return tensors

    def _called(self, call, given):
        twin = self.twins[id(call.operation)]
        if twin is LEFT_OUT:
            if len(given) != 1 or len(call.outputs) != 1:
                raise ValueError(
                    f"{call.operation.name!r} has {len(given)} inputs and "
                    f"{len(call.outputs)} outputs: only a layer with one of each can "
                    "be left out"
                )
            return given
        if isinstance(twin, keras.layers.InputLayer):
            return [twin.output]
        if twin is call.operation and _same(given, call.inputs):
            return list(call.outputs)
        return call.again(twin, given)


def _is_tensor(value):
    return isinstance(value, keras.KerasTensor)


def _same(tensors, others):
    return len(tensors) == len(others) and all(
        a is b for a, b in zip(tensors, others, strict=True)
    )


def _cast(tensor, dtypes):
    for dtype in dtypes:
        tensor = keras.ops.cast(tensor, dtype)
    return tensor


def _copy_state(old, new):
    """Values of all variables, random generators' too, and what is frozen."""
    layers = list(zip(all_layers(old), all_layers(new), strict=False))
    variables = [(a.variables, b.variables) for a, b in layers]
    if len(all_layers(old)) != len(all_layers(new)) or any(
        [v.shape for v in a] != [v.shape for v in b] for a, b in variables
    ):
        raise ValueError(
            f"layer {old.name!r} ({type(old).__name__}) cannot be copied: made again "
            "from its config it has other weights"
        )
    for a, b in layers:
        state = {}  # a layer may keep more than variables, Normalization does
        a.save_own_variables(state)
        b.load_own_variables({key: _copy(value) for key, value in state.items()})
        if a.trainable != b.trainable:
            b.trainable = a.trainable
    for a, b in zip(old.variables, new.variables, strict=True):
        b.assign(_copy(a))


def _copy(value):
    """JAX would share one array, and delete it when one of the nets trains."""
    return keras.ops.copy(value)


def _take_over(old, new):
    values = {_name_within(old, variable): variable for variable in old.variables}
    for variable in new.variables:
        name = _name_within(new, variable)
        if name not in values:
            continue
        if values[name].shape != variable.shape:
            raise ValueError(
                f"{new.name!r} ({type(new).__name__}) cannot take over {name!r} of "
                f"{old.name!r}: it is {tuple(values[name].shape)}, not "
                f"{tuple(variable.shape)}; build the new layer and set its weights"
            )
        variable.assign(_copy(values[name]))


def _name_within(layer, variable):
    return variable.path.removeprefix(f"{layer.path}/")
