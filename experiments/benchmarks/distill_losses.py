"""Whether all cases of `limbeck bench distill` compute the same loss, as NumPy does."""

from dataclasses import replace
from typing import NamedTuple

import keras
import numpy as np

from compression.distillation import tap
from compression.distillation.losses.pooling import average_to
from experiments.benchmarks import distill_cases
from experiments.benchmarks.distill_cases import (
    ALONE,
    CACHED,
    LIMBECK_HALF,
    WITH_HINTS,
)
from experiments.benchmarks.distill_data import Streams
from experiments.benchmarks.distill_peers import (
    HINT_WEIGHT,
    LABEL_WEIGHT,
    SOFT_WEIGHT,
    STAGE,
    TEMPERATURE,
    Nets,
)

# Largest difference of the first loss from NumPy's, as a share of it. A cache rounds
# the teacher's outputs to float16, bfloat16 every tensor to 8 bits.
SAME, ROUNDED = 1e-4, {**dict.fromkeys(CACHED, 1e-3), LIMBECK_HALF: 1e-2}


def differences(nets: Nets, streams: Streams, device: str | None) -> dict[str, float]:
    """case -> how far its first loss is from NumPy's, as a share of it.

    Without dropout, whose masks nobody can share.

    Args:
        nets: the teacher and what every student starts with.
        streams: the batches.
        device: where PyTorch runs; None leaves it out.

    Raises:
        RuntimeError: a case is further off than is allowed.
    """
    nets = replace(nets, dropout=0.0)
    images, labels = next(iter(streams.alone))
    expected = expected_losses(nets, images, labels)
    first = {
        case: first_loss(make(), next(iter(batches)))
        for case, (make, batches) in distill_cases.keras_models(nets, streams).items()
    }
    if device:
        calls = distill_cases.torch_calls(nets, streams, device)
        first |= {case: call() for case, call in calls.items()}
    found = {}
    for case, loss in first.items():
        wanted = expected.soft
        if case == ALONE:
            wanted = expected.label
        elif case in WITH_HINTS:
            wanted = expected.hints
        allowed = ROUNDED.get(case, SAME)
        found[case] = abs(loss - wanted) / wanted
        if not found[case] <= allowed:
            raise RuntimeError(
                f"{case} does not compute the same loss: {loss:.6f} instead of "
                f"{wanted:.6f}, off by {found[case]:.1e}, at most {allowed:.0e} "
                "is allowed"
            )
    return found


def first_loss(model: keras.Model, batch: tuple) -> float:
    """The loss of a training step on a batch, run eagerly; the model is changed."""
    model.run_eagerly = True
    return float(model.train_on_batch(*batch, return_dict=True)["loss"])


class Losses(NamedTuple):
    """The total loss of the labels alone, with soft targets, and with hints as well."""

    label: float
    soft: float
    hints: float


def expected_losses(nets: Nets, images, labels) -> Losses:
    """What a first step's losses must be, in NumPy.

    Args:
        nets: their students without dropout.
        images: (batch, height, width, channels).
        labels: (batch,).
    """
    logits, own = _logits_and_stage(nets.new_student(), images, training=True)
    teacher_logits, feature = _logits_and_stage(nets.teacher, images, training=False)
    log_q = _log_softmax(logits)
    label = -log_q[np.arange(len(logits)), np.asarray(labels)].mean()
    log_p, log_q = (_log_softmax(z / TEMPERATURE) for z in (teacher_logits, logits))
    soft = TEMPERATURE**2 * (np.exp(log_p) * (log_p - log_q)).sum(-1).mean()
    pooled = _float64(average_to(feature, own.shape[1:3]))
    hint = np.square(own @ nets.projection[0, 0] - pooled).mean()
    total = LABEL_WEIGHT * label + SOFT_WEIGHT * soft
    return Losses(label, total, total + HINT_WEIGHT * hint)


def _logits_and_stage(net, images, *, training):
    inside = keras.Model(net.input, [net.output, tap(net, STAGE)])
    return map(_float64, inside(images, training=training))


def _float64(tensor):
    return np.asarray(tensor, "float64")


def _log_softmax(z):
    z = z - z.max(-1, keepdims=True)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))
