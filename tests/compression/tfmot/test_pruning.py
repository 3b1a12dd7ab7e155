"""Pruning by tfmot through the bridge, held against ours."""

import keras
import numpy as np
import pytest
from keras import layers

from compression.pruning import ConstantSparsity, PolynomialDecay, Prune
from compression.tfmot import prune
from compression.tfmot.packages import tfmot
from tests.compression.small_nets import shaken, small_net

pytestmark = pytest.mark.usefixtures("eagerly")
SGD = {"optimizer": "sgd", "learning_rate": 0.1}


def batches(count=6):
    generator = np.random.default_rng(0)
    images = generator.normal(size=(count, 8, 6, 6, 2)).astype("f4")
    return list(zip(images, generator.integers(0, 4, (count, 8)), strict=True))


def kernels(model):
    return [np.asarray(v) for v in model.weights if v.name == "kernel"]


def test_gives_the_masks_and_weights_of_ours():
    model, data = small_net(), batches()
    schedule = PolynomialDecay(0.75, begin=1, end=5, frequency=2)
    theirs = prune(model, data, schedule, **SGD)
    ours = keras.models.clone_model(model)
    ours.set_weights(model.get_weights())
    ours.compile(
        keras.optimizers.SGD(0.1),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    images, labels = map(np.concatenate, zip(*data, strict=True))
    ours.fit(
        images,
        labels,
        batch_size=8,
        shuffle=False,
        callbacks=[Prune(schedule, scope="layer")],
        verbose=0,
    )
    for a, b in zip(theirs.get_weights(), ours.get_weights(), strict=True):
        np.testing.assert_array_equal(a == 0, b == 0)
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert [(k == 0).mean() for k in kernels(theirs)] == pytest.approx(
        [0.75] * 2, abs=0.02
    )


@pytest.mark.filterwarnings("ignore:tfmot keeps weights that are equal")
def test_of_equal_weights_tfmot_keeps_all_where_ours_keeps_as_many_as_asked():
    model = small_net()
    for layer in model.layers:
        if layer.weights:
            layer.kernel.assign(np.round(np.array(layer.kernel) * 20) / 20)
    still = keras.optimizers.SGD(0.0, momentum=0.9)
    theirs = prune(model, batches(1), ConstantSparsity(0.6), optimizer=still)
    ours = keras.models.clone_model(model)
    ours.set_weights(model.get_weights())
    Prune(ConstantSparsity(0.6), scope="layer").cut(ours, 0.6)
    for whole, a, b in zip(*map(kernels, (model, theirs, ours)), strict=True):
        assert (b == 0).sum() == round(0.6 * whole.size)
        threshold = np.abs(whole[b != 0]).min()
        np.testing.assert_array_equal(a == 0, np.abs(whole) < threshold)
        assert (b[a == 0] == 0).all()


def test_nothing_of_the_callers_is_changed():
    model = small_net()
    before = model.get_weights()
    prune(model, batches(1), ConstantSparsity(0.5), **SGD)
    prune(model, batches(1), ConstantSparsity(0.5), **SGD)  # nor used up
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_patterns_of_dense_layers():
    model, data = small_net(), batches(1)
    options = {"exempt": "conv*", **SGD}
    halves = prune(model, data, ConstantSparsity(0.5), pattern="2:4", **options)
    conv, dense = kernels(halves)
    assert (conv != 0).all()
    assert ((dense.T.reshape(4, -1, 4) != 0).sum(axis=-1) <= 2).all()
    blocks = prune(model, data, ConstantSparsity(0.5), pattern="block(2, 2)", **options)
    zero = kernels(blocks)[1] == 0
    by_block = zero.reshape(-1, 2, 2, 2).transpose(0, 2, 1, 3).reshape(-1, 4)
    assert by_block.sum() == zero.size / 2
    assert (by_block.all(axis=1) | ~by_block.any(axis=1)).all()


def test_ties_are_told_of():
    model = keras.Sequential([keras.Input((6, 6, 2)), layers.Flatten()])
    model.add(layers.Dense(4, kernel_initializer="ones", name="same"))
    still = keras.optimizers.SGD(0.0, momentum=0.9)
    with pytest.warns(UserWarning, match="same 0 of 144"):
        prune(model, batches(1), ConstantSparsity(0.5), optimizer=still)


@pytest.mark.parametrize(
    ("schedule", "options", "message"),
    [
        (
            lambda: tfmot().sparsity.keras.ConstantSparsity(0.5, 0),
            {},
            "would never prune: .*first step that is due is 100.* has 6 steps",
        ),
        (lambda: ConstantSparsity(0.5, begin=6), {}, "prunes nothing in the 6 steps"),
        (lambda: 0.5, {}, "must be a function of the step"),
        (
            lambda: ConstantSparsity(0.5),
            {"pattern": "block(2, 2)"},
            r"blocks of dense layers alone, and 'conv2d\w*' \(Conv2D\)",
        ),
        (lambda: ConstantSparsity(0.5), {"pattern": "kernel"}, "no pattern 'kernel'"),
        (lambda: ConstantSparsity(0.5), {"path": "net.h5"}, "path must end in .tflite"),
        (lambda: ConstantSparsity(0.5), {"pooling": "sum"}, "no pooling called 'sum'"),
        (lambda: ConstantSparsity(0.5), {"epochs": -1}, "epochs must be at least 0"),
        (
            lambda: ConstantSparsity(0.5),
            {"exempt": "*"},
            "a kernel that is not exempt",
        ),
    ],
)
def test_bad_input(schedule, options, message):
    with pytest.raises(ValueError, match=message):
        prune(small_net(), batches(), schedule(), **options)


def test_a_schedule_that_does_not_end_where_it_says():
    late = tfmot().sparsity.keras.PolynomialDecay(0.0, 0.8, 0, 6, frequency=4)
    with pytest.warns(UserWarning, match="ends at a sparsity of 0.770, not 0.800"):
        prune(shaken(small_net()), batches(), late, **SGD)
