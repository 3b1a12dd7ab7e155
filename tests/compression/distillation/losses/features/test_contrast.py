"""CRD: the loss by hand and against plain loops, the banks' law, resuming."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from compression.distillation import ContrastiveRepresentation
from compression.distillation.losses.batch import Batch
from compression.distillation.losses.features.contrast import contrast_loss
from tests.compression.distillation.losses.features.feature_losses import (
    build,
    gradients,
    maps,
    reloaded,
    value,
)

IMAGES = 12


def loss_of(teacher, student, **settings):
    settings = {"images": IMAGES, "negatives": 20, "dimension": 5, "seed": 3} | settings
    return build(ContrastiveRepresentation(**settings), teacher, student)


def features(batch=3, seed=0):
    return maps((7,), batch=batch, seed=seed), maps((4,), batch=batch, seed=seed + 1)


def known(rows, labels=None):
    return Batch(
        index=ops.convert_to_tensor(np.array(rows)),
        labels=None if labels is None else ops.convert_to_tensor(np.array(labels)),
    )


def array(weight):
    return np.array(ops.convert_to_numpy(weight), "float64")


def unit(x):
    return x / np.sqrt((x**2).sum(-1, keepdims=True))


def embeddings(loss, teacher, student):
    return [
        unit(x.astype("float64") @ array(dense.kernel) + array(dense.bias))
        for x, dense in (
            (teacher[0], loss.embed_teacher),
            (student[0], loss.embed_student),
        )
    ]


def evaluation_draws(loss):
    return ops.convert_to_numpy(
        keras.random.randint((loss.negatives,), 0, loss.images, seed=0)
    )


def numpy_loss(loss, teacher, student, drawn, rows, labels=None):
    """Section 3 of the paper with plain loops, from the banks as they are."""
    wanted, own = embeddings(loss, teacher, student)
    classes = array(loss.classes)
    noise = loss.negatives / loss.images
    total = np.zeros(len(own))
    for anchors, others, bank in (
        (own, wanted, array(loss.teacher_bank)),
        (wanted, own, array(loss.student_bank)),
    ):
        e = np.exp(anchors @ bank[drawn].T / loss.temperature)
        z = e.mean() * loss.images
        for i, row in enumerate(rows):
            match = bank[row] if 0 <= row < loss.images else others[i]
            p = np.exp(anchors[i] @ match / loss.temperature) / z
            total[i] -= math.log(p / (p + noise))
            kept = [
                e[i, j] / z
                for j, other in enumerate(drawn)
                if other != row and (labels is None or classes[other] != labels[i])
            ]
            share = len(drawn) / max(len(kept), 1)
            total[i] -= share * sum(math.log(noise / (q + noise)) for q in kept)
    return total


def test_by_hand():
    # noise 2: scores log 2 give h = 1/2, scores log 6 give h = 3/4.
    got = contrast_loss(
        np.log(np.array([6.0], "float32")),
        np.log(np.array([[2.0, 6.0]], "float32")),
        np.array([[3.0, 1.0]], "float32"),
        noise=2.0,
    )
    expected = -math.log(3 / 4) - 3 * math.log(1 / 2) - math.log(1 / 4)
    np.testing.assert_allclose(ops.convert_to_numpy(got), [expected], rtol=1e-6)


def test_extreme_scores_stay_finite():
    scores = np.array([200.0, -200.0], "float16")
    got = contrast_loss(scores, scores[:, None], 1.0, noise=1.0)
    np.testing.assert_allclose(ops.convert_to_numpy(got), [200.0, 200.0], rtol=1e-6)


def test_features_of_zeros_have_small_gradients():
    teacher, student = features()
    loss = loss_of(teacher, student)
    for weight in loss.trainable_weights:  # without biases zeros stay zeros
        weight.assign(0 * weight if weight.name == "bias" else weight)
    found = gradients(loss, teacher, [0 * s for s in student], known([4, 0, 11]))
    assert all(abs(g).max() < 1000 for side in found for g in side)


@pytest.mark.parametrize("rows", [[4, 0, 11], [-1, -1, -1], [12, 2, -1]])
def test_agrees_with_numpy(rows):
    teacher, student = features()
    loss = loss_of(teacher, student)
    got = value(loss, teacher, student, known(rows))
    expected = numpy_loss(loss, teacher, student, evaluation_draws(loss), rows)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_images_of_the_same_class_are_no_negatives():
    teacher, student = features()
    loss = loss_of(teacher, student)
    for start in range(0, IMAGES, 3):  # every row gets a class: its place modulo 4
        rows = np.arange(start, start + 3)
        value(loss, *features(seed=start), known(rows, rows % 4), training=True)
    np.testing.assert_array_equal(array(loss.classes)[:IMAGES], np.arange(IMAGES) % 4)
    loss.teacher_log_z.assign(0.0)  # the independent version estimates Z
    loss.student_log_z.assign(0.0)
    rows, labels = [5, 1, 9], [1, 2, 3]
    got = value(loss, teacher, student, known(rows, labels))
    drawn = evaluation_draws(loss)
    expected = numpy_loss(loss, teacher, student, drawn, rows, labels)
    np.testing.assert_allclose(got, expected, rtol=1e-5)
    assert not np.allclose(got, value(loss, teacher, student, known(rows)))


def test_unknown_place_is_the_same_as_none():
    teacher, student = features()
    loss = loss_of(teacher, student)
    np.testing.assert_allclose(
        value(loss, teacher, student),
        value(loss, teacher, student, known([-1] * 3)),
        rtol=1e-5,
    )


def test_banks_take_the_momentum_mean():
    teacher, student = features()
    loss = loss_of(teacher, student, momentum=0.25)
    before = [array(bank) for bank in (loss.teacher_bank, loss.student_bank)]
    value(loss, teacher, student, known([7, 2, 5]), training=True)
    after = [array(bank) for bank in (loss.teacher_bank, loss.student_bank)]
    for old, new, fresh in zip(
        before, after, embeddings(loss, teacher, student), strict=True
    ):
        np.testing.assert_allclose(np.linalg.norm(new, axis=-1), 1, rtol=1e-5)
        expected = unit(0.25 * old[[7, 2, 5]] + 0.75 * fresh)
        np.testing.assert_allclose(new[[7, 2, 5]], expected, atol=1e-6)
        rest = [i for i in range(IMAGES) if i not in (7, 2, 5)]
        np.testing.assert_array_equal(new[rest], old[rest])


@pytest.mark.parametrize("batch", [None, known([-1, -1, -1]), known([12, -1, 40])])
def test_what_has_no_place_is_not_remembered(batch):
    teacher, student = features()
    loss = loss_of(teacher, student)
    before = [array(bank) for bank in (loss.teacher_bank, loss.student_bank)]
    assert np.isfinite(value(loss, teacher, student, batch, training=True)).all()
    for old, bank in zip(before, (loss.teacher_bank, loss.student_bank), strict=True):
        np.testing.assert_array_equal(array(bank)[:IMAGES], old[:IMAGES])


def test_evaluation_changes_nothing_and_repeats():
    teacher, student = features()
    loss = loss_of(teacher, student)
    before = [array(v) for v in loss.variables]
    first = value(loss, teacher, student, known([1, 2, 3], [0, 1, 2]))
    np.testing.assert_array_equal(
        first, value(loss, teacher, student, known([1, 2, 3], [0, 1, 2]))
    )
    for old, variable in zip(before, loss.variables, strict=True):
        np.testing.assert_array_equal(array(variable), old)


def test_z_is_the_first_batchs():
    teacher, student = features()
    loss = loss_of(teacher, student, negatives=4000)
    wanted, own = embeddings(loss, teacher, student)
    everyone = array(loss.teacher_bank)[:IMAGES]
    exact = np.exp(own @ everyone.T / loss.temperature).sum(-1).mean()
    value(loss, teacher, student, known([0, 1, 2]), training=True)
    first = array(loss.teacher_log_z)
    np.testing.assert_allclose(np.exp(first), exact, rtol=0.2)  # 4000 draws of 12
    value(loss, *features(seed=9), known([3, 4, 5]), training=True)
    np.testing.assert_array_equal(array(loss.teacher_log_z), first)


def test_gradients_reach_student_and_embeddings_only():
    teacher, student = features()
    loss = loss_of(teacher, student)
    for batch in (None, known([0, 1, 2])):
        found = gradients(loss, teacher, student, batch, training=True)
        assert not np.any(found.teacher[0])
        assert np.all(np.any(found.student[0], axis=-1))
        assert len(found.weights) == 4
        assert all(np.any(g) for g in found.weights)


def test_training_brings_pairs_together():
    """Descending the loss raises the similarity of an image's two embeddings."""
    teacher, student = features(batch=6)
    loss = loss_of(teacher, student, momentum=0.0)
    optimizer = keras.optimizers.SGD(0.2)
    similar = []
    for _ in range(10):
        batch = known(range(6))
        found = gradients(loss, teacher, student, batch, training=True)
        value(loss, teacher, student, batch, training=True)  # banks move
        optimizer.apply(
            [ops.convert_to_tensor(g) / 6 for g in found.weights],
            loss.trainable_variables,
        )
        wanted, own = embeddings(loss, teacher, student)
        similar.append((wanted * own).sum(-1).mean())
    assert similar[-1] > similar[0] + 0.2


