"""Training that makes channels small: a step in closed form, and many of them."""

import keras
import numpy as np
import pytest
from keras import layers

from compression import measure, pruning
from compression.distillation import Distiller, SoftTargets
from compression.pruning.channels.groups import couple
from compression.pruning.channels.plan import plan_of
from tests.compression.pruning.channels.cutting import some_go
from tests.compression.small_nets import on_images, shaken

pytestmark = pytest.mark.usefixtures("eagerly")
RATE = 0.1


def net():
    return shaken(
        on_images(
            layers.Conv2D(3, 1, name="c"),
            layers.BatchNormalization(name="n"),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, name="d"),
        )
    )


def nothing_learned(model, callback, steps=1, **options):
    """A loss without a gradient: only the callback changes the weights."""
    model.compile(
        keras.optimizers.SGD(RATE), loss=lambda y, z: 0.0 * z[..., 0], **options
    )
    images = np.zeros((steps, *model.input_shape[1:]), "float32")
    labels = np.zeros(steps)
    model.fit(images, labels, batch_size=1, verbose=0, callbacks=[callback])


def values(model, *names):
    return [np.array(w) for name in names for w in model.get_layer(name).weights]


def test_slimming_by_hand():
    model = net()
    model.get_layer("n").gamma.assign([0.5, -0.04, -2.0])
    before = values(model, "c", "d")
    nothing_learned(model, pruning.SparseChannels(pruning.Slimming(0.5)))
    np.testing.assert_allclose(
        model.get_layer("n").gamma, [0.45, 0, -1.95], rtol=1e-6, atol=1e-8
    )
    for old, new in zip(before, values(model, "c", "d"), strict=True):
        np.testing.assert_array_equal(old, new)


def test_group_lasso_by_hand(traced):
    """Three units, each with a filter, a bias, a scale, a shift, two weights of d."""
    model = net()
    conv, norm, dense = (model.get_layer(name) for name in "cnd")
    kernel, bias = map(np.array, conv.weights)
    gamma, beta = np.array(norm.gamma), np.array(norm.beta)
    rows, last_bias = map(np.array, dense.weights)
    moving = np.array(norm.moving_variance)
    strength, exponent = 0.7, 2.0
    penalty = pruning.GroupLasso(strength, exponent)
    nothing_learned(model, pruning.SparseChannels(penalty), jit_compile=True)
    importance = np.array([
        (kernel[..., i] ** 2).sum()
        + bias[i] ** 2 + gamma[i] ** 2 + beta[i] ** 2 + (rows[i] ** 2).sum()
        for i in range(3)
    ])  # fmt: skip
    most, least = importance.max(), importance.min()
    power = exponent * (most - importance) / (most - least)
    factor = 1 - RATE * strength * 2**power / np.sqrt(importance)
    assert (factor > 0).all() and factor.min() < 0.9
    for weight, wanted in (
        (conv.kernel, kernel * factor),
        (conv.bias, bias * factor),
        (norm.gamma, gamma * factor),
        (norm.beta, beta * factor),
        (dense.kernel, rows * factor[:, None]),
        (dense.bias, last_bias),
    ):
        np.testing.assert_allclose(weight, wanted, rtol=1e-5)
    assert (np.array(norm.moving_variance) < moving).all()  # moves, not shrunk


def test_a_weight_between_two_units_is_shrunk_for_both():
    model = shaken(
        on_images(
            layers.Conv2D(3, 1, name="a"),
            layers.Conv2D(4, 1, name="n"),
            layers.Dense(2),
        )
    )
    kernel = np.array(model.get_layer("n").kernel)[0, 0]
    a = [np.array(w) for w in model.get_layer("a").weights]
    bias, rows = np.array(model.get_layer("n").bias), np.array(model.layers[-1].kernel)
    penalty = pruning.GroupLasso(0.1, exponent=1e-9)  # all units alike
    nothing_learned(model, pruning.SparseChannels(penalty))
    ins = np.sqrt((a[0] ** 2).sum((0, 1, 2)) + a[1] ** 2 + (kernel**2).sum(1))
    outs = np.sqrt((kernel**2).sum(0) + bias**2 + (rows**2).sum(1))
    factor = (1 - RATE * 0.1 / ins)[:, None] * (1 - RATE * 0.1 / outs)
    np.testing.assert_allclose(
        np.array(model.get_layer("n").kernel)[0, 0], kernel * factor, rtol=1e-5
    )


def test_a_unit_that_is_small_becomes_zero_and_stays():
    model = net()
    penalty = pruning.GroupLasso(1e3)
    nothing_learned(model, pruning.SparseChannels(penalty), steps=3)
    assert not any(np.array(w).any() for w in model.get_layer("c").weights)
    assert np.isfinite(np.concatenate([w.ravel() for w in model.get_weights()])).all()


