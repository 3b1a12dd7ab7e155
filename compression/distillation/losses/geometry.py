"""Vectors of a batch, and what lies between them, with finite gradients everywhere."""

from keras import ops

TINY = 1e-30  # a vector without a larger number is zero: float32 ends near 1e-38
ROUNDING = 1e-6  # of a row's largest number: what varies less only rounds differently


def flat(features):
    """(batch, ...) as vectors: (batch, numbers) float32."""
    features = ops.cast(features, "float32")
    return ops.reshape(features, (ops.shape(features)[0], -1))


def unit_length(vectors):
    """`vectors` divided by their lengths, along the last axis.

    Any scale gives the same result: there is no epsilon in the length. A vector of
    zeros stays zero and gets no gradient.
    """
    vectors = ops.cast(vectors, "float32")
    largest = ops.stop_gradient(ops.max(ops.abs(vectors), axis=-1, keepdims=True))
    some = largest > TINY
    # Now the largest number is 1: squares neither overflow nor vanish.
    scaled = ops.where(some, vectors, 0.0) / ops.where(some, largest, 1.0)
    squared = ops.sum(ops.square(scaled), axis=-1, keepdims=True)
    return scaled * ops.rsqrt(ops.where(some, squared, 1.0))


def deviations(rows):
    """Each row less its mean, at unit length; zero where it varies by rounding only."""
    rows = ops.cast(rows, "float32")
    centred = rows - ops.mean(rows, axis=-1, keepdims=True)
    size, spread = (
        ops.max(ops.abs(numbers), axis=-1, keepdims=True) for numbers in (rows, centred)
    )
    return unit_length(ops.where(spread > ROUNDING * size, centred, 0.0))


def cosines(vectors):
    """(batch, batch) cosines of the angles between (batch, numbers) vectors."""
    unit = unit_length(vectors)
    return ops.matmul(unit, ops.transpose(unit))


def differences(vectors):
    """(batch, batch, numbers): vector i less vector j in row j, column i.

    Not by scalar products, which would lose the digits of near vectors.
    """
    return vectors[None, :, :] - vectors[:, None, :]


def lengths(vectors):
    """Lengths along the last axis; the gradient is zero at a zero vector."""
    squared = ops.sum(ops.square(vectors), axis=-1)
    some = squared > 0
    return ops.where(some, ops.sqrt(ops.where(some, squared, 1.0)), 0.0)


def others(size):
    """(size, size) float32: 1 where row and column differ, 0 on the diagonal."""
    return 1.0 - ops.eye(size, dtype="float32")
