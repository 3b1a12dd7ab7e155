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
    batches = [first, (second, np.zeros(2)), {"image": first[:1], "label": [0]}]
    images = calibration_images(net(), iter(batches))
    assert images.dtype == np.float32
    assert images[:, 0, 0, 0].tolist() == [0, 0, 0, 1, 1, 0]


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([np.zeros((2, 2, 2, 3))], r"images \(2, 2, 1\), one has the shape \(2, 2, 2"),
        (np.zeros((5, 2, 2, 1)), r"an array of images is one batch: \[images\]"),
        ([{"pixels": np.zeros((5, 2, 2, 1))}], "a batch must be images or a tuple"),
        (["images"], "a batch must be images or a tuple"),
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


def test_images_of_an_open_size_and_of_two_inputs():
    open_net = keras.Sequential([keras.Input((None, None, 1)), keras.layers.ReLU()])
    assert calibration_images(open_net, [np.zeros((3, 4, 2, 1))]).shape == (3, 4, 2, 1)
    with pytest.raises(ValueError, match=r"images \(4, 2, 1\), one has the shape"):
        calibration_images(open_net, [np.zeros((3, 4, 2, 1)), np.zeros((3, 2, 2, 1))])
    inputs = [keras.Input((2, 2, 1)), keras.Input((2, 2, 1))]
    two = keras.Model(inputs, keras.layers.Add()(inputs), name="two")
    with pytest.raises(ValueError, match="one input, 'two' has 2: quantize_aware with"):
        calibration_images(two, [np.zeros((3, 2, 2, 1))])


def test_the_last_call_begins_again():
    calls = [call for [call] in samples(np.arange(5), 2)]
    assert [call.tolist() for call in calls] == [[0, 1], [2, 3], [4, 0]]
