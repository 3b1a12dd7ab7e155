"""Weights that share values while a net trains: through reloads, masks, averaging.

Run on TensorFlow, and again on JAX by tests/compression/test_on_jax.py.
"""

import warnings

import keras
import numpy as np
import pytest
from keras import layers

from compression.distillation import Distiller, SoftTargets
from compression.pruning import ConstantSparsity, KeepZeros, PolynomialDecay, Prune
from compression.quantization import Cluster, share_weights

pytestmark = pytest.mark.usefixtures("eagerly")
RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(64, 6, 6, 1)).astype("float32")
LABELS = RNG.integers(0, 3, 64)
ON_JAX = keras.backend.backend() == "jax"


def net(seed=0, **kernel):
    """Kernels of 90, 1600 and 30 weights."""
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(10, 3, name="conv", **kernel),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(10, name="fc"),
            layers.Dense(3, name="logits"),
        ]
    )


def compiled(model, optimizer=None, **options):
    model.compile(
        optimizer or keras.optimizers.SGD(0.05, momentum=0.9),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **options,
    )
    return model


def fit(model, *callbacks, epochs=2, **options):
    """8 steps by default: 2 epochs of 4."""
    return model.fit(
        IMAGES,
        LABELS,
        batch_size=16,
        epochs=epochs,
        verbose=0,
        callbacks=list(callbacks),
        **options,
    )


def kernels(model):
    return [
        keras.ops.convert_to_numpy(v)
        for v in model.trainable_variables
        if v.name == "kernel"
    ]


def counts(model):
    return [len(np.unique(k)) for k in kernels(model)]


def parts(kernel):
    """Which weights share: the number of the value of each, in order of appearance."""
    _, first, inverse = np.unique(kernel, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].reshape(kernel.shape)


@pytest.mark.parametrize(
    ("jit_compile", "scope"),
    [(False, "layer"), pytest.param(True, "channel", marks=pytest.mark.backends)],
)
def test_values_are_few_and_learn(traced, jit_compile, scope):
    model = compiled(net(), jit_compile=jit_compile)
    begun = kernels(share_weights(model, 4, scope=scope))
    history = fit(model, Cluster(4, scope=scope), shuffle=False).history
    assert counts(model) == ([4] * 3 if scope == "layer" else [40, 40, 12])
    for before, after in zip(begun, kernels(model), strict=True):
        assert (before != after).all()
        np.testing.assert_array_equal(parts(before), parts(after))
    assert history["code_bits"][0] == history["code_bits"][1] < 2
    assert all(v.constraint is None for v in model.trainable_variables)


