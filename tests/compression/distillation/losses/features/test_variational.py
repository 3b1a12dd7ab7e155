"""VID: the likelihood by hand, its minimum, and the loss against plain loops."""

import math

import numpy as np
import pytest
from keras import ops

from compression.distillation import VariationalInformation
from compression.distillation.losses.features.variational import gaussian_loss
from tests.compression.distillation.losses.features.feature_losses import (
    build,
    copied,
    maps,
    value,
)
from tests.compression.distillation.losses.features.plain_layers import (
    array,
    convolution,
)


def of(teacher, mean, variance):
    return ops.convert_to_numpy(
        gaussian_loss(
            *map(np.asarray, (teacher, mean)), np.asarray(variance, "float32")
        )
    )


def test_by_hand():
    # sigma 2, off by 2: log 2 + 4/8; sigma 1, off by 3: 0 + 9/2.
    got = of([[3.0, 1.0]], [[1.0, 4.0]], [4.0, 1.0])
    np.testing.assert_allclose(got, [(math.log(2) + 0.5 + 4.5) / 2], rtol=1e-6)


def test_least_at_the_mean_squared_error():
    teacher, mean = maps((50, 1), (50, 1), batch=1)
    best = np.mean((teacher - mean) ** 2)
    low, least, high = (of(teacher, mean, [best * f])[0] for f in (0.9, 1.0, 1.1))
    assert least < low
    assert least < high
    np.testing.assert_allclose(least, (math.log(best) + 1) / 2, rtol=1e-5)


def test_float16():
    teacher = np.full((1, 3), 200, "float16")
    np.testing.assert_allclose(of(teacher, -teacher, [1.0]), [80_000.0])


def test_agrees_with_numpy():
    teacher, student = maps((3, 3, 4), (5,)), maps((6, 6, 2), (3,), seed=1)
    names = ["stage", "embedding"]
    loss = build(VariationalInformation(names, names), teacher, student)
    small = student[0].reshape(3, 3, 2, 3, 2, 2).mean((2, 4))
    expected = 0.0
    for i, own in enumerate((small, student[1])):
        for step, layer in enumerate(loss.regressors[i]):
            if own.ndim == 4:
                own = convolution(own, layer)
            else:
                own = own.astype("float64") @ array(layer.kernel) + array(layer.bias)
            own = own if step == 2 else np.maximum(own, 0)
        variance = np.log1p(np.exp(array(loss.raw_variances[i]))) + 1e-5
        term = np.log(np.sqrt(variance)) + (teacher[i] - own) ** 2 / (2 * variance)
        expected = expected + term.reshape(3, -1).mean(-1)
    np.testing.assert_allclose(value(loss, teacher, student), expected, rtol=1e-5)


@pytest.mark.parametrize("variance", [2e-5, 0.3, 5000.0])
def test_starts_with_the_variance_asked_for(variance):
    teacher = maps((4,), batch=1)
    loss = VariationalInformation("a", "a", initial_variance=variance)
    loss.build([teacher[0].shape], [teacher[0].shape])
    got = np.logaddexp(0, array(loss.raw_variances[0]).astype(float)) + 1e-5
    np.testing.assert_allclose(got, variance, rtol=1e-5)
    assert copied(loss).initial_variance == variance


def test_bad_settings():
    with pytest.raises(ValueError, match="initial_variance must be above 1e-05"):
        VariationalInformation("a", "b", initial_variance=0)
    features = maps((2, 2, 3)), maps((3,))
    with pytest.raises(ValueError, match="name two maps or two vectors"):
        build(VariationalInformation("a", "b"), *features)
