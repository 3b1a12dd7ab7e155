"""Nets that take no images (height, width, channels): what to put in front of them."""

from collections.abc import Sequence
from math import isqrt

import keras

from compression.data_format import takes_channels_first
from compression.graph import has_graph

RGB = 3


def require_image_input(
    what: str, takes: Sequence[int | None], model: keras.Model | None = None
) -> None:
    """Raises ValueError unless a net's input is an image; names the way out.

    Args:
        what: the net in words.
        takes: shape of its input, without the batch.
        model: the net, if it is one of Keras.
    """
    takes = tuple(takes)
    if len(takes) == 3:
        if model is not None and has_graph(model) and takes_channels_first(model):
            raise ValueError(
                f"{what} takes images {takes}, channels first, and images have them "
                'last: build it with data_format="channels_last"'
            )
        return
    way_out = ""
    if image := _image_of(takes):
        way_out = (
            f": put keras.Sequential([keras.Input({image}), "
            f"keras.layers.Reshape({takes}), net]) around it, and save that"
        )
    raise ValueError(
        f"{what} takes {takes}, no images (height, width, channels){way_out}"
    )


def _image_of(takes):
    """The image that has as many numbers; None if no square one has."""
    if None in takes or len(takes) not in (1, 2):
        return None
    if len(takes) == 2:
        return (*takes, 1)
    for channels in (1, RGB):
        side = isqrt(takes[0] // channels)
        if channels * side**2 == takes[0]:
            return side, side, channels
    return None
