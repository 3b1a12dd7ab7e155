"""The mean of each cluster of a tensor's numbers, inside a compiled step."""

import keras
from keras import ops


def cluster_means(values, numbers, clusters: int):
    """(clusters,) means, 0 of a cluster without members; and how many each has.

    Of equal numbers the mean is just these: what is shared already is not changed by a
    bit, however often it is averaged.

    Args:
        values: (n,) float32 or float64.
        numbers: (n,) int32, the cluster of each, 0 to `clusters` - 1.
        clusters: how many there are.
    """
    exact = keras.backend.standardize_dtype(values.dtype) == "float32"  # in float64
    if exact and keras.backend.backend() == "tensorflow":
        return _tensorflow(values, numbers, clusters)
    ones = ops.ones_like(values)
    sizes = ops.segment_sum(ones, numbers, clusters)
    largest = ops.where(sizes > 0, ops.segment_max(values, numbers, clusters), 0)
    rest = values - ops.take(largest, numbers)  # 0 where all are equal
    sums = ops.segment_sum(rest, numbers, clusters)
    return largest + sums / ops.maximum(sizes, 1), sizes


def _tensorflow(values, numbers, clusters):
    """Its `segment_sum` takes five times as long; of equal float32 sums are exact."""
    import tensorflow as tf

    def sums(weights):
        return tf.raw_ops.DenseBincount(input=numbers, size=clusters, weights=weights)

    sizes = sums(tf.constant([], tf.float64))
    means = sums(tf.cast(values, tf.float64)) / tf.maximum(sizes, 1)
    return tf.cast(means, values.dtype), sizes
