"""A dataset in grey, or in three channels, for nets that take such images alone."""

import dataclasses

import numpy as np

from experiments.data.splits import Data, Split, chunks, pixel_statistics

CHANNELS = {"grey": 1, "rgb": 3}  # how a dataset's name begins -> channels


def in_colours(data: Data, kind: str) -> Data:
    """`data` with images of one channel, or of three.

    Grey is 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), as in JPEG; three channels of a
    grey image are alike.

    Args:
        data: from `load`.
        kind: "grey" or "rgb"; it stands before the name of the data then.
    """
    channels = CHANNELS[kind]
    name = f"{kind}:{data.name}"
    if data.image_shape[-1] == channels:
        return dataclasses.replace(data, name=name)
    train, validation, test = (
        _converted(split, channels)
        for split in (data.train, data.validation, data.test)
    )
    shape = (*data.image_shape[:2], channels)
    mean, std = pixel_statistics(train, shape)
    return dataclasses.replace(
        data,
        name=name,
        image_shape=shape,
        train=train,
        validation=validation,
        test=test,
        mean=mean,
        std=std,
    )


def other_colours(name: str, channels: int) -> str:
    """The way to data of so many channels, in words that end a message; "" if none."""
    kinds = [kind for kind, count in CHANNELS.items() if count == channels]
    kind, colon, rest = name.partition(":")
    base = rest if colon and kind in CHANNELS else name
    return f": give the data as {kinds[0]}:{base}" if kinds else ""


def _converted(split: Split, channels: int) -> Split:
    import tensorflow as tf

    def converted(images):
        if channels == 3:
            return tf.repeat(images, 3, axis=-1)
        weights = tf.constant([0.299, 0.587, 0.114])
        grey = tf.reduce_sum(tf.cast(images, tf.float32) * weights, -1, keepdims=True)
        return tf.cast(tf.round(grey), tf.uint8)

    if split.in_memory:
        parts = chunks(split.images, split.images.shape[1:])
        images = np.concatenate([converted(part) for part in parts])
        return dataclasses.replace(split, images=images)
    decode = split.decode
    return dataclasses.replace(
        split, decode=lambda source: converted(decode(source)), jpeg=None
    )
