"""Masks that come back: dynamic network surgery, and RigL."""

import keras
import numpy as np
import pytest
from keras import layers

from compression.pruning import ConstantSparsity, DynamicSurgery, PolynomialDecay, RigL
from compression.pruning.rigl import exchanged

pytestmark = pytest.mark.usefixtures("eagerly")
ON_JAX = keras.backend.backend() == "jax"
RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 4)).astype("float32")
Y = RNG.normal(size=(24, 5)).astype("float32")
RATE = 0.3


def squared(y, outputs):
    return keras.ops.sum(keras.ops.square(outputs - y), -1) / 2


def fit(callback, **options):
    """Six steps of 4 examples; the kernel, 20 weights, as it was before each and at
    the end."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(5, use_bias=False, name="fc")]
    )
    seen = [model.layers[0].kernel.numpy()]

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            callback.sync()
            seen.append(model.layers[0].kernel.numpy())

    model.compile(keras.optimizers.SGD(RATE), squared, **options)
    model.fit(
        X, Y, batch_size=4, shuffle=False, callbacks=[callback, Watch()], verbose=0
    )
    return seen


def largest(w, count):
    mask = np.zeros(w.size)
    mask[np.argsort(np.abs(w).ravel())[-count:]] = 1
    return mask.reshape(w.shape)


def check_surgery(seen):
    """Equation 6 of the paper, in numpy: the gradient is that of the masked net."""
    behind, back = seen[0], 0
    mask = np.ones(behind.shape)
    for step in range(6):
        if step % 2 == 0:
            before, mask = mask, largest(behind, 10)
            back += int((mask > before).sum())
        x, y = X[4 * step : 4 * step + 4], Y[4 * step : 4 * step + 4]
        behind = behind - RATE * x.T @ (x @ (behind * mask) - y) / 4
        np.testing.assert_allclose(seen[step + 1], behind * mask, rtol=1e-4, atol=1e-6)
    assert back > 0


@pytest.mark.skipif(ON_JAX, reason="refused on JAX")
def test_weights_learn_behind_the_mask_and_come_back():
    check_surgery(fit(DynamicSurgery(ConstantSparsity(0.5), every=2)))


@pytest.mark.skipif(ON_JAX, reason="refused on JAX")
@pytest.mark.usefixtures("traced")
def test_surgery_where_xla_compiles():
    check_surgery(fit(DynamicSurgery(ConstantSparsity(0.5), every=2), jit_compile=True))


@pytest.mark.skipif(ON_JAX, reason="refused on JAX")
def test_surgery_counts_what_is_due_while_steps_run_together():
    surgery = DynamicSurgery(
        PolynomialDecay(0.5, begin=0, end=2, frequency=1), every=100
    )
    seen = fit(surgery, steps_per_execution=3)
    assert len(seen) == 3
    x, y = X[:12], Y[:12]
    behind, mask = seen[0], np.ones(seen[0].shape)  # from before the first step
    for step in range(3):
        part = slice(4 * step, 4 * step + 4)
        error = x[part] @ (behind * mask) - y[part]
        behind = behind - RATE * x[part].T @ error / 4
    np.testing.assert_allclose(seen[1], behind, rtol=1e-4, atol=1e-6)
    assert (seen[2] == 0).sum() == 10  # the schedule rose at the second and third step


@pytest.mark.skipif(ON_JAX, reason="refused on JAX")
def test_all_steps_that_run_together_move_what_is_behind_the_mask():
    surgery = DynamicSurgery(ConstantSparsity(0.5), every=100)
    behind = fit(surgery, steps_per_execution=3)[0]
    mask = largest(behind, 10)
    for step in range(6):
        x, y = X[4 * step : 4 * step + 4], Y[4 * step : 4 * step + 4]
        behind = behind - RATE * x.T @ (x @ (behind * mask) - y) / 4
    found = surgery.kept[1].numpy()
    np.testing.assert_allclose(found, behind, rtol=1e-4, atol=1e-6)


def test_rigl_exchanges_where_steps_run_together():
    times = []

    class Counted(RigL):
        def update(self, step):
            before = keras.ops.convert_to_numpy(self.states[0])
            super().update(step)
            after = keras.ops.convert_to_numpy(self.states[0])
            times.append((step, bool((before != after).any())))

    rigl = Counted(0.5, [(X, Y)], until=6, every=2, fraction=0.9)
    fit(rigl, steps_per_execution=3)
    assert times == [(0, True), (3, True)]  # what was due at step 2


@pytest.mark.skipif(ON_JAX, reason="refused on JAX")
def test_masks_stay_from_until_on():
    seen = fit(DynamicSurgery(ConstantSparsity(0.5), every=1, until=2))
    masks = [w != 0 for w in seen[1:]]
    assert any((a != b).any() for a, b in zip(masks[:2], masks[1:3], strict=True))
    assert all((mask == masks[2]).all() for mask in masks[2:])


def test_an_exchange_by_hand():
    weight = np.array([[5.0, -0.1], [0.0, 2.0], [0.0, 0.0]])
    mask = np.array([[1.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    growth = np.array([[9.0, 0.3], [0.1, 9.0], [-0.5, 0.2]])
    found, left = exchanged(weight, mask, growth, 0.5)  # two of four
    np.testing.assert_array_equal(found, [[1, 1], [0, 1], [1, 0]])
    np.testing.assert_array_equal(left, [[5, 0], [0, 2], [0, 0]])
    found, left = exchanged(weight, mask, growth, 0.2)  # none of four
    np.testing.assert_array_equal(found, mask)
    np.testing.assert_array_equal(left, weight)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_rigl_moves_so_many_connections(jit_compile, request):
    """10 of 20 stay; at step 2 of 4 int(0.8 / 2 * 10) are exchanged, then none."""
    if jit_compile:
        request.getfixturevalue("traced")
    rigl = RigL(0.5, [(X, Y)], 4, loss=squared, fraction=0.8, every=2)
    seen = fit(rigl, jit_compile=jit_compile)
    masks = [w != 0 for w in seen]
    assert [mask.sum() for mask in masks[1:]] == [10] * 6
    assert (masks[1] == masks[2]).all()
    dropped = np.flatnonzero(largest(seen[2], 6).astype(bool) < masks[2])
    assert len(dropped) == 4
    gradient = np.abs(X.T @ (X @ seen[2] - Y)).ravel()
    kept = largest(seen[2], 6).ravel() == 1
    free = np.where(kept, -1, gradient)
    expected = kept.copy()
    expected[np.argsort(free)[-4:]] = True
    np.testing.assert_array_equal(masks[3].ravel(), expected)
    assert all((mask == masks[3]).all() for mask in masks[3:])


def test_bad_settings():
    half = ConstantSparsity(0.5)
    with pytest.raises(ValueError, match="every must be at least 1, got 0"):
        DynamicSurgery(half, every=0)
    with pytest.raises(ValueError, match="surgery goes by magnitude"):
        DynamicSurgery(half, saliency="random")
    with pytest.raises(ValueError, match=r"fraction must be in \[0, 1\], got 2"):
        RigL(0.5, [], 4, fraction=2)
    with pytest.raises(ValueError, match="every and until start at 1, got 0 and 4"):
        RigL(0.5, [], 4, every=0)
    with pytest.raises(ValueError, match="RigL moves single weights"):
        RigL(0.5, [], 4, pattern="2:4")


class Best(keras.callbacks.Callback):
    """Sets the weights of an early step at the end, as early stopping does."""

    def on_train_batch_end(self, batch, logs=None):
        self.last = self.model.layers[0].kernel.numpy()
        if batch == 2:
            self.kernel = self.last

    def on_train_end(self, logs=None):
        self.model.set_weights([self.kernel])


@pytest.mark.filterwarnings("error:a callback set weights")
@pytest.mark.skipif(ON_JAX, reason="surgery is refused on JAX")
@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize(
    "make",
    [
        lambda: RigL(0.5, [(X, Y)], 9, loss=squared, every=1),
        lambda: DynamicSurgery(ConstantSparsity(0.5), every=1),
    ],
)
def test_restored_weights_keep_the_mask_that_they_had(make, at):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(5, use_bias=False)])
    model.compile(keras.optimizers.SGD(RATE), squared)
    callbacks = [best := Best()]
    callbacks.insert(at, make())
    model.fit(X, Y, batch_size=4, shuffle=False, callbacks=callbacks, verbose=0)
    found = model.layers[0].kernel.numpy()
    assert ((best.last == 0) != (found == 0)).any()  # masks have moved since
    np.testing.assert_array_equal(found, best.kernel)
    assert np.count_nonzero(found) == 10


@pytest.mark.skipif(ON_JAX, reason="surgery does not train on JAX")
def test_steps_that_loss_scaling_skips_move_nothing():
    """A mask that is due right after one is made of the weights as they are."""
    surgery = DynamicSurgery(ConstantSparsity(0.5), every=1)
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(5, use_bias=False)])
    before = model.layers[0].kernel.numpy()
    overflowing = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(RATE), initial_scale=float("inf")
    )
    model.compile(overflowing, squared)
    model.fit(X, Y, batch_size=4, callbacks=[surgery], verbose=0)
    kept = before * largest(before, 10)
    np.testing.assert_array_equal(model.layers[0].kernel, kept)
