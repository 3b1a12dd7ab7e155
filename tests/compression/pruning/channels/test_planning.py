"""Budgets, limits and saliencies, against numbers worked by hand."""

import keras
import numpy as np
import pytest
from keras import layers

from compression import measure, pruning
from compression.pruning.channels.budget import Costs, Limits
from compression.pruning.channels.groups import couple
from compression.pruning.channels.saliency import saliency
from tests.compression.small_nets import on_images, shaken


def stack(*widths, norm=False):
    """1x1 convolutions; filter i of a layer has nothing but the number i + 1."""
    parts = []
    for i, width in enumerate(widths):
        parts.append(layers.Conv2D(width, 1, name=f"c{i}"))
        parts += [layers.BatchNormalization(name=f"n{i}")] if norm else []
    model = on_images(*parts, layers.GlobalAveragePooling2D(), layers.Dense(2))
    for i, width in enumerate(widths):
        kernel = model.get_layer(f"c{i}").kernel
        kernel.assign(np.ones(kernel.shape) * (np.arange(width) + 1))
    return model


def count(plan):
    return [len(kept) for kept in plan.kept.values()]


@pytest.mark.parametrize("scope", ["global", "local"])
@pytest.mark.parametrize("budget", [{"macs": 0.5}, {"parameters": 0.3}])
def test_a_budget_is_met_and_hardly_more_goes(scope, budget):
    model = shaken(stack(16, 24, 12))
    plan = pruning.plan_channels(model, scope=scope, **budget)
    [(name, left)] = budget.items()

    def size(net):
        return measure.macs(net) if name == "macs" else measure.parameters(net).count

    reached = size(pruning.remove_channels(model, plan)) / size(model)
    assert left - 0.04 < reached <= left
    if scope == "local":
        fractions = np.array(count(plan)) / [16, 24, 12]
        assert np.ptp(fractions) < 0.09


@pytest.mark.parametrize("budget", [{"macs": 0.6}, {"parameters": 0.5}])
@pytest.mark.parametrize("scope", ["global", "local"])
def test_rounding_leaves_no_room_in_the_budget(scope, budget):
    """Groups of one size tip all at once: what goes too far comes back."""
    model = shaken(stack(16, 16, 16, 16))
    plan = pruning.plan_channels(model, round_to=8, scope=scope, **budget)
    assert set(count(plan)) == {8, 16}
    [(name, left)] = budget.items()

    def share(kept):
        net = pruning.remove_channels(model, pruning.ChannelPlan("", channels, kept))
        if name == "macs":
            return measure.macs(net) / measure.macs(model)
        return measure.parameters(net).count / measure.parameters(model).count

    channels = plan.channels
    assert share(plan.kept) <= left
    for layer, kept in plan.kept.items():
        if len(kept) == 8:
            assert share({**plan.kept, layer: tuple(range(16))}) > left


def test_both_budgets_hold():
    model = shaken(stack(16, 24, 12))
    plan = pruning.plan_channels(model, macs=0.6, parameters=0.2)
    smaller = pruning.remove_channels(model, plan)
    assert measure.macs(smaller) <= 0.6 * measure.macs(model)
    wanted = 0.2 * measure.parameters(model).count
    assert 0.9 * wanted < measure.parameters(smaller).count <= wanted


def test_the_least_go_first():
    plan = pruning.plan_channels(stack(8), parameters=30 / 58)
    assert plan.kept == {"c0": (4, 5, 6, 7)}  # 8 * (4 + 1) + 8 * 2 + 2 = 58
    plan = pruning.plan_channels(stack(8), parameters=29.9 / 58)
    assert plan.kept == {"c0": (5, 6, 7)}
    assert pruning.plan_channels(stack(8), macs=1.0).kept == {"c0": tuple(range(8))}


