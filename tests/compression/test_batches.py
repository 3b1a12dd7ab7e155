"""What a batch has for images."""

import numpy as np
import pytest

from compression.batches import floats_of, images_of

IMAGES = np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)


@pytest.mark.parametrize(
    "batch",
    [
        IMAGES,
        (IMAGES, [0, 1]),
        [IMAGES, [0, 1]],
        {"image": IMAGES, "label": [0, 1]},
        ({"image": IMAGES}, [0, 1]),
    ],
    ids=["images", "tuple", "list", "dict", "dict-and-labels"],
)
def test_images_are_found(batch):
    found = images_of(batch)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, IMAGES)
    assert floats_of(batch).dtype == np.float32
    np.testing.assert_array_equal(floats_of(batch), IMAGES)


def test_tensors_are_images():
    tf = pytest.importorskip("tensorflow")
    found = floats_of((tf.constant(IMAGES, tf.bfloat16), tf.zeros(2)))
    np.testing.assert_array_equal(found, IMAGES)


@pytest.mark.parametrize(
    "batch",
    [(), [], {}, {"img": IMAGES}, ("a", "b"), None, 3.0, ([[1.0], [1.0, 2.0]], 0)],
    ids=str,
)
def test_batches_without_images_are_refused(batch):
    with pytest.raises(ValueError, match=r"a batch must be images or a tuple .*, got "):
        images_of(batch)