@pytest.mark.backends
@pytest.mark.parametrize("scope", ["layer", "channel", "global"])
def test_a_centroid_moves_by_its_members_mean_gradient(scope):
    """A linear net, squared error: the gradient of W is X'(XW - Y) 2 / (n units)."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(8, 5)), rng.normal(size=(8, 4))
    keras.utils.set_random_seed(0)
    dense = layers.Dense(4, use_bias=False)
    model = keras.Sequential([keras.Input((5,)), dense])
    model.compile(keras.optimizers.SGD(0.5), "mse", jit_compile=False)
    [weights] = share_weights(model, 3, scope=scope).get_weights()
    gradient = x.T @ (x @ weights - y) * 2 / y.size
    expected = weights.copy()
    for at in [slice(i, i + 1) for i in range(4)] if scope == "channel" else [...]:
        columns = (slice(None), at) if scope == "channel" else ...
        for value in np.unique(weights[columns]):
            members = weights[columns] == value
            expected[columns][members] -= 0.5 * gradient[columns][members].mean()
    model.fit(x, y, batch_size=8, callbacks=[Cluster(3, scope=scope)], verbose=0)
    [found] = model.get_weights()
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_array_equal(parts(found), parts(weights))


def test_global_centroids_move_by_the_gradients_of_all_kernels():
    """Both kernels get the mean of what each would do with values of its own."""
    model = compiled(net(), keras.optimizers.SGD(0.1))
    together = share_weights(model, 6, scope="global")
    free = compiled(keras.models.clone_model(together), keras.optimizers.SGD(0.1))
    free.set_weights(together.get_weights())
    fit(free, epochs=1, steps_per_epoch=1, shuffle=False)
    fit(model, Cluster(6, scope="global"), epochs=1, steps_per_epoch=1, shuffle=False)

    def joined(net):
        return np.concatenate([k.ravel() for k in kernels(net)])

    before, moved, found = joined(together), joined(free), joined(model)
    assert len(np.unique(found)) == 6
    for value in np.unique(before):
        mean = moved[before == value].astype(float).mean()
        np.testing.assert_allclose(found[before == value], mean, rtol=1e-5)


def test_clustering_begins_at_its_step():
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if ON_JAX:
                self.model.jax_state_sync()
            seen.append(counts(self.model)[1])

    history = fit(compiled(net()), Cluster(5, begin=6), Watch()).history
    assert min(seen[:6]) > 1500 and seen[6:] == [5, 5]
    assert history["code_bits"][0] == 32 and history["code_bits"][1] < 3
    with pytest.warns(UserWarning, match="training ended before step 9, at which"):
        fit(compiled(net()), Cluster(5, begin=9))


SPARSE = PolynomialDecay(0.8, begin=0, end=5, frequency=1)


@pytest.mark.backends
@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.slow
def test_masks_and_shared_values_in_any_order(scope):
    """Clustering begins in mid-schedule; weights that go later leave their cluster."""

    def trained(first):
        prune, cluster = Prune(SPARSE, scope="layer"), Cluster(4, begin=3, scope=scope)
        model = compiled(net())
        order = [prune, cluster] if first else [cluster, prune]
        fit(model, *order, shuffle=False)
        return kernels(model)

    found = trained(first=True)
    assert [int((k == 0).sum()) for k in found] == [72, 1280, 24]
    assert all(len(np.unique(k)) <= 5 for k in found)
    if scope == "global":
        assert len(np.unique(np.concatenate([k.ravel() for k in found]))) <= 5
    for ours, other in zip(found, trained(first=False), strict=True):
        np.testing.assert_allclose(ours, other, rtol=2e-5)


def test_a_pruned_net_keeps_its_zeros_and_counts_them():
    model = compiled(net())
    fit(model, Prune(ConstantSparsity(0.5), scope="layer"), epochs=1)
    masks = [k == 0 for k in kernels(model)]
    fit(model, Cluster(4, begin=3))
    for mask, kernel in zip(masks, kernels(model), strict=True):
        np.testing.assert_array_equal(kernel == 0, mask)
    assert counts(model) == [4, 4, 4]
    fit(model, Cluster(4, preserve_zeros=False))  # has four values already
    assert counts(model) == [4, 4, 4]
    assert not any((k == 0).any() for k in kernels(model))


@pytest.mark.parametrize("mask", [Prune(ConstantSparsity(0.5)), KeepZeros()])
def test_zeros_that_are_held_are_not_filled(mask):
    model = compiled(net())
    for order in ([mask, Cluster(4, preserve_zeros=False)],):
        for callbacks in (order, order[::-1]):
            with pytest.raises(
                ValueError, match="holds zeros, and Cluster.preserve_ze"
            ):
                fit(model, *callbacks)
    fit(model, epochs=1)
    assert counts(model)[1] > 1500


@pytest.mark.skipif(ON_JAX, reason="Keras 3.15 cannot fit twice with use_ema on JAX")
@pytest.mark.parametrize("first", [pytest.param(True, marks=pytest.mark.slow), False])
def test_averaged_weights_are_shared(first):
    model = compiled(net(), keras.optimizers.AdamW(1e-2, use_ema=True))
    prune, cluster = Prune(SPARSE, scope="layer"), Cluster(4, begin=3)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "a callback set|.* holds no net")
        fit(model, *([prune, cluster] if first else [cluster, prune]))
    assert [int((k == 0).sum()) for k in kernels(model)] == [72, 1280, 24]
    assert all(each <= 5 for each in counts(model))


@pytest.mark.parametrize(
    ("policy", "reassign"),
    [
        ("mixed_float16", False),
        pytest.param("float16", False, marks=pytest.mark.slow),
        ("mixed_float16", True),
        ("float16", True),
    ],
)
def test_other_precisions(policy, reassign):
    keras.config.set_dtype_policy(policy)
    try:
        model = compiled(net(), keras.optimizers.SGD(0.01))
    finally:
        keras.config.set_dtype_policy("float32")
    fit(model, Cluster(16, reassign=reassign))
    assert all(2 < each <= 16 for each in counts(model))


@pytest.mark.parametrize(
    "reassign", [False, pytest.param(True, marks=pytest.mark.backends)]
)
def test_sharing_inside_a_distiller(reassign):
    student = net()
    distiller = Distiller(
        student, teacher=net(1), losses=[SoftTargets()], label_weight=0.1
    )
    distiller.compile(keras.optimizers.Adam(1e-2))
    fit(distiller, Cluster(4, exempt=("last",), reassign=reassign))
    assert counts(student) == [4, 4, 30]


@pytest.mark.skipif(ON_JAX, reason="Keras saves JAX's states with the optimizer")
@pytest.mark.parametrize(("begin", "scope"), [(8, "layer"), (2, "global")])
def test_reload_in_mid_training_ends_as_if_uninterrupted(begin, scope, tmp_path):
    def sharing():
        return Cluster(6, begin=begin, scope=scope)

    class Keep(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                self.model.save(tmp_path / "half.keras")

    whole = compiled(net())
    fit(whole, sharing(), Keep(), shuffle=False, epochs=3)
    half = keras.saving.load_model(tmp_path / "half.keras")
    assert (counts(half)[1] <= 6) == (begin == 2)
    fit(half, sharing(), shuffle=False, initial_epoch=2, epochs=3)
    for a, b in zip(whole.get_weights(), half.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_constraint_that_was_there_stays_in_force():
    limit = keras.constraints.MaxNorm(0.1)
    model = compiled(net(kernel_constraint=limit), keras.optimizers.SGD(1.0))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "a callback set")
        fit(model, Cluster(4))
    assert counts(model)[0] <= 4
    assert model.layers[0].kernel.constraint is limit


def test_an_interrupted_training_leaves_nothing_in_force():
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    model = compiled(net())
    with pytest.raises(KeyboardInterrupt):
        fit(model, Cluster(4), Stop())
    assert counts(model) == [4, 4, 4]
    fit(model, epochs=1)
    assert min(counts(model)) > 20
    assert all(v.constraint is None for v in model.trainable_variables)
    assert "make_train_function" not in vars(model)


class Rising(keras.callbacks.Callback):
    """A figure that is best at the first epoch, when nothing is shared yet."""

    def on_epoch_end(self, epoch, logs=None):
        logs["figure"] = float(epoch)


@pytest.mark.parametrize("at", [0, pytest.param(3, marks=pytest.mark.slow)])
def test_restored_and_saved_nets_share_their_weights(at, tmp_path):
    best = {"monitor": "figure", "mode": "min"}
    file = tmp_path / "best.keras"
    stopping = keras.callbacks.EarlyStopping(
        patience=1, restore_best_weights=True, **best
    )
    checkpoint = keras.callbacks.ModelCheckpoint(file, save_best_only=True, **best)
    callbacks = [Rising(), stopping, checkpoint]
    callbacks.insert(at, Cluster(4, begin=6))
    model = compiled(net())
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "a callback set|.* holds no net")
        fit(model, *callbacks, epochs=6)
    assert counts(model) == [4, 4, 4]
    assert counts(keras.saving.load_model(file)) == [4, 4, 4]


class Restore(keras.callbacks.Callback):
    """Whatever sets weights at the end of training."""

    def on_train_begin(self, logs=None):
        self.weights = self.model.get_weights()

    def on_train_end(self, logs=None):
        self.model.set_weights(self.weights)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.slow
def test_weights_set_at_the_end_share_again_and_are_named(first):
    model = compiled(net())
    cluster = Cluster(4)
    order = [Restore(), cluster] if first else [cluster, Restore()]
    with pytest.warns(UserWarning, match="a callback set weights that do not share"):
        fit(model, *order, epochs=1)
    assert counts(model) == [4, 4, 4]


@pytest.mark.slow
def test_code_bits_are_the_entropy_of_the_codes():
    model = compiled(net(), keras.optimizers.SGD(0.0))
    cluster = Cluster(4, rate=0.5, scope="channel", exempt=("conv", "last"))
    fit(model, cluster, epochs=1)
    [kernel] = [k for k in kernels(model) if k.size == 1600]
    bits = []
    for channel in kernel.T:
        share = np.unique(channel, return_counts=True)[1] / len(channel)
        bits.append(-(share * np.log2(share)).sum())
    assert cluster.code_bits() == pytest.approx(np.mean(bits), rel=1e-9)
    plain = Cluster(4, scope="channel", exempt=("conv", "last"))
    fit(compiled(net(), keras.optimizers.SGD(0.0)), plain, epochs=1)
    assert cluster.code_bits() < plain.code_bits() - 0.1


def test_what_is_refused():
    model = net()
    model.get_layer("fc").trainable = False
    compiled(model)
    with pytest.raises(ValueError, match=r"targets\['fc'\]: .*fc is frozen and would "):
        fit(model, Cluster(4, targets={"fc": 8}))
    with pytest.raises(ValueError, match=r"no kernel to project \(selected\)"):
        fit(model, Cluster(4, exempt="*"))
    with pytest.raises(ValueError, match="begin must not be negative, got -1"):
        Cluster(4, begin=-1)
    with pytest.raises(ValueError, match="clusters must be 2 to 256, got 1"):
        Cluster(1)
    fit(model, Cluster(4))
    assert counts(model) == [4, 4]
