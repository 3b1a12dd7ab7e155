"""Files of nets that lost channels or weights: bytes and milliseconds in LiteRT."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

import architectures
from compression import export, measure, pruning
from compression.copies import copied
from experiments.benchmarks.keras_peers import randomize_batch_norm

NETS, QUICK_NETS = ("resnet20", "resnet56", "vgg16_cifar"), ("alexnet_small",)
CHANNELS, BY_8 = "channels", "channels, by 8"
TWO_OF_FOUR, ELEMENTS = "2:4 zeros", "80 % zeros"
WHOLE = "whole"
BUDGET = 1 / 2.1  # of the MACs
PRECISIONS, THREADS = ("float32", "int8"), (1, 2)
AIM = 0.8  # of the speed-up that the MACs alone would give


def run(
    folder: Path, *, quick: bool, log: Callable[[str], None]
) -> list[dict[str, Any]]:
    """A row a net, form, precision and number of threads, against the whole net's.

    Weights are random: they change neither bytes nor milliseconds, zeros aside.
    """
    rows = []
    precisions = PRECISIONS[:1] if quick else PRECISIONS
    for name in QUICK_NETS if quick else NETS:
        whole = _net(name)
        forms = _forms(whole)
        macs = {form: measure.macs(model) for form, model in forms.items()}
        for precision in precisions:
            files = {}
            for form, model in forms.items():
                log(f"files: {name}, {form}, {precision}")
                files[form] = _written(model, folder, f"{len(rows)}-{form}", precision)
            for threads in THREADS[:1] if quick else THREADS:
                log(f"files: {name}, {precision}, {threads} threads")
                times = measure.latencies(
                    files, threads=threads, rounds=3 if quick else 60
                )
                for form, path in files.items():
                    rows.append(
                        {
                            "net": name,
                            "form": form,
                            "precision": precision,
                            "threads": threads,
                            "macs": macs[form],
                            "bytes": measure.size(path),
                            "bytes_zipped": measure.zipped_size(path),
                            "latency": times[form]._asdict(),
                            "faster": times[WHOLE].median_ms / times[form].median_ms,
                            "fewer_macs": macs[WHOLE] / macs[form],
                        }
                    )
    return rows


def _forms(whole):
    forms = {WHOLE: whole}
    for form, multiple in ((CHANNELS, 1), (BY_8, 8)):
        plan = pruning.plan_channels(whole, macs=BUDGET, round_to=multiple)
        forms[form] = pruning.remove_channels(whole, plan)
    forms[TWO_OF_FOUR] = _with_zeros(whole, 0.5, "2:4")
    forms[ELEMENTS] = _with_zeros(whole, 0.8, "element")
    return forms


def _net(name):
    keras.utils.set_random_seed(0)
    model = architectures.build(name, input_shape=(32, 32, 3), classes=10)
    randomize_batch_norm(model, np.random.default_rng(0))
    return model


def _with_zeros(model, sparsity, pattern):
    """A copy that was pruned once and never trained."""
    copy = copied(model)
    first = copy.layers[1].name  # reads 3 channels, no multiple of 4
    pruning.Prune(
        pruning.ConstantSparsity(sparsity), pattern=pattern, exempt=(first,)
    ).cut(copy, sparsity)
    return copy


def _written(model, folder, name, precision):
    calibration = None
    if precision == "int8":
        random = np.random.default_rng(1)
        shape = (32, *model.input_shape[1:])
        calibration = [random.normal(size=shape).astype("float32")]
    path = folder / f"{name.replace(' ', '_').replace(':', '_')}-{precision}.tflite"
    return export.litert(model, path, precision=precision, calibration=calibration)
