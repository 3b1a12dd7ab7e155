"""Nets with channels of zeros, and the proof that they can go."""

import math

import keras
import numpy as np

from compression.measure import layer_calls, peak_activations
from compression.pruning.channels.budget import Costs
from compression.pruning.channels.groups import couple
from compression.pruning.channels.plan import plan_of, units_of
from compression.pruning.channels.rules import READ
from compression.pruning.channels.surgery import remove_channels
from compression.weights import learned_variables


def images_for(model, number=2, seed=0):
    generator = np.random.default_rng(seed)
    return keras.tree.map_structure(
        lambda x: generator.normal(size=(number, *x.shape[1:])).astype("float32"),
        model.inputs[0] if isinstance(model, keras.Sequential) else model.input,
    )


def arrays(outputs):
    return [keras.ops.convert_to_numpy(x) for x in keras.tree.flatten(outputs)]


def some_go(coupling, fraction=0.5, *, at_the_end=False, seed=0):
    """Which units stay when some of each group go that may, but one."""
    generator = np.random.default_rng(seed)
    stays = np.ones(len(coupling.roots), bool)
    for group in coupling.groups:
        if group.kept or len(group.units) < 2:
            continue
        units = group.units if at_the_end else generator.permutation(group.units)
        stays[units[-max(1, int(fraction * len(units))) :]] = False
        stays[units[0]] = True
    return stays


def silence(coupling, stays, *, readers=False):
    """Whatever makes, shifts or scales the units that shall go becomes zero.

    `readers`: and whatever reads them, for units that something else shifts.
    """
    for _, axis in coupling.axes():
        if axis.role == READ and not readers:
            continue
        value = keras.ops.convert_to_numpy(axis.variable).copy()
        gone = np.flatnonzero(~stays[coupling.units_of(axis.channels)])
        np.moveaxis(value, axis.axis, 0)[gone] = 0
        axis.variable.assign(value)


def macs(model):
    """As `measure.macs`, also of several inputs."""
    return sum(row.macs for row in layer_calls(model))


def parameters(model):
    return sum(math.prod(variable.shape) for variable in learned_variables(model))


def assert_zeros_can_go(model, *, readers=False, **options):
    """Returns the smaller net, whose outputs are those of `model`."""
    coupling = couple(model)
    stays = some_go(coupling, **options)
    assert not stays.all()
    silence(coupling, stays, readers=readers)
    before = [w.copy() for w in model.get_weights()]
    images = images_for(model)
    expected = arrays(model(images))

    plan = plan_of(coupling, stays)
    np.testing.assert_array_equal(units_of(plan, coupling), stays)
    smaller = remove_channels(model, plan)

    for got, wanted in zip(arrays(smaller(images)), expected, strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-5 * max(1, abs(wanted).max()))
    costs = Costs(model, coupling)
    assert macs(smaller) == costs.macs(stays) < macs(model) == costs.macs(stays | True)
    assert parameters(smaller) == costs.parameters(stays)
    assert parameters(model) == costs.parameters(stays | True)
    assert peak_activations(smaller) == costs.ram(stays)
    assert peak_activations(model) == costs.ram(stays | True)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    for path, kept in plan.kept.items():
        layer = smaller.get_layer(path.split("/")[-1])
        assert getattr(layer, "filters", getattr(layer, "units", None)) == len(kept)
    return smaller
