"""Scores worked by hand."""

import math

import keras
import numpy as np
import pytest
from keras import layers

from compression import measure
from tests.compression.small_nets import on_images

LOGITS = np.array(
    [
        [0.0, math.log(3.0), -50.0, -50.0, -50.0, -50.0],  # (1/4, 3/4)
        [2.0, 2.0, 1.0, 1.0, 1.0, 1.0],  # equal: the first counts
        [5.0, 4.0, 3.0, 2.0, 1.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    ]
)


def test_scores_by_hand():
    assert measure.accuracy(LOGITS, np.array([1, 0, 1, 5])) == 0.5
    assert measure.accuracy(LOGITS, np.array([1, 1, 0, 0])) == 0.75
    assert measure.accuracy(LOGITS, np.array([[1], [1], [0], [0]])) == 0.75
    assert measure.top_accuracy(LOGITS, np.array([0, 1, 5, 5]), k=2) == 0.5
    assert measure.top_accuracy(LOGITS, np.array([0, 1, 5, 5]), k=5) == 0.5
    assert measure.top_accuracy(LOGITS, np.array([0, 1, 5, 5]), k=6) == 1.0
    assert measure.cross_entropy(LOGITS[:1], np.array([0])) == pytest.approx(
        math.log(4.0)
    )
    two = measure.cross_entropy(LOGITS[[0, 3]], np.array([1, 2]))
    assert two == pytest.approx((math.log(4 / 3) + math.log(6.0)) / 2)
    assert measure.cross_entropy(np.array([[1e4, 0.0]]), np.array([1])) == 1e4
    wrong = measure.errors_by_class(LOGITS, np.array([1, 0, 1, 5]))
    assert wrong.tolist() == [0, 1, 0, 0, 0, 1]  # the third and the fourth image
    assert measure.agreement(LOGITS, LOGITS[[0, 1, 2, 2]]) == 1.0
    assert measure.agreement(LOGITS, LOGITS[[1, 1, 2, 0]]) == 0.5


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (LOGITS, [0, 1, 2], r"got \(4, 6\) and \(3,\)"),
        (LOGITS[:0], [], r"got \(0, 6\) and \(0,\)"),
        (LOGITS, [0.0, 1.0, 2.0, 3.0], "integer classes, got float64"),
        (LOGITS, [0, 1, 2, 6], "labels must be 0 to 5, got 0 to 6"),
        (LOGITS, [0, 1, 2, -1], "labels must be 0 to 5, got -1 to 2"),
        (LOGITS, np.eye(4, 6), r"got \(4, 6\) and \(4, 6\)"),
    ],
)
def test_labels_are_checked(logits, labels, message):
    with pytest.raises(ValueError, match=message):
        measure.cross_entropy(logits, np.array(labels))


def test_shapes_of_scores_are_checked():
    with pytest.raises(ValueError, match=r"same images, got \(4, 6\) and \(3, 6\)"):
        measure.agreement(LOGITS, LOGITS[:3])
    with pytest.raises(ValueError, match="k must be positive, got 0"):
        measure.top_accuracy(LOGITS, np.zeros(4, int), k=0)
    with pytest.raises(ValueError, match="no images to run"):
        measure.logits(on_images(layers.Flatten()), [])


def three_numbers(bias):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(len(bias))], name="mine")
    model.layers[0].kernel.assign(np.ones((3, len(bias))))
    model.layers[0].bias.assign(bias)
    return model


def test_logits_that_are_not_finite_are_refused(tmp_path):
    sick, well = three_numbers([np.nan, 0.0]), three_numbers([1.0, 0.0])
    sick.save(tmp_path / "sick.keras")
    data = [(np.zeros((5, 3)), np.zeros(5, int))]
    for subject, name in {
        sick: "model 'mine'",
        tmp_path / "sick.keras": "sick.keras",
    }.items():
        message = f"{name} gives logits that are not finite for 5 of 5 images"
        with pytest.raises(ValueError, match=message):
            measure.profile(subject, data, latency=False)
        with pytest.raises(ValueError, match=message):
            measure.logits(subject, data)
        with pytest.raises(ValueError, match=f"the reference .*{message}"):
            measure.profile(well, data, reference=subject, latency=False)
    some = np.zeros((4, 3))
    some[1], some[3, 2] = np.inf, np.nan
    with pytest.raises(ValueError, match="image 1 of a batch has a pixel that is not"):
        measure.logits(well, [some[:2], some[2:]])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_scores_of_logits_that_are_not_finite_are_refused(value):
    sick, labels = LOGITS.copy(), np.zeros(4, int)
    sick[1, 2] = sick[1, 3] = sick[3, 0] = value
    message = "not finite for 2 of 4 images"
    for score in (measure.accuracy, measure.errors_by_class, measure.cross_entropy):
        with pytest.raises(ValueError, match=f"the model gives logits .*{message}"):
            score(sick, labels)
    with pytest.raises(ValueError, match=f"the model gives logits .*{message}"):
        measure.agreement(sick, LOGITS)
    with pytest.raises(ValueError, match=f"the reference gives logits .*{message}"):
        measure.agreement(LOGITS, sick)


def test_one_logit_stands_for_two_classes():
    logits, labels = np.array([[2.0], [-1.0], [0.5], [-3.0]]), np.array([1, 0, 0, 1])
    two = np.concatenate([np.zeros((4, 1)), logits], axis=1)
    assert measure.accuracy(logits, labels) == measure.accuracy(two, labels) == 0.5
    assert measure.cross_entropy(logits, labels) == pytest.approx(
        np.log1p(np.exp(np.array([-2.0, -1.0, 0.5, 3.0]))).mean()
    )
    assert measure.agreement(logits, -logits) == 0.0
    np.testing.assert_array_equal(measure.errors_by_class(logits, labels), [1, 1])
    assert measure.agreement(logits, two) == 1.0
    assert measure.accuracy(np.zeros((1, 1)), np.array([0])) == 1.0  # of equals, 0
    with pytest.raises(ValueError, match="labels must be 0 to 1, got 0 to 2"):
        measure.accuracy(logits, np.array([0, 1, 2, 0]))


def test_a_model_of_one_logit_is_measured():
    model = three_numbers([-1.5])  # the sum of three numbers against 1.5
    images, labels = np.array([[0, 0, 0], [1, 1, 0], [1, 1, 1]]), np.array([0, 0, 1])
    got = measure.profile(model, [(images, labels)], reference=model, latency=False)
    assert got.top1 == pytest.approx(2 / 3)
    assert (got.errors_by_class, got.agreement, got.top5) == ([1, 0], 1.0, None)
    expected = np.log1p(np.exp([-1.5, 0.5, -1.5])).mean()
    assert got.loss == pytest.approx(expected)