def test_a_group_of_small_weights_is_not_emptied():
    model = stack(8, 8)
    kernel = model.get_layer("c1").kernel
    kernel.assign(kernel / 1000)
    # 64 * (4 * 4 + 4 * 3) + 3 * 2 products are left of 64 * (4 * 8 + 8 * 8) + 8 * 2.
    assert sorted(count(pruning.plan_channels(model, macs=0.3))) == [3, 4]


def test_limits():
    model = stack(32, 12)
    assert all(n % 8 == 0 or n == 12 for n in count(
        pruning.plan_channels(model, macs=0.5, round_to=8)))  # fmt: skip
    assert count(pruning.plan_channels(model, macs=0.02, floor=0.0))[1] < 3
    assert min(count(pruning.plan_channels(model, macs=0.3, min_channels=9))) >= 9
    plan = pruning.plan_channels(model, macs=0.6, exempt=["c1"])
    assert count(plan)[1] == 12 and count(plan)[0] < 32


@pytest.mark.parametrize(
    ("limits", "size", "wanted", "removed"),
    [
        (Limits(), 12, 12, 11),
        (Limits(min_channels=5), 12, 12, 7),
        (Limits(min_channels=5), 4, 4, 0),
        (Limits(floor=0.1), 20, 20, 18),
        (Limits(floor=0.1), 21, 21, 18),
        (Limits(round_to=8), 12, 11, 4),
        (Limits(round_to=8), 20, 9, 4),
        (Limits(round_to=8), 20, 3, 0),
        (Limits(round_to=8), 6, 5, 0),
        (Limits(round_to=8), 24, 16, 16),
    ],
)
def test_how_many_go_of_a_group(limits, size, wanted, removed):
    assert limits.removed(size, wanted) == removed


