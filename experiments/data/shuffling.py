"""Orders that are a pure function of a seed, for one epoch each.

`tf.data.Dataset.shuffle` takes no seed from inside a dataset and mixes in the global
one, so a stream that starts at a later epoch could not repeat what an uninterrupted
one gives.
"""

import numpy as np
import tensorflow as tf

BLOCK = 8192  # streamed records that are mixed at a time; about three blocks wait


def fold(seed: tuple[int, int], number: tf.Tensor) -> tf.Tensor:
    """The (2,) seed of `number` within `seed`."""
    return tf.random.experimental.stateless_fold_in(
        tf.constant(seed, tf.int64), tf.cast(number, tf.int64)
    )


def epoch_order(size: int, *, seed: tf.Tensor) -> tf.Tensor:
    """(size,) int64: every index once."""
    indices = tf.range(size, dtype=tf.int64)
    return tf.random.experimental.stateless_shuffle(indices, seed=seed)


def balanced_order(labels: np.ndarray, count: int, *, seed: tf.Tensor) -> tf.Tensor:
    """(count,) int64 indices: of each class equally many, or one more, in mixed order.

    Of a class with more images than that, others in each epoch; of one with fewer, all
    equally often, or once more. Classes without images are left out.
    """
    by_seed = tf.random.experimental.stateless_fold_in
    images = epoch_order(len(labels), seed=by_seed(seed, 0))
    kinds, counts = np.unique(labels, return_counts=True)
    # Images class by class, in random order within each.
    images = tf.gather(images, tf.argsort(tf.gather(labels, images), stable=True))
    first = tf.constant(np.cumsum(counts) - counts)
    turns = tf.range(count, dtype=tf.int64)
    kind = tf.gather(epoch_order(len(kinds), seed=by_seed(seed, 1)), turns % len(kinds))
    rank = turns // len(kinds) % tf.gather(tf.constant(counts), kind)
    order = tf.gather(images, tf.gather(first, kind) + rank)
    return tf.random.experimental.stateless_shuffle(order, seed=by_seed(seed, 2))


def shuffled_stream(stream: tf.data.Dataset, *, seed: tf.Tensor) -> tf.data.Dataset:
    """Every (source, label) of `stream` once, mixed within blocks of records.

    The first block's length is random, so that each epoch cuts the blocks elsewhere.

    Returns:
        Rows {"index", "source", "label"}; index is the record's position in `stream`.
    """
    rows = stream.enumerate()
    rows = rows.map(
        lambda index, row: {"index": index, "source": row[0], "label": row[1]}
    )
    first = tf.random.stateless_uniform((), seed, 1, BLOCK + 1, tf.int64)
    blocks = rows.take(first).batch(BLOCK).concatenate(rows.skip(first).batch(BLOCK))

    def mixed(number, block):
        block_seed = tf.random.experimental.stateless_fold_in(seed, number)
        positions = tf.range(tf.shape(block["index"])[0])
        order = tf.random.experimental.stateless_shuffle(positions, seed=block_seed)
        return {name: tf.gather(column, order) for name, column in block.items()}

    return blocks.enumerate().map(mixed).prefetch(1).unbatch()
