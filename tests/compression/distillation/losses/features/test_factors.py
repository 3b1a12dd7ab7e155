"""Factor transfer: the distance by hand, the loss against loops, who learns what."""

import numpy as np
import pytest
from keras import ops

from compression.distillation import FactorTransfer
from compression.distillation.losses.features.factors import factor_loss
from tests.compression.distillation.losses.features.feature_losses import (
    build,
    copied,
    gradients,
    maps,
    value,
)
from tests.compression.distillation.losses.features.plain_layers import convolution


def of(*pair):
    return ops.convert_to_numpy(factor_loss(*map(np.asarray, pair)))


def pictures():
    teacher, student = maps((4, 3, 6)), maps((4, 3, 2), seed=1)
    return build(FactorTransfer("a", "a"), teacher, student), teacher, student


def test_by_hand():
    # (3, 4) and (4, 3) at unit length: (0.6, 0.8) and (0.8, 0.6).
    np.testing.assert_allclose(of([[3.0, 4.0]], [[4.0, 3.0]]), [0.2], rtol=1e-6)


def test_lengths_do_not_count():
    teacher, student = maps((3, 3, 2), (3, 3, 2))
    np.testing.assert_allclose(
        of(7 * teacher, 0.1 * student), of(teacher, student), rtol=1e-5
    )
    np.testing.assert_allclose(of(teacher, 5 * teacher), 0, atol=1e-7)


def test_float16():
    features = np.full((1, 2, 2, 1), 200, "float16")  # 1/2 everywhere
    np.testing.assert_allclose(of(features, -features), [1.0], rtol=1e-6)


def test_zeros_are_no_trouble():
    assert of(np.zeros((1, 4), "float32"), np.ones((1, 4), "float32")) == [0.5]
    loss, teacher, student = pictures()
    for weight in loss.trainable_weights:  # without biases zeros stay zeros
        weight.assign(0 * weight if weight.name == "bias" else weight)
    found = gradients(loss, teacher, [0 * f for f in student], training=True)
    assert all(abs(g).max() < 100 for side in found for g in side)


def test_agrees_with_numpy():
    loss, teacher, student = pictures()

    def through(x, convolutions):
        for layer in convolutions.layers:
            x = convolution(x, layer)
            x = np.where(x > 0, x, 0.1 * x)
        return x

    def unit(x):
        x = x.reshape(3, -1)
        return x / np.sqrt((x**2).sum(-1, keepdims=True))

    factor = through(teacher[0], loss.encoders[0])
    assert factor.shape == (3, 4, 3, 3)  # half of six channels
    again = through(factor, loss.decoders[0])
    own = through(student[0], loss.translators[0])
    expected = np.abs(unit(factor) - unit(own)).mean(-1)
    expected += ((again - teacher[0]) ** 2).mean((1, 2, 3))
    np.testing.assert_allclose(value(loss, teacher, student), expected, rtol=1e-5)


def test_the_student_cannot_bend_the_paraphraser():
    loss, teacher, student = pictures()
    translators = len(loss.translators[0].trainable_weights)
    one, two = (
        gradients(loss, teacher, own).weights for own in (student, [student[0] + 1])
    )
    paths = [weight.path for weight in loss.trainable_variables]
    mine = [np.allclose(a, b, atol=1e-7) for a, b in zip(one, two, strict=True)]
    assert mine.count(False) == translators, dict(zip(paths, mine, strict=True))


def test_settings():
    assert copied(FactorTransfer("a", "b", rate=0.75)).rate == 0.75
    for rate in (0, 1.5):
        with pytest.raises(ValueError, match=r"rate must be in \(0, 1\], got"):
            FactorTransfer("a", "b", rate=rate)
    with pytest.raises(ValueError, match="needs feature maps"):
        build(FactorTransfer("a", "b"), maps((3,)), maps((4,)))