def test_growing_by_hand():
    """Penalties 0, 0, 0.4, 0.4, 0.5 of five steps, for the channels that will go."""
    model = net()
    plan = pruning.ChannelPlan("net", {"c": 3}, {"c": (0, 2)})
    conv, norm, dense = (model.get_layer(name) for name in "cnd")
    kernel, gamma, rows = (np.array(w) for w in (conv.kernel, norm.gamma, dense.kernel))
    penalty = pruning.GrowingL2(plan, increase=0.4, every=2, ceiling=0.5)
    nothing_learned(model, pruning.SparseChannels(penalty), steps=5)
    factor = np.array([1, (1 - RATE * 0.4) ** 2 * (1 - RATE * 0.5), 1])
    np.testing.assert_allclose(conv.kernel, kernel * factor, rtol=1e-5)
    np.testing.assert_allclose(norm.gamma, gamma * factor, rtol=1e-5)
    np.testing.assert_array_equal(dense.kernel, rows)


def test_several_steps_in_one_execution_shrink_as_much(traced):
    model = net()
    model.get_layer("n").gamma.assign([5.0, 6.0, 7.0])
    callback = pruning.SparseChannels(pruning.Slimming(1.0))
    nothing_learned(model, callback, steps=4, steps_per_execution=2)
    np.testing.assert_allclose(model.get_layer("n").gamma, [4.6, 5.6, 6.6], rtol=1e-5)


def test_frozen_and_exempt_layers_stay():
    model = net()
    model.get_layer("c").trainable = False
    before = values(model, "c")
    nothing_learned(model, pruning.SparseChannels(pruning.GroupLasso(0.5)))
    for old, new in zip(before, values(model, "c"), strict=True):
        np.testing.assert_array_equal(old, new)
    for exempt, penalty in ((["c"], pruning.GroupLasso()), ((), pruning.Slimming())):
        bare = on_images(layers.Conv2D(3, 1, name="c"), layers.Dense(2, name="n"))
        with pytest.raises(ValueError, match="no channels that .* could shrink"):
            nothing_learned(bare, pruning.SparseChannels(penalty, exempt=exempt))


def test_of_a_distiller_the_student_is_shrunk():
    student, teacher = net(), net()
    distiller = Distiller(
        student,
        teacher=teacher,
        losses=[SoftTargets(temperature=2.0)],
        label_weight=0.0,
    )
    distiller.compile(keras.optimizers.SGD(RATE))
    before = [np.array(w) for w in teacher.weights]
    images, labels = np.zeros((2, 8, 8, 4), "float32"), np.zeros(2, int)
    callback = pruning.SparseChannels(pruning.GroupLasso(1e3))
    distiller.fit(images, labels, verbose=0, callbacks=[callback])
    assert not np.array(student.get_layer("c").kernel).any()
    for old, new in zip(before, teacher.weights, strict=True):
        np.testing.assert_array_equal(old, new)


def test_what_was_shrunk_to_nothing_can_go():
    """Trained with a growing penalty, the net loses nothing with the cut."""
    model = net()
    coupling = couple(model)
    plan = plan_of(coupling, some_go(coupling))
    generator = np.random.default_rng(0)
    x = generator.normal(size=(64, 8, 8, 4)).astype("float32")
    y = (x.mean((1, 2, 3)) > 0).astype(int)
    model.compile(
        keras.optimizers.Adam(0.1),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    penalty = pruning.GrowingL2(plan, increase=5.0, every=1, ceiling=10.0)
    model.fit(
        x, y, batch_size=32, epochs=2, verbose=0,
        callbacks=[pruning.SparseChannels(penalty)],
    )  # fmt: skip
    smaller = pruning.remove_channels(model, plan)
    assert measure.macs(smaller) < measure.macs(model)
    np.testing.assert_allclose(smaller(x), model(x), atol=1e-4)


@pytest.mark.parametrize(
    ("penalty", "options"),
    [
        (pruning.Slimming, {"strength": 0}),
        (pruning.GroupLasso, {"strength": -1}),
        (pruning.GrowingL2, {"plan": pruning.ChannelPlan("net", {}, {}), "every": 0}),
    ],
)
def test_numbers_must_be_positive(penalty, options):
    with pytest.raises(ValueError, match="must be positive, got"):
        penalty(**options)


def test_growing_l2_needs_a_plan():
    with pytest.raises(ValueError, match="plan must be what plan_channels returns"):
        pruning.GrowingL2(0.5)


@pytest.mark.parametrize(
    ("optimizer", "updates"),
    [
        (lambda: keras.optimizers.SGD(RATE, gradient_accumulation_steps=4), 2),
        (
            lambda: keras.optimizers.LossScaleOptimizer(
                keras.optimizers.SGD(RATE), initial_scale=float("inf")
            ),
            0,
        ),
    ],
)
def test_batches_without_an_update_shrink_nothing(optimizer, updates):
    model = net()
    model.get_layer("n").gamma.assign([0.5, -0.4, -2.0])
    model.compile(optimizer(), loss=lambda y, z: 0.0 * z[..., 0])
    slimming = pruning.SparseChannels(pruning.Slimming(0.5))
    images = np.zeros((8, *model.input_shape[1:]), "float32")
    model.fit(images, np.zeros(8), batch_size=1, verbose=0, callbacks=[slimming])
    less = updates * RATE * 0.5
    wanted = [0.5 - less, -0.4 + less, -2.0 + less]
    np.testing.assert_allclose(model.get_layer("n").gamma, wanted, rtol=1e-5)
