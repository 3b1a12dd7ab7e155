"""A training step of a net whose weights are held by a mask, against one without."""

import itertools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import architectures
from compression.pruning import PolynomialDecay, Prune
from experiments.benchmarks import turns
from experiments.benchmarks.keras_peers import LEARNING_RATE, MOMENTUM, sgd
from experiments.benchmarks.progress import log_rounds

PLAIN, LIMBECK = "Keras, dense", "limbeck Prune"
TF_KERAS, TFMOT = "tf_keras, dense", "tfmot wrappers"
BASES = {LIMBECK: PLAIN, TFMOT: TF_KERAS}
STEPS = 20  # in a turn, with one update of the masks
HALF, FINAL = 0.5, 0.8
FOREVER = 1_000_000  # a schedule that goes on through all turns
AIM = 1.05


def run(
    rounds: int, batch: int, *, quick: bool, log: Callable[[str], None]
) -> dict[str, Any]:
    """Seconds of a step in each way, and what it costs over the dense net's."""
    steps = 2 if quick else STEPS
    model = _net()
    random = np.random.default_rng(0)
    images = random.normal(size=(batch, *model.input_shape[1:])).astype("float32")
    labels = random.integers(0, model.output_shape[-1], batch)
    log("building the nets that train")
    calls = warm_calls(images, labels, steps)
    seconds = turns.seconds_in_turns(
        calls, rounds=rounds, burst=1, on_round=log_rounds("steps", rounds, log)
    )
    rows = []
    for case, taken in seconds.items():
        taken = [s / steps for s in taken]
        row = {"case": case, "seconds": taken}
        row["images_per_second"] = turns.spread([batch / s for s in taken])._asdict()
        if case in BASES:
            dense = [s / steps for s in seconds[BASES[case]]]
            row["cost"] = turns.speed_ratio(dense, taken)._asdict()
        rows.append(row)
    return {"net": model.name, "batch": batch, "steps": steps, "results": rows}


def warm_calls(
    images: np.ndarray, labels: np.ndarray, steps: int
) -> dict[str, Callable[[], object]]:
    """Case -> a call of so many steps; each has been called once."""
    import tf_keras

    dense, masked = _net(), _net()
    masked.set_weights(dense.get_weights())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for model in (dense, masked):
        model.compile(sgd(), loss, jit_compile=False)
    old, wrapped, update = _in_tf_keras(dense, steps)
    for model in (old, wrapped):
        model.compile(
            tf_keras.optimizers.SGD(LEARNING_RATE, momentum=MOMENTUM),
            tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=False,
        )
    schedule = PolynomialDecay(
        FINAL, initial=HALF, begin=0, end=FOREVER, frequency=steps
    )
    data = tf.data.Dataset.from_tensors((images, labels)).repeat()
    calls = {
        PLAIN: _steps(dense, data, steps),
        LIMBECK: _steps(masked, data, steps, Prune(schedule)),
        TF_KERAS: _steps(old, data, steps),
        TFMOT: _steps(wrapped, data, steps, update),
    }
    for call in calls.values():
        call()
    return calls


def _steps(model, data, steps, callback=None):
    """A call of so many steps in the middle of a `fit` that never ends."""
    if callback is not None:
        callback.set_model(model)
        callback.set_params({"steps": FOREVER})
        callback.on_train_begin()
        callback.on_epoch_begin(0)
    model.make_train_function()
    batches, numbers = iter(data), itertools.count()

    def call():
        for number in itertools.islice(numbers, steps):
            if callback is not None:
                callback.on_train_batch_begin(number)
            logs = model.train_function(batches)
            if callback is not None:
                callback.on_train_batch_end(number)
        return float(logs["loss"])

    return call


def _net():
    keras.utils.set_random_seed(0)
    return architectures.build(
        "alexnet_small", input_shape=(32, 32, 3), classes=10, width=0.25
    )


def _in_tf_keras(model, steps):
    """The same net there, with and without tfmot's wrappers, and their callback."""
    import tensorflow_model_optimization as tfmot

    sparsity = tfmot.sparsity.keras
    schedule = sparsity.PolynomialDecay(
        HALF, FINAL, begin_step=0, end_step=FOREVER, frequency=steps
    )
    dense = twin(model)
    wrapped = sparsity.prune_low_magnitude(twin(model), pruning_schedule=schedule)
    return dense, wrapped, sparsity.UpdatePruningStep()


def twin(model: keras.Model):
    """A chain of stock layers, again in tf_keras, with the same weights.

    Raises:
        ValueError: a layer is not of those that are known here.
    """
    import tf_keras

    layers = tf_keras.layers
    made = {
        "Conv2D": lambda x: layers.Conv2D(
            x.filters, x.kernel_size, x.strides, x.padding, use_bias=x.use_bias
        ),
        "Dense": lambda x: layers.Dense(x.units, use_bias=x.use_bias),
        "MaxPooling2D": lambda x: layers.MaxPooling2D(
            x.pool_size, x.strides, x.padding
        ),
        "BatchNormalization": lambda x: layers.BatchNormalization(
            momentum=x.momentum, epsilon=x.epsilon
        ),
        "ZeroPadding2D": lambda x: layers.ZeroPadding2D(x.padding),
        "ReLU": lambda _: layers.ReLU(),
        "Dropout": lambda x: layers.Dropout(x.rate),
        "Flatten": lambda _: layers.Flatten(),
    }
    chain = [layers.InputLayer(model.input_shape[1:])]
    for layer in model.layers[1:]:
        kind = type(layer).__name__
        if kind not in made:
            raise ValueError(f"{model.name}: no tf_keras twin of a {kind} here")
        chain.append(made[kind](layer))
    copy = tf_keras.Sequential(chain)
    for layer, own in zip(copy.layers, model.layers[1:], strict=True):
        layer.set_weights(own.get_weights())
    return copy
