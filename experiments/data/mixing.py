"""Mixup and CutMix: train images that are parts of two, and so are their labels.

Zhang et al. (2018), https://arxiv.org/abs/1710.09412, and Yun et al. (2019),
https://arxiv.org/abs/1905.04899. As in both papers' code, one share is drawn for a
batch; an image's partner is the one before it, which is any other of the epoch's
random order.
"""

import tensorflow as tf

from experiments.data.cutout import inside

WHICH, FIRST, SECOND, ROW, COLUMN = range(5)  # what a seed is for


def mixed(
    images: tf.Tensor,
    labels: tf.Tensor,
    *,
    mixup: float | None,
    cutmix: float | None,
    seed: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """A batch whose images are mixed with their partners, by one of two ways.

    Args:
        images: (batch, h, w, channels) float32.
        labels: (batch, classes) float32 that sum to one.
        mixup: alpha of the share's Beta(alpha, alpha); None: not this way.
        cutmix: alpha of CutMix. With both, each has every other batch by chance.
        seed: (2,) integers, of this batch.

    Returns:
        Images and labels of the same shapes. CutMix's share of the label is the true
        one, of the box after it was clipped.
    """
    shape = tuple(images.shape[1:3])
    ways = []
    if mixup is not None:
        ways.append(tf.fill(shape, _share(mixup, seed)))
    if cutmix is not None:
        ways.append(1.0 - tf.cast(_box(cutmix, shape, seed), tf.float32))
    own = ways[0] if len(ways) == 1 else tf.where(_uniform(seed, WHICH) < 0.5, *ways)
    return (
        _with_partners(images, own[..., None]),
        _with_partners(labels, tf.reduce_mean(own)),
    )


def _with_partners(values, share):
    return share * values + (1.0 - share) * tf.roll(values, 1, axis=0)


def _share(alpha, seed):
    """Of Beta(alpha, alpha): a gamma draw's part of two.

    Gamma draws are too small for floats where alpha is small, their logarithms are not:
    a draw of alpha is one of alpha + 1 times u^(1 / alpha).
    """

    def logarithm(which):
        own = _fold(seed, which)
        gamma = tf.random.stateless_gamma((), own, alpha + 1.0, dtype=tf.float64)
        uniform = tf.random.stateless_uniform((), _fold(own, 0), dtype=tf.float64)
        return tf.math.log(gamma) + tf.math.log(uniform) / alpha

    return tf.cast(tf.sigmoid(logarithm(FIRST) - logarithm(SECOND)), tf.float32)


def _box(alpha, shape, seed):
    """Where the partner is seen, (h, w): sides by the root of its share, section 3."""
    root = tf.sqrt(1.0 - _share(alpha, seed))
    sides = tuple(tf.cast(root * length, tf.int32) for length in shape)
    return inside((_uniform(seed, ROW), _uniform(seed, COLUMN)), sides, shape)


def _uniform(seed, number):
    return tf.random.stateless_uniform((), _fold(seed, number))


def _fold(seed, number):
    return tf.random.experimental.stateless_fold_in(seed, number)
