"""Weights move to the next cluster where its mean is nearer, inside a compiled step."""

from keras import ops


def reassigned(values, codes, firsts, means, sizes):
    """Codes after a step of Lloyd's k-means; a weight moves by one cluster at most.

    An empty cluster takes what lies above the mean of the one below it, so that none
    is lost. Where there are zeros that stay, they take the place of the highest one.

    Args:
        values: (n,) the weights, near to what they were when they got their codes.
        codes: (n,) int32, the cluster of each, 0 of a zero that stays; the means of the
            others rise with the code.
        firsts: (n,) int32, where the group of each begins in the flat table of means;
            or 0.
        means: (groups, clusters + 1), whatever stands at code 0.
        sizes: of the same shape, members of each cluster.
    """
    there = sizes[:, 1:] > 0
    rising = ops.sort(ops.where(there, means[:, 1:], float("inf")), axis=1)
    rank = ops.cumsum(ops.cast(there, "int32"), axis=1) - 1
    # An empty cluster has the mean of the one below it; the lowest ones, of that above.
    rising = ops.take_along_axis(rising, ops.maximum(rank, 0), axis=1)
    edges = (rising[:, 1:] + rising[:, :-1]) / 2
    # Of code k, edge k - 1 is below and edge k above; nothing is beyond the outer ones.
    ends = ops.full_like(rising[:, :1], float("inf"))
    edges = ops.concatenate([-ends, -ends, edges, ends], axis=1)
    most = sizes.shape[1] - 1 - ops.cast(sizes[:, 0] > 0, "int32")
    number = codes + firsts
    above = ops.take(ops.reshape(edges[:, 1:], (-1,)), number)
    below = ops.take(ops.reshape(edges[:, :-1], (-1,)), number)
    moved = (
        codes + ops.cast(values > above, "int32") - ops.cast(values < below, "int32")
    )
    moved = ops.minimum(moved, ops.take(most, firsts // sizes.shape[1]))
    return ops.where(codes > 0, moved, 0)
