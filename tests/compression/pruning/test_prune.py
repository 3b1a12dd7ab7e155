"""Pruning as a projection: exact sparsity through schedules, reloads and averaging.

Run on TensorFlow, and again on JAX by tests/compression/test_on_jax.py.
"""

import warnings

import keras
import numpy as np
import pytest
from keras import layers

from compression.distillation import Distiller, SoftTargets
from compression.pruning import ConstantSparsity, PolynomialDecay, Prune

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(64, 6, 6, 1)).astype("float32")
LABELS = RNG.integers(0, 3, 64)
ON_JAX = keras.backend.backend() == "jax"


def net(seed=0, **kernel):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(10, 3, name="conv", **kernel),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(20, name="fc"),
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


def fit(model, *callbacks, epochs=4, **options):
    """16 steps by default: 4 epochs of 4."""
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


def zeros(model):
    return [int((k == 0).sum()) for k in kernels(model)]


SIZES = [90, 3200, 60]  # kernels of conv, fc, logits
SCHEDULE = PolynomialDecay(0.8, begin=2, end=10, frequency=2)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_sparsity_is_exact_per_layer(jit_compile):
    model = compiled(net(), jit_compile=jit_compile)
    assert [k.size for k in kernels(model)] == SIZES
    fit(model, Prune(SCHEDULE, scope="layer"))
    assert zeros(model) == [72, 2560, 48]


def test_sparsity_is_exact_over_all_layers():
    model = compiled(net())
    fit(model, Prune(SCHEDULE, scope="global"))
    assert sum(zeros(model)) == round(0.8 * sum(SIZES))
    assert zeros(model) != [72, 2560, 48]


@pytest.mark.backends
def test_the_model_follows_the_schedule_while_it_trains():
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if ON_JAX:
                self.model.jax_state_sync()
            seen.append(sum(zeros(self.model)))

    fit(compiled(net()), Prune(SCHEDULE), Watch())
    assert seen == [round(SCHEDULE(step) * sum(SIZES)) for step in range(16)]


def test_a_model_fitted_before_is_pruned_and_then_free_again():
    model = compiled(net())
    fit(model)
    variables = len(model.optimizer.variables)
    fit(model, Prune(SCHEDULE))
    assert sum(zeros(model)) == round(0.8 * sum(SIZES))
    assert len(model.optimizer.variables) == variables
    assert all(v.constraint is None for v in model.trainable_variables)
    fit(model, epochs=1)
    assert sum(zeros(model)) == 0


@pytest.mark.skipif(ON_JAX, reason="Keras 3.15 cannot fit twice with use_ema on JAX")
@pytest.mark.parametrize("every", [None, 3])
def test_averaged_weights_are_masked(every):
    optimizer = keras.optimizers.AdamW(
        1e-2, use_ema=True, ema_overwrite_frequency=every
    )
    model = compiled(net(), optimizer)
    fit(model, Prune(SCHEDULE))
    assert sum(zeros(model)) == round(0.8 * sum(SIZES))


def test_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = compiled(net())
    finally:
        keras.config.set_dtype_policy("float32")
    fit(model, Prune(SCHEDULE))
    assert sum(zeros(model)) == round(0.8 * sum(SIZES))


@pytest.mark.backends
def test_pruning_goes_on_inside_a_distiller():
    student = net()
    distiller = Distiller(
        student, teacher=net(1), losses=[SoftTargets()], label_weight=0.1
    )
    distiller.compile(keras.optimizers.Adam(1e-2))
    history = fit(distiller, Prune(SCHEDULE, scope="layer"))
    assert zeros(student) == [72, 2560, 48]
    assert history.history["sparsity"][-1] == 0.8


