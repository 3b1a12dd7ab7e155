"""The ways of `limbeck bench distill` to train a student, as compiled Keras models."""

from dataclasses import dataclass

import keras
import numpy as np
from keras import layers

import architectures
from compression.distillation import Distiller, Hints, SoftTargets, tap
from compression.distillation.losses.pooling import AverageTo
from experiments.benchmarks import keras_peers
from experiments.benchmarks.distill_data import CLASSES, SIDE

TEMPERATURE, LABEL_WEIGHT, SOFT_WEIGHT, HINT_WEIGHT = 4.0, 0.1, 0.9, 0.9
STAGE = "stage3"  # of both nets: 8x8x64 and 7x7x32
STUDENT = {"width": 0.125, "dropout": 0.1}


@dataclass(frozen=True)
class Nets:
    """The teacher and what every student starts with.

    Attributes:
        teacher: shared by all; nobody changes its weights.
        student: gives its weights to every new student, and is never trained.
        projection: (1, 1, channels, channels), of student features to the teacher's.
        dropout: of the students.
    """

    teacher: keras.Model
    student: keras.Model
    projection: np.ndarray
    dropout: float = STUDENT["dropout"]

    def new_student(self) -> keras.Model:
        """A student with the common weights."""
        net = _student(self.dropout)
        net.set_weights(self.student.get_weights())
        return net


def nets(teacher: str) -> Nets:
    """The teacher and the student; all weights are random, batch norm's too."""
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    shape = {"input_shape": (SIDE, SIDE, 3), "classes": CLASSES}
    teacher, student = architectures.build(teacher, **shape), _student()
    for net in (teacher, student):
        keras_peers.randomize_batch_norm(net, random)
    for layer in teacher.layers:
        if layer.name.endswith("_bn2"):  # else 27 untrained blocks add up to 1e10
            layer.gamma.assign(0.1 * layer.gamma)
    narrow, wide = (tap(net, STAGE).shape[-1] for net in (student, teacher))
    projection = random.normal(size=(1, 1, narrow, wide)) / np.sqrt(narrow)
    return Nets(teacher, student, projection.astype("float32"))


def _student(dropout=STUDENT["dropout"]):
    shape = {"input_shape": (SIDE, SIDE, 3), "classes": CLASSES}
    options = STUDENT | {"dropout": dropout}
    return architectures.build("alexnet_small", **shape, **options)


def alone(nets: Nets) -> keras.Model:
    """The student, trained on the labels alone."""
    return _compiled(nets.new_student(), _label_loss())


def limbeck(
    nets: Nets, *, hints: bool = False, teacher_dtype: str | None = None
) -> Distiller:
    """Our distiller: takes the teacher's outputs from the batches if they are there."""
    losses = [SoftTargets(TEMPERATURE, weight=SOFT_WEIGHT)]
    if hints:
        losses.append(Hints(STAGE, STAGE, weight=HINT_WEIGHT))
    distiller = Distiller(
        nets.new_student(),
        teacher=nets.teacher,
        losses=losses,
        label_weight=LABEL_WEIGHT,
        teacher_dtype=teacher_dtype,
    )
    if hints:
        losses[-1].projectors[0].kernel.assign(nets.projection)
    return _compiled(distiller, None)


def keras_distiller(nets: Nets, *, hints: bool = False) -> keras.Model:
    """Keras's distiller with Hinton's loss, which is not its default.

    It compares equal shapes only and projects nothing. For `hints`, what
    `Hints` does inside is a branch of each net.
    """
    distillation = keras.distillation
    teacher, student = nets.teacher, nets.new_student()
    soft = distillation.LogitsDistillation(
        TEMPERATURE, loss=keras.losses.KLDivergence()
    )
    losses, weights = [soft], [SOFT_WEIGHT]
    if hints:
        teacher, student = _with_pooled_stage(teacher, student), _projected(nets)
        hint = distillation.FeatureDistillation(
            keras.losses.MeanSquaredError(), "hint", "hint"
        )
        losses, weights = [soft, hint], [SOFT_WEIGHT, HINT_WEIGHT]
    rest = 1 - LABEL_WEIGHT  # Keras multiplies the other weights by it
    distiller = distillation.Distiller(
        teacher,
        student,
        losses,
        [weight / rest for weight in weights],
        student_loss_weight=LABEL_WEIGHT,
    )
    return _compiled(distiller, _label_loss())


class LogitsWithBranch(layers.Layer):
    """Returns the logits; takes the branch only to make it part of the model."""

    def call(self, logits, branch):
        return logits


def _with_pooled_stage(teacher, student):
    size = tap(student, STAGE).shape[1:3]
    branch = AverageTo(size, name="hint")(tap(teacher, STAGE))
    return keras.Model(teacher.input, LogitsWithBranch()(teacher.output, branch))


def _projected(nets):
    student = nets.new_student()
    project = layers.Conv2D(nets.projection.shape[-1], 1, use_bias=False, name="hint")
    branch = project(tap(student, STAGE))
    project.kernel.assign(nets.projection)
    return keras.Model(student.input, LogitsWithBranch()(student.output, branch))


def _label_loss():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def _compiled(model, loss):
    model.compile(keras_peers.sgd(), loss=loss, metrics=["accuracy"], jit_compile=False)
    return model
