"""The 14 operations against Pillow's own, and how they are drawn."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from experiments.data.augment import Augment, augmented, draw
from experiments.data.rand_augment import OPERATIONS, operation, rand_augmented

HEIGHT, WIDTH = 21, 17
NAMES = [change.__name__ for change in OPERATIONS]


def pictures(channels):
    """Noise, little contrast, one value, two values, and a narrow bell."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (5, HEIGHT, WIDTH, channels))
    images[1] = images[1] // 3 + 50
    images[2] = 7
    images[3] = np.where(images[3] > 128, 200, 30)
    images[4] = np.clip(rng.normal(100, 20, images[4].shape), 0, 255)
    return images.astype(np.uint8)


def by_pillow(name, image, sign, strength):
    def moved(*matrix):
        return image.transform(image.size, Image.AFFINE, matrix, Image.NEAREST)

    def enhanced(kind):
        return kind(image).enhance(1 + sign * 0.9 * strength)

    shear = sign * 0.3 * strength
    shift = [sign * round(150 / 331 * strength * side) for side in image.size]
    return {
        "identity": lambda: image,
        "autocontrast": lambda: ImageOps.autocontrast(image),
        "equalize": lambda: ImageOps.equalize(image),
        "rotate": lambda: image.rotate(sign * 30 * strength),
        "solarize": lambda: ImageOps.solarize(image, 256 - round(256 * strength)),
        "colour": lambda: enhanced(ImageEnhance.Color),
        "posterize": lambda: ImageOps.posterize(image, 8 - round(4 * strength)),
        "contrast": lambda: enhanced(ImageEnhance.Contrast),
        "brightness": lambda: enhanced(ImageEnhance.Brightness),
        "sharpness": lambda: enhanced(ImageEnhance.Sharpness),
        "shear_x": lambda: moved(1, shear, 0, 0, 1, 0),
        "shear_y": lambda: moved(1, 0, 0, shear, 1, 0),
        "translate_x": lambda: moved(1, 0, shift[0], 0, 1, 0),
        "translate_y": lambda: moved(1, 0, 0, 0, 1, shift[1]),
    }[name]()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("change", OPERATIONS, ids=NAMES)
def test_an_operation_is_pillows(change, channels):
    images = pictures(channels)
    for strength in (0.0, 0.3, 1.0):
        for up, sign in ((True, 1), (False, -1)):
            got = np.array(change(images, tf.fill((len(images),), up), strength))
            assert got.dtype == np.uint8
            for image, changed in zip(images, got, strict=True):
                pillow = Image.fromarray(image if channels == 3 else image[..., 0])
                expected = by_pillow(change.__name__, pillow, sign, strength)
                expected = np.asarray(expected).reshape(image.shape).astype(int)
                off = np.abs(changed - expected)
                if change.__name__ == "rotate":  # a pixel may lie between two
                    assert (off > 0).mean() < 0.05
                else:  # Pillow cuts the sum of two floats off
                    assert off.max() <= 1


def test_all_operations_change_something_and_more_with_the_magnitude():
    """Rotations, shears, enhancements: none is off by its range."""
    images = pictures(3)[:1]
    up = tf.constant([True])
    for change in OPERATIONS:
        little, much = (
            np.abs(np.array(change(images, up, s)).astype(int) - images).sum()
            for s in (0.1, 1.0)
        )
        if change.__name__ == "identity":
            assert little == much == 0
        elif change.__name__ in ("autocontrast", "equalize"):  # have no strength
            assert little == much
        else:
            assert much > little


def test_each_image_has_its_own_operations_whatever_its_batch():
    images, layers = pictures(3), 2
    rng = np.random.default_rng(1)
    images = images[rng.integers(0, 5, 40)]
    draws = rng.random((layers, 40), dtype=np.float32)
    together = rand_augmented(images, list(draws), 7).numpy()
    for i in range(40):
        expected = images[i : i + 1]
        for layer in range(layers):
            chosen, up = operation(draws[layer, i : i + 1])
            expected = OPERATIONS[int(chosen[0])](expected, up, 0.7)
        np.testing.assert_array_equal(together[i : i + 1], expected)


def test_operations_and_directions_are_equally_likely():
    """28 pairs, each about 100 times of 2,800."""
    names = Augment(rand_augment=(2, 9)).draws(flips=False, channels=3)
    assert names == ("operation1", "operation2")
    draws = draw(names, seed=tf.constant([3, 0], tf.int64), count=2800)
    pairs = []
    for name in names:
        chosen, up = operation(draws[name])
        pairs.append(2 * chosen.numpy() + up.numpy())
        counts = np.bincount(pairs[-1], minlength=28)
        assert len(counts) == 28 and counts.min() > 60  # 4 deviations below
    assert (pairs[0] == pairs[1]).mean() < 0.1  # independent: 1 in 28


def test_the_last_draw_below_one_is_an_operation():
    chosen, up = operation(tf.constant([0.0, 1 - 2**-23]))
    assert chosen.numpy().tolist() == [0, 13] and up.numpy().tolist() == [True, False]


def test_after_the_crop_and_before_the_colours():
    """Also where a resized window left no whole numbers."""
    images = pictures(3)
    augment = Augment(random_resized_crop=True, rand_augment=(1, 10), colour_jitter=0.5)
    crop = Augment(random_resized_crop=True)
    jitter = Augment(colour_jitter=0.5)
    names = augment.draws(flips=False, channels=3)
    draws = draw(names, seed=tf.constant([5, 0], tf.int64), count=5)

    def only(names):
        return {name: draws[name] for name in names}

    step = augmented(images, only(crop.draws(flips=False, channels=3)), crop).numpy()
    step = rand_augmented(step.round().astype(np.uint8), [draws["operation1"]], 10)
    step = augmented(step, only(jitter.draws(flips=False, channels=3)), jitter)
    np.testing.assert_array_equal(augmented(images, draws, augment), step)


@pytest.mark.parametrize(
    "value", [(0, 9), (5, 9), (2, 11), (2, -1), (1.5, 9), (2.0, 9)]
)
def test_bad_numbers(value):
    with pytest.raises(ValueError, match="1 to 4 operations and a magnitude from 0"):
        Augment(rand_augment=value)


@pytest.mark.parametrize("value", [2, (2,), (1, 2, 3)])
def test_no_pair(value):
    with pytest.raises(ValueError, match=r"as \(2, 9\), got"):
        Augment(rand_augment=value)
