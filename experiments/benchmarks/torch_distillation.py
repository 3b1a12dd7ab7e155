"""Hinton's distillation as usually written in PyTorch: eager, the batch in place."""

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional as F

from experiments.benchmarks.distill_peers import (
    LABEL_WEIGHT,
    SOFT_WEIGHT,
    TEMPERATURE,
    Nets,
)
from experiments.benchmarks.keras_peers import LEARNING_RATE, MOMENTUM
from experiments.benchmarks.torch_peers import channels_last, twin


def distillation(
    nets: Nets, batch: tuple, device: str, *, teacher_logits: np.ndarray | None = None
) -> Callable[[], float]:
    """A call that does one step on (images, labels) and gives its loss.

    Args:
        nets: PyTorch twins of them are built, with the same weights.
        batch: images (batch, height, width, channels) and labels (batch,).
        device: where it runs.
        teacher_logits: (batch, classes), from a cache; None: the teacher runs, too.
    """
    student = twin(nets.new_student(), device).train()
    teacher = twin(nets.teacher, device).eval()
    images = channels_last(np.array(batch[0]), device)
    labels = torch.from_numpy(np.array(batch[1])).long().to(device)
    optimizer = torch.optim.SGD(student.parameters(), LEARNING_RATE, momentum=MOMENTUM)
    cached = None
    if teacher_logits is not None:
        cached = torch.from_numpy(np.array(teacher_logits)).to(device)

    def call():
        if cached is None:
            with torch.no_grad():
                of_teacher = teacher(images)
        else:
            of_teacher = cached.float()
        logits = student(images)
        loss = LABEL_WEIGHT * F.cross_entropy(logits, labels)
        loss = loss + SOFT_WEIGHT * soft_target_loss(of_teacher, logits)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return call


def soft_target_loss(
    teacher_logits: torch.Tensor, logits: torch.Tensor
) -> torch.Tensor:
    """T^2 KL(teacher || student) of the softened softmaxes, the batch's mean."""
    log_p, log_q = (
        F.log_softmax(z / TEMPERATURE, dim=-1) for z in (teacher_logits, logits)
    )
    kl = F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)
    return TEMPERATURE**2 * kl
