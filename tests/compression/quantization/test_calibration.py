"""Calibration images: put together, checked, and cut into calls."""

from itertools import repeat

import keras
import numpy as np
import pytest

from compression.quantization.calibration import calibration_images, samples


def net():
    return keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten()])


def test_images_are_all_those_of_the_batches():
    first, second = np.zeros((3, 2, 2, 1)), np.ones((2, 2, 2, 1))
    images = calibration_images(net(), iter([first, (second, np.zeros(2))]))
    assert images.dtype == np.float32
    assert images[:, 0, 0, 0].tolist() == [0, 0, 0, 1, 1]


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([np.zeros((2, 2, 2, 3))], r"images \(2, 2, 1\), one has the shape \(2, 2, 2"),
        ([], "calibration holds no images"),
        ([np.zeros((0, 2, 2, 1))], "calibration holds no images"),
        ([np.zeros((3, 2, 2, 1)), np.full((1, 2, 2, 1), np.inf)], "image 3 has a pixe"),
        ([np.full((1, 2, 2, 1), np.nan)], "image 0 has a pixel that is not finite"),
        (repeat(np.zeros((500, 2, 2, 1))), r"after 100500 images .* does it ever end"),
        (repeat(np.zeros((0, 2, 2, 1))), r"after 0 images .* does it ever end"),
    ],
)
def test_images_that_do_not_fit_are_refused(batches, message):
    with pytest.raises(ValueError, match=message):
        calibration_images(net(), batches)


def test_the_last_call_begins_again():
    calls = [call for [call] in samples(np.arange(5), 2)]
    assert [call.tolist() for call in calls] == [[0, 1], [2, 3], [4, 0]]