def test_an_unreachable_budget_says_what_can_be_reached():
    model = stack(8, 8)
    # One filter in each is left: 64 * (4 + 1) + 2 of 64 * (32 + 64) + 16 products.
    bound = (64 * 5 + 2) / (64 * 96 + 16)
    with pytest.raises(ValueError, match=rf"macs=0.01 .* macs={bound:.4f} is left"):
        pruning.plan_channels(model, macs=0.01, floor=0.0)
    plan = pruning.plan_channels(model, macs=bound + 1e-6, floor=0.0)
    assert count(plan) == [1, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "needs a budget"),
        ({"macs": 0}, r"macs is what is left, in \(0, 1\], got 0"),
        ({"parameters": 1.5}, "got 1.5"),
        ({"macs": 0.5, "scope": "wide"}, "no scope called 'wide'"),
        (
            {"macs": 0.5, "saliency": "luck"},
            "no saliency called 'luck'; choose from l1",
        ),
        ({"macs": 0.5, "round_to": 0}, "round_to must be 1 or more, got 0"),
        ({"macs": 0.5, "min_channels": 0}, "min_channels must be 1 or more, got 0"),
        ({"macs": 0.5, "floor": 2}, r"floor must be in \[0, 1\], got 2"),
        ({"macs": 0.5, "exempt": ["z*"]}, "makes channels is called 'z.'"),
        ({"macs": 0.5, "exempt": ["c*"]}, "no channels that may go"),
        ({"macs": 0.5, "saliency": "batch_norm"}, "may go and have batch norm"),
        ({"macs": 0.5, "saliency": "taylor"}, "'taylor' needs data"),
        ({"macs": 0.5, "saliency": "taylor", "data": []}, "got no batch"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        pruning.plan_channels(stack(4, 4), **options)


def test_taylor_needs_logits():
    model = stack(4)
    image = keras.Input((8, 8, 4))
    for net, message in (
        (keras.Model(image, layers.Softmax(name="p")(model(image))), "ends in a Softm"),
        (keras.Model(image, [model(image), image]), "needs one output.* has 2"),
    ):
        with pytest.raises(ValueError, match=message):
            pruning.plan_channels(net, macs=0.5, saliency="taylor", data=[1])


def scores(name, model, maker, **options):
    coupling = couple(model)
    found = saliency(name, model, coupling, **options)
    [group] = [g for g in coupling.groups if maker in g.makers]
    return found[group.units]


def test_norms_and_distances_by_hand():
    model = on_images(
        layers.Conv2D(3, 1, name="c"), layers.Conv2D(2, 1), shape=(2, 2, 2)
    )
    model.get_layer("c").kernel.assign([[[[3.0, 0, -1], [4.0, 0, 1]]]])
    norms = np.array([5, 0, 2**0.5])
    np.testing.assert_allclose(
        scores("l2", model, "c"), norms / norms.mean(), rtol=1e-6
    )
    np.testing.assert_allclose(scores("l1", model, "c"), np.array([7, 0, 2]) / 3)
    apart = np.array([5 + 5, 5 + 2**0.5, 5 + 2**0.5])  # (3, 4) to (-1, 1) is 5
    np.testing.assert_allclose(scores("fpgm", model, "c"), apart / apart.mean(), 1e-6)


def test_batch_norm_scales_are_compared_as_they_are():
    model = stack(3, 3, norm=True)
    model.get_layer("n0").gamma.assign([0.1, -3.0, 1.0])
    model.get_layer("n1").gamma.assign([0.05, 4.0, 0.2])
    np.testing.assert_allclose(scores("batch_norm", model, "c0"), [0.1, 3, 1], 1e-6)
    plan = pruning.plan_channels(model, macs=0.5, saliency="batch_norm")
    assert plan.kept == {"c0": (1, 2), "c1": (1,)}


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="its gradients")
@pytest.mark.parametrize("norm", [False, True])
def test_taylor_is_what_the_loss_changes_by(norm):
    """Of a channel scaled by 1 - e, to first order in e, by differences."""
    model = shaken(stack(3, norm=norm))
    generator = np.random.default_rng(0)
    x = generator.normal(size=(5, 8, 8, 4)).astype("float32")
    y = np.array([0, 1, 1, 0, 1])
    found = scores("taylor", model, "c0", data=[(x, y)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    layer = model.get_layer("n0" if norm else "c0")
    weights = [layer.gamma, layer.beta] if norm else [layer.kernel, layer.bias]
    for i in range(3):
        values = []
        for factor in (1.02, 0.98):
            before = [np.array(w) for w in weights]
            for w, value in zip(weights, before, strict=True):
                value = value.copy()
                value[..., i] *= factor
                w.assign(value)
            values.append(float(loss(y, model(x))))
            for w, value in zip(weights, before, strict=True):
                w.assign(value)
        change = (values[0] - values[1]) / 0.04
        np.testing.assert_allclose(found[i], change**2, rtol=0.02, atol=1e-9)


def test_random_is_a_matter_of_the_seed():
    model = stack(8)
    plans = [
        pruning.plan_channels(model, macs=0.5, saliency="random", seed=seed).kept
        for seed in (0, 0, 1)
    ]
    assert plans[0] == plans[1] != plans[2]


@keras.saving.register_keras_serializable("limbeck_tests")
class CountedScaling(layers.Layer):
    """Counts a multiplication for each number; 1x1 convolutions count as always."""

    def call(self, x):
        return x * 2.0

    def channel_sources(self, channels):
        return range(channels)

    def count_macs(self, input_shape, output_shape):
        return int(np.prod(input_shape[1:]))


def test_a_layer_that_counts_for_itself_is_counted_at_each_size():
    image, scaling = keras.Input((8, 8, 3)), CountedScaling()
    x = scaling(layers.Conv2D(6, 1, name="c")(image))
    x = scaling(layers.MaxPooling2D(4)(x))
    net = keras.Model(image, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    coupling = couple(net)
    costs = Costs(net, coupling)
    stays = np.ones(len(coupling.roots), bool)
    assert costs.macs(stays) == measure.macs(net)
    plan = pruning.plan_channels(net, macs=0.6)
    smaller = pruning.remove_channels(net, plan)
    assert measure.macs(smaller) == 3 * measure.macs(net) // 6  # 4 are two thirds
