"""Batch norms of a model, and their momentum lent to who estimates statistics."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import keras
from keras import layers

from compression.graph import all_layers


def batch_norms(model: keras.Model) -> list[layers.BatchNormalization]:
    """Those of a model, also where they are in models or trainers inside."""
    return [x for x in all_layers(model) if isinstance(x, layers.BatchNormalization)]


@contextmanager
def momentum_lent(norms: Sequence[layers.BatchNormalization]) -> Iterator[None]:
    """Their momentum may be changed: afterwards each has its own again."""
    momenta = [norm.momentum for norm in norms]
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
