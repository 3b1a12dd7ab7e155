"""What holds for every feature loss that learns weights of its own."""

import keras
import numpy as np
import pytest
from keras import ops

from compression.distillation import (
    ActivationBoundaries,
    ContrastiveRepresentation,
    FactorTransfer,
    FlowOfSolution,
    Hints,
    KnowledgeReview,
    OverhaulFeatures,
    SingularVectors,
    VariationalInformation,
)
from compression.distillation.losses.batch import Batch
from tests.compression.distillation.losses.features.feature_losses import (
    build,
    gradients,
    maps,
    reloaded,
    value,
)

PAIR = (["a", "b"], ["c", "d"])
TEACHER, STUDENT = [(4, 4, 4), (2, 2, 6)], [(4, 4, 3), (2, 2, 5)]
LOSSES = {
    "activation_boundaries": lambda: ActivationBoundaries(*PAIR),
    "contrastive_representation": lambda: ContrastiveRepresentation(
        "b", "d", images=8, negatives=16, dimension=4
    ),
    "factor_transfer": lambda: FactorTransfer(*PAIR),
    "flow_of_solution": lambda: FlowOfSolution(*PAIR),
    "knowledge_review": lambda: KnowledgeReview(*PAIR),
    "overhaul_features": lambda: OverhaulFeatures(*PAIR),
    "singular_vectors": lambda: SingularVectors(*PAIR),
    "variational_information": lambda: VariationalInformation(*PAIR),
}
every_loss = pytest.mark.parametrize("name", LOSSES)


def case(name, batch=3, scale=1.0):
    teacher = maps(*TEACHER, batch=batch, scale=scale)
    student = maps(*STUDENT, batch=batch, scale=scale, seed=1)
    if name == "contrastive_representation":
        teacher, student = teacher[1:], student[1:]
    return build(LOSSES[name](), teacher, student), teacher, student


@every_loss
def test_gradients_reach_the_student_and_all_weights_but_not_the_teacher(name):
    loss, teacher, student = case(name)
    found = gradients(loss, teacher, student, training=True)
    assert not any(np.any(g) for g in found.teacher)
    assert all(np.any(g) for g in found.student)
    assert found.weights
    cut = [
        weight.path
        for weight, g in zip(loss.trainable_variables, found.weights, strict=True)
        if not np.any(g)
    ]
    assert not cut
    assert all(np.isfinite(g).all() for g in [*found.student, *found.weights])


@every_loss
def test_saturated_float16_features(name):
    loss, teacher, student = case(name)
    teacher, student = (
        [np.where(f > 0, 200, -200).astype("float16") for f in side]
        for side in (teacher, student)
    )
    for training in (False, True):
        got = value(loss, teacher, student, training=training)
        assert got.dtype == np.float32
        assert got.shape == (3,)
        assert np.isfinite(got).all()
    found = gradients(loss, teacher, student, training=True)
    assert all(np.isfinite(g).all() for g in [*found.student, *found.weights])


@every_loss
def test_one_image_is_a_batch(name):
    loss, teacher, student = case(name)
    together = value(loss, teacher, student)
    first = value(loss, [f[:1] for f in teacher], [f[:1] for f in student])
    assert first.shape == (1,)
    if name != "contrastive_representation":  # its Z is the batch's
        np.testing.assert_allclose(first, together[:1], rtol=1e-4)
    one = value(loss, [f[:1] for f in teacher], [f[:1] for f in student], training=True)
    assert np.isfinite(one).all()


@every_loss
def test_evaluation_changes_no_variable(name):
    loss, teacher, student = case(name)
    before = [ops.convert_to_numpy(v) for v in loss.variables]
    value(loss, teacher, student)
    for old, variable in zip(before, loss.variables, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(variable), old)


@every_loss
def test_saved_and_reloaded(name, tmp_path):
    loss, teacher, student = case(name)
    value(loss, teacher, student, training=True)  # moves what training moves
    again = reloaded(loss, tmp_path)
    assert len(again.variables) == len(loss.variables)
    for old, new in zip(loss.variables, again.variables, strict=True):
        np.testing.assert_array_equal(*map(ops.convert_to_numpy, (old, new)))
    np.testing.assert_array_equal(
        value(again, teacher, student), value(loss, teacher, student)
    )


class Trainer(keras.Model):
    """Trains a student's maps and all losses' weights, in a compiled step."""

    def __init__(self, losses):
        super().__init__()
        self.maps = [keras.layers.Conv2D(3, 1), keras.layers.Conv2D(5, 1, strides=2)]
        self.parts = losses

    def call(self, inputs):
        first = self.maps[0](inputs["image"])
        return first, self.maps[1](first)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        batch = Batch(labels=y, index=x["index"], training=training)
        teacher, total = [x["one"], x["two"]], 0.0
        for loss in self.parts:
            single = len(loss.teacher_layers) == 1
            features = (teacher[1:], y_pred[1:]) if single else (teacher, list(y_pred))
            total += ops.mean(loss.per_example(*features, batch))
        return total


@pytest.mark.parametrize("inside", [(4,), (1,), (2, 2, 2)])
def test_only_maps_are_brought_to_one_size(inside):
    """Of sequences one step would be compared with all, or nothing be said."""
    other = ops.ones((3, *(5 for _ in inside), 6))
    with pytest.raises(ValueError, match="only maps .* are brought to one size"):
        Hints("a", "b")(ops.ones((3, *inside, 6)), other)
    assert Hints("a", "b")(other, 3 * other).shape == (3,)


@pytest.mark.backends
@pytest.mark.slow
def test_all_train_in_a_compiled_step():
    teacher = maps(*TEACHER, batch=8)
    losses = [case(name)[0] for name in LOSSES]
    contrast = next(x for x in losses if x.name == "contrastive_representation")
    bank = ops.convert_to_numpy(contrast.teacher_bank)
    before = [ops.convert_to_numpy(w) for x in losses for w in x.trainable_weights]
    model = Trainer(losses)
    model.compile(optimizer=keras.optimizers.SGD(0.01))
    images = {
        "image": maps((4, 4, 2), batch=8)[0],
        "one": teacher[0].astype("float16"),
        "two": teacher[1].astype("float16"),
        "index": np.arange(8),
    }
    history = model.fit(
        images, np.arange(8) % 3, epochs=3, batch_size=4, shuffle=False, verbose=0
    )
    assert history.history["loss"][-1] < history.history["loss"][0]
    after = [ops.convert_to_numpy(w) for x in losses for w in x.trainable_weights]
    assert all((a != b).any() for a, b in zip(after, before, strict=True))
    assert (ops.convert_to_numpy(contrast.teacher_bank)[:8] != bank[:8]).any(-1).all()
    assert np.isfinite(history.history["loss"]).all()