def test_resumes_bit_exactly(tmp_path):
    teacher, student = features()
    loss = loss_of(teacher, student)
    value(loss, teacher, student, known([1, 2, 3], [0, 0, 1]), training=True)
    again = reloaded(loss, tmp_path)
    for batch in (known([4, 5, 6], [1, 0, 2]), known([1, 2, 3], [0, 0, 1])):
        np.testing.assert_array_equal(
            value(loss, teacher, student, batch, training=True),
            value(again, teacher, student, batch, training=True),
        )


def test_draws_change_from_step_to_step():
    teacher, student = features()
    loss = loss_of(teacher, student)
    first, second = (value(loss, teacher, student, training=True) for _ in range(2))
    assert not np.allclose(first, second)


def test_maps_are_averaged_and_one_image_is_enough():
    teacher, student = features(batch=1)
    loss = loss_of(teacher, student)
    spread = np.array([-1.0, 1.0, 0.5, -0.5], "float32").reshape(1, 2, 2, 1)
    tall = student[0][:, None, None] + spread
    np.testing.assert_allclose(
        value(loss, teacher, [tall]), value(loss, teacher, student), rtol=1e-4
    )


def test_bad_settings():
    with pytest.raises(ValueError, match="images must be positive, got 0"):
        ContrastiveRepresentation(images=0)
    with pytest.raises(ValueError, match="temperature must be positive, got -1"):
        ContrastiveRepresentation(images=5, temperature=-1)
    with pytest.raises(ValueError, match=r"momentum must be in \[0, 1\), got 1"):
        ContrastiveRepresentation(images=5, momentum=1)
    with pytest.raises(ValueError, match="contrasts one pair of layers"):
        ContrastiveRepresentation(["a", "b"], ["c", "d"], images=5)


@pytest.mark.parametrize("inside", [(5,), (2, 3), (2, 2, 2)])
def test_positions_of_any_number_of_axes_are_averaged(inside):
    """Sequences and volumes count as maps do."""
    many = maps((*inside, 7), batch=3), maps((*inside, 4), batch=3, seed=1)
    axes = tuple(range(1, 1 + len(inside)))
    means = [[feature.mean(axes) for feature in side] for side in many]
    loss = loss_of(*many)
    values = [value(loss, *pair, known([0, 1, 2])) for pair in (many, means)]
    assert values[0].shape == (3,)
    np.testing.assert_allclose(*values, rtol=1e-5)
