"""The cases of `limbeck bench distill`: their names, and a training step of each."""

from collections.abc import Callable

import keras
import tensorflow as tf

from compression.distillation.teacher import TEACHER_LOGITS
from experiments.benchmarks import distill_peers, keras_peers
from experiments.benchmarks.distill_data import Streams
from experiments.benchmarks.distill_peers import Nets

ALONE, TEACHER = "student alone", "teacher's forward pass"
LIMBECK, LIMBECK_CACHED = "limbeck", "limbeck, cached"
# `Distiller(teacher_dtype=...)`: "float32" and "bfloat16".
LIMBECK_FUSED, LIMBECK_HALF = "limbeck, fused", "limbeck, fused, bfloat16"
KERAS, KERAS_HINTS = "keras.distillation", "keras.distillation, hints"
HINTS, HINTS_CACHED = "limbeck, hints", "limbeck, hints, cached"
TORCH, TORCH_CACHED = "PyTorch", "PyTorch, cached"
WITH_HINTS = (HINTS, HINTS_CACHED, KERAS_HINTS)
CACHED = (LIMBECK_CACHED, HINTS_CACHED, TORCH_CACHED)


def keras_models(
    nets: Nets, streams: Streams
) -> dict[str, tuple[Callable[[], keras.Model], tf.data.Dataset]]:
    """case -> function that makes the compiled model, and its batches."""
    limbeck, keras_distiller = distill_peers.limbeck, distill_peers.keras_distiller
    return {
        ALONE: (lambda: distill_peers.alone(nets), streams.alone),
        LIMBECK_CACHED: (lambda: limbeck(nets), streams.with_logits),
        LIMBECK: (lambda: limbeck(nets), streams.with_index),
        LIMBECK_FUSED: (
            lambda: limbeck(nets, teacher_dtype="float32"),
            streams.with_index,
        ),
        LIMBECK_HALF: (
            lambda: limbeck(nets, teacher_dtype="bfloat16"),
            streams.with_index,
        ),
        KERAS: (lambda: keras_distiller(nets), streams.alone),
        HINTS_CACHED: (lambda: limbeck(nets, hints=True), streams.with_features),
        HINTS: (lambda: limbeck(nets, hints=True), streams.with_index),
        KERAS_HINTS: (lambda: keras_distiller(nets, hints=True), streams.alone),
    }


def torch_calls(
    nets: Nets, streams: Streams, device: str
) -> dict[str, Callable[[], float]]:
    """case -> call that does one step on `device` and gives its loss."""
    from experiments.benchmarks.torch_distillation import distillation

    inputs, labels = next(iter(streams.with_logits))
    batch, cached = (inputs["image"], labels), inputs[TEACHER_LOGITS]
    return {
        TORCH_CACHED: distillation(nets, batch, device, teacher_logits=cached),
        TORCH: distillation(nets, batch, device),
    }


def warm_calls(
    nets: Nets, streams: Streams, device: str | None
) -> dict[str, Callable[[], object]]:
    """case -> call that does one step and has done one; compared cases are neighbours.

    Args:
        nets: the teacher and what every student starts with.
        streams: the batches.
        device: where PyTorch runs; None leaves it out.
    """
    calls = {}
    for case, (make, batches) in keras_models(nets, streams).items():
        calls[case] = keras_peers.stepping(make(), batches)
        if case == LIMBECK_CACHED:
            images, _ = next(iter(streams.alone))
            calls[TEACHER] = keras_peers.inference(nets.teacher, images)
    if device:
        calls |= torch_calls(nets, streams, device)
    for call in calls.values():
        call()
    return calls
