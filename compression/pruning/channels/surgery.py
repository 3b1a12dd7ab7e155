"""The smaller net: layers made again with the channels that stay, weights cut."""

import keras
import numpy as np

from compression.arguments import shown
from compression.graph import config_of, made_again, rebuild
from compression.pruning.channels.groups import Coupling, Part, couple
from compression.pruning.channels.plan import ChannelPlan, units_of


def remove_channels(model: keras.Model, plan: ChannelPlan) -> keras.Model:
    """The net without the channels that the plan does not keep.

    A plain functional model with the same inputs, outputs, layer names, dtype policies
    and frozen layers, not compiled; layers of models inside the model are its own
    layers. `model` stays as it is and shares nothing with it. With weights of a net
    that was cut by the same plan it can be made again in another process:
    `remove_channels(build(), load_plan(path)).load_weights(...)`.

    Raises:
        ValueError: the plan is for another net, or cannot be carried out; the net has
            no graph, or layers that no rule covers.
    """
    if not isinstance(plan, ChannelPlan):
        raise ValueError(
            f"plan must be what plan_channels or load_plan gives, got {shown(plan)}"
        )
    coupling = couple(model)
    return cut(model, coupling, units_of(plan, coupling))


def cut(model: keras.Model, coupling: Coupling, stays: np.ndarray) -> keras.Model:
    """The net with the units that `stays`, an array of booleans by unit, marks."""
    parts = {id(part.layer): part for part in coupling.parts.values()}
    keep = coupling.keeper(stays)

    def replace(call):
        part = parts.get(id(call.operation))
        if part is None or _is_whole(part, keep):
            return None  # a copy will do
        return _smaller(part, keep)

    return rebuild(model, replace, flatten=True)


def _is_whole(part, keep):
    seen = [part.inputs, part.flow.output, *(a.channels for a in part.flow.axes)]
    return all(len(keep(channels)) == len(channels) for channels in seen)


def _smaller(part: Part, keep) -> keras.Layer:
    layer, flow = part.layer, part.flow
    shape = (*part.input_shape[:-1], len(keep(part.inputs)))
    if flow.smaller:
        made = flow.smaller(keep)
        made.name = layer.name
        return made
    config = config_of(layer)
    changed = {key: "zeros" for key in config if _is_whole_array(config[key])}
    made = made_again(layer, **changed, **(flow.options(keep) if flow.options else {}))
    if not made.built:
        made.build(shape)
    values = {
        id(variable): keras.ops.convert_to_numpy(variable)
        for variable in layer.variables
    }
    for axis in flow.axes:
        value = values[id(axis.variable)]
        values[id(axis.variable)] = np.take(value, keep(axis.channels), axis.axis)
    for old, new in zip(layer.variables, made.variables, strict=True):
        if values[id(old)].shape != tuple(new.shape):
            raise ValueError(
                f"{part.path} ({type(layer).__name__}) cannot be cut: its "
                f"{old.name!r} would be {values[id(old)].shape}, not {new.shape}"
            )
        new.assign(values[id(old)])
    made.trainable = layer.trainable
    return made


def _is_whole_array(value):
    """Whether an option is an initializer that holds a number for each weight."""
    if not isinstance(value, dict) or value.get("class_name") != "Constant":
        return False
    return np.ndim(keras.initializers.get(value).value) > 0