@pytest.mark.skipif(ON_JAX, reason="Keras saves JAX's masks with the optimizer")
@pytest.mark.slow
def test_reload_in_mid_schedule_ends_as_if_uninterrupted(tmp_path):
    whole = compiled(net())
    fit(whole, Prune(SCHEDULE), shuffle=False)

    class Keep(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                self.model.save(tmp_path / "half.keras")

    fit(compiled(net()), Prune(SCHEDULE), Keep(), shuffle=False)
    half = keras.saving.load_model(tmp_path / "half.keras")
    assert sum(zeros(half)) == round(SCHEDULE(7) * sum(SIZES))
    fit(half, Prune(SCHEDULE), shuffle=False, initial_epoch=2)
    for a, b in zip(whole.get_weights(), half.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_saved_model_is_an_ordinary_one(tmp_path):
    model = compiled(net())
    fit(model, Prune(SCHEDULE))
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert zeros(again) == zeros(model)
    assert [type(a) for a in again.layers] == [type(a) for a in net().layers]


def test_constant_sparsity_holds_from_its_first_step():
    model = compiled(net())
    fit(model, Prune(ConstantSparsity(0.5), scope="layer"), epochs=1)
    assert zeros(model) == [45, 1600, 30]


def test_nearly_empty_layers_are_named_once():
    model = compiled(net())
    fc = model.get_layer("fc").kernel
    fc.assign(fc * 1e-6)
    optimizer_stands_still = keras.optimizers.SGD(0.0)
    compiled(model, optimizer_stands_still)
    with pytest.warns(UserWarning, match=r"of: .*fc/kernel \(\d+ of 3200\)") as caught:
        fit(model, Prune(PolynomialDecay(0.96, begin=1, end=6, frequency=1)))
    assert len([w for w in caught if "are left of" in str(w.message)]) == 1
    assert sum(zeros(model)) == round(0.96 * sum(SIZES))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # asked for: no word about it
        fit(compiled(net()), Prune(ConstantSparsity(0.995), scope="layer"))


def test_select_spares_layers():
    model = compiled(net())
    prune = Prune(SCHEDULE, select=lambda v: "logits" not in v.path)
    fit(model, prune)
    assert zeros(model)[2] == 0
    assert sum(zeros(model)) == round(0.8 * sum(SIZES[:2]))


def test_biases_and_batch_norm_are_never_pruned():
    model = compiled(net())
    fit(model, Prune(ConstantSparsity(0.9)), epochs=2)
    others = [v for v in model.trainable_variables if v.name in ("gamma", "beta")]
    assert len(others) == 2
    assert all((keras.ops.convert_to_numpy(v) != 0).all() for v in others)


def test_a_constraint_that_was_there_stays_in_force():
    limit = keras.constraints.MaxNorm(0.1)
    model = compiled(net(kernel_constraint=limit), keras.optimizers.SGD(1.0))
    fit(model, Prune(SCHEDULE, scope="layer"))
    norms = np.sqrt((kernels(model)[0] ** 2).sum(0))
    assert zeros(model)[0] == 72
    assert (norms <= 0.1 + 1e-6).all()
    assert model.layers[0].kernel.constraint is limit


@pytest.mark.slow
def test_an_interrupted_training_leaves_nothing_in_force():
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    model = compiled(net())
    with pytest.raises(KeyboardInterrupt):
        fit(model, Prune(ConstantSparsity(0.9)), Stop())
    assert sum(zeros(model)) == round(0.9 * sum(SIZES))
    variables = len(net_with_optimizer().optimizer.variables)
    fit(model, epochs=1)  # free again, though nobody compiled it
    assert sum(zeros(model)) == 0
    assert all(v.constraint is None for v in model.trainable_variables)
    assert len(model.optimizer.variables) == variables
    with pytest.raises(KeyboardInterrupt):
        fit(model, Prune(ConstantSparsity(0.9)), Stop())
    fit(model, Prune(ConstantSparsity(0.5), scope="layer"))
    assert zeros(model) == [45, 1600, 30]
    assert all(v.constraint is None for v in model.trainable_variables)
    assert "make_train_function" not in vars(model)


def net_with_optimizer():
    model = compiled(net())
    model.optimizer.build(model.trainable_variables)
    return model


class Rising(keras.callbacks.Callback):
    """A figure that is best at the first epoch, when nothing is pruned yet."""

    def on_epoch_end(self, epoch, logs=None):
        logs["figure"] = float(epoch)


LATE = PolynomialDecay(0.95, begin=4, end=8, frequency=1)  # dense in the first epoch


@pytest.mark.parametrize("at", [0, 3])
def test_restored_and_saved_nets_have_the_final_sparsity(at, tmp_path):
    best = {"monitor": "figure", "mode": "min"}
    file = tmp_path / "best.keras"
    stopping = keras.callbacks.EarlyStopping(
        patience=1, restore_best_weights=True, **best
    )
    checkpoint = keras.callbacks.ModelCheckpoint(file, save_best_only=True, **best)
    callbacks = [Rising(), stopping, checkpoint]
    callbacks.insert(at, Prune(LATE))
    model = compiled(net())
    history = fit(model, *callbacks, epochs=8).history
    assert history["sparsity"][-1] == 0.95
    assert len(history["sparsity"]) < 8  # stopped, once the schedule had ended
    assert sum(zeros(model)) == round(0.95 * sum(SIZES))
    kept = keras.saving.load_model(file)
    assert sum(zeros(kept)) == round(0.95 * sum(SIZES))


@pytest.mark.skipif(ON_JAX, reason="Keras 3.15 cannot fit twice with use_ema on JAX")
@pytest.mark.parametrize("on_epoch", [False, True])
@pytest.mark.parametrize("at", [0, 1])
def test_averages_that_are_validated_and_saved_have_the_sparsity(
    at, on_epoch, tmp_path
):
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_test_begin(self, logs=None):
            seen.append(sum(zeros(self.model)))

    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=on_epoch)
    file = tmp_path / "last.keras"
    callbacks = [swap, Watch(), keras.callbacks.ModelCheckpoint(file)]
    callbacks.insert(at, Prune(ConstantSparsity(0.75, begin=1)))
    averaging = keras.optimizers.Adam(1e-2, use_ema=True, ema_momentum=0.5)
    model = compiled(net(), averaging)
    held_out = IMAGES[:8], LABELS[:8]
    fit(model, *callbacks, epochs=2, validation_data=held_out)
    wanted = round(0.75 * sum(SIZES))
    assert seen[-1] == wanted
    assert sum(zeros(model)) == wanted
    assert sum(zeros(keras.saving.load_model(file))) == wanted


class Restore(keras.callbacks.Callback):
    """Whatever sets weights at the end of training."""

    def on_train_begin(self, logs=None):
        self.weights = self.model.get_weights()

    def on_train_end(self, logs=None):
        self.model.set_weights(self.weights)


@pytest.mark.parametrize("first", [True, False])
def test_weights_set_at_the_end_are_masked_and_named(first):
    model = compiled(net())
    prune = Prune(ConstantSparsity(0.9))
    order = [Restore(), prune] if first else [prune, Restore()]
    with pytest.warns(UserWarning, match=r"weights with 0.0% zeros .* 90.0% were aske"):
        fit(model, *order, epochs=1)
    assert sum(zeros(model)) == round(0.9 * sum(SIZES))


@pytest.mark.slow
def test_a_checkpoint_without_the_final_sparsity_is_named(tmp_path):
    checkpoint = keras.callbacks.ModelCheckpoint(
        tmp_path / "best.weights.h5",
        "loss",
        save_best_only=True,
        save_weights_only=True,
        save_freq=7,  # the only time at step 6, before the schedule ends
    )
    with pytest.warns(UserWarning, match=r"h5 holds no net with 95.0% zeros"):
        fit(compiled(net()), Prune(LATE), checkpoint, epochs=3)


def test_the_schedule_continues_with_the_epoch():
    model = compiled(net())
    with pytest.warns(UserWarning, match="training ended in mid-schedule"):
        fit(model, Prune(SCHEDULE), epochs=1)
    assert sum(zeros(model)) == round(SCHEDULE(3) * sum(SIZES))
    fit(model, Prune(SCHEDULE), epochs=3, initial_epoch=2)
    assert sum(zeros(model)) == round(0.8 * sum(SIZES))


def test_unknown_steps_are_counted_or_refused():
    def batches():
        for i in range(0, 64, 16):
            yield IMAGES[i : i + 16], LABELS[i : i + 16]

    with pytest.raises(ValueError, match="epoch 1, but the steps of an epoch are unkn"):
        compiled(net()).fit(
            batches(), epochs=2, initial_epoch=1, callbacks=[Prune(SCHEDULE)], verbose=0
        )
    slow = PolynomialDecay(0.8, begin=0, end=12, frequency=3)
    model = compiled(net())
    with pytest.warns(UserWarning, match="mid-schedule"):
        model.fit(batches(), callbacks=[Prune(slow)], verbose=0)
    assert sum(zeros(model)) == round(slow(3) * sum(SIZES))


def test_bad_settings():
    with pytest.raises(ValueError, match="no pattern called '2of4'; choose from ele"):
        Prune(SCHEDULE, pattern="2of4")
    with pytest.raises(ValueError, match="no scope called 'net'; choose from layer"):
        Prune(SCHEDULE, scope="net")
    with pytest.raises(ValueError, match=r"floor must be in \[0, 1\], .*got -1"):
        Prune(SCHEDULE, floor=-1)
    with pytest.raises(ValueError, match="no kernel to project"):
        fit(compiled(net()), Prune(SCHEDULE, select=lambda v: False))


def attention():
    inputs = keras.Input((6, 8))
    attended = keras.layers.MultiHeadAttention(2, 4, name="mha")(inputs, inputs)
    return keras.Model(inputs, keras.layers.Dense(4)(attended[:, 0]))


def test_two_of_four_inputs_of_attention_are_zero():
    model = attention()
    pruned = Prune(ConstantSparsity(0.5), pattern="2:4", floor=None)
    pruned.cut(model, 0.5)
    kernels = {v.path.split("/")[-2]: v.numpy() for v in pruned.variables}
    for name in ("query", "key", "value"):  # (inputs, heads, size of one)
        groups = kernels[name].reshape(2, 4, 8)
        assert ((groups != 0).sum(axis=1) == 2).all()
    groups = kernels["attention_output"].reshape(2, 4, 8)  # (heads, size, outputs)
    assert ((groups != 0).sum(axis=1) == 2).all()


def test_attention_has_no_windows():
    assert not Prune(ConstantSparsity(0.5), pattern="kernel").chosen(attention())
