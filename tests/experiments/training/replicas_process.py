"""Trainings of one process under a strategy, and of the same nets on one device.

    python -m tests.experiments.training.replicas_process STRATEGY FOLDER CASE...

Writes FOLDER/CASE-alone.npz and FOLDER/CASE-shared.npz (of a worker, with its number):
all weights, by path. TensorFlow makes its devices once, hence a process of its own.
"""

import sys
from contextlib import nullcontext
from pathlib import Path

import keras
import numpy as np
from keras import layers

from architectures.layers import BatchNormalization
from compression import pruning, quantization
from experiments import data as datasets
from experiments.data import pipeline
from experiments.training import replicas, strategies
from experiments.training.fit import fit
from experiments.training.optimizers import LabelLoss
from experiments.training.settings import Training

BATCH = 256  # four steps an epoch
CASES = {
    "plain": {},
    "swa": {"averaging": "swa", "averaging_from": 0.0},
    "pruned": {},
    "quantized": {},
}


def net() -> keras.Model:
    keras.utils.set_random_seed(3)
    x = image = keras.Input((8, 8, 1))
    x = layers.Conv2D(6, 3, use_bias=False)(x)
    x = layers.ReLU()(BatchNormalization()(x))
    x = layers.Conv2D(8, 3, use_bias=False, name="second")(x)
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    x = layers.Dense(10)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(image, x)


def trained(case: str, strategy, checkpoint: Path) -> dict[str, np.ndarray]:
    """Its weights after an epoch, by path."""
    keras.backend.clear_session()
    model, data = net(), datasets.load("digits")
    if case == "quantized":
        model = quantization.quantize_aware(model, freeze_after=2)
    settings = Training(
        epochs=1,
        batch_size=BATCH,
        optimizer="sgd",
        schedule="constant",
        learning_rate=0.01,
        **CASES[case],
    )
    sparsity = pruning.PolynomialDecay(final=0.5, begin=0, end=3)
    with replicas.spread(model, strategy) as shared, scope(strategy):
        part = replicas.part_of(BATCH)
        fit(
            shared,
            lambda epoch: pipeline.training_batches(
                data, batch_size=BATCH, seed=1, first_epoch=epoch, part=part
            ),
            pipeline.evaluation_batches(data, "validation"),
            settings,
            loss=LabelLoss(),
            checkpoint=checkpoint,
            callbacks=[pruning.Prune(sparsity)] if case == "pruned" else [],
        )
    return {w.path: keras.ops.convert_to_numpy(w) for w in model.weights}


def scope(strategy):
    return nullcontext() if strategy is None else strategy.scope()


def main(name: str, folder: Path, cases: list[str]) -> None:
    strategy = strategies.made(name)
    worker = strategies.worker(strategy)
    for case in cases:
        for kind, how in (("alone", None), ("shared", strategy)):
            end = f"-{worker.index}" if worker.count > 1 else ""
            weights = trained(case, how, folder / f"{case}-{kind}{end}.checkpoint")
            np.savez(folder / f"{case}-{kind}{end}.npz", **weights)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
