"""CRD: teacher and student agree on an image and differ from it on all others.

Tian, Krishnan, Isola, "Contrastive Representation Distillation" (ICLR 2020),
https://arxiv.org/abs/1910.10699
"""

import math

import keras
from keras import ops

from compression.arguments import require_number
from compression.distillation.arguments import require_classes
from compression.distillation.losses.feature_loss import FeatureLoss
from compression.distillation.losses.geometry import unit_length

UNKNOWN = -1  # the class of an image that was not trained on yet


def contrast_loss(positive, negatives, counts, *, noise: float):
    """Noise-contrastive estimation, -log h(positive) - sum log(1 - h(negative)).

    h = e^s / (e^s + noise) for a score s, the paper's critic (section 3). In log
    space, so nothing is clipped.

    Args:
        positive: (batch,) scores of the pairs that belong together.
        negatives: (batch, negatives) scores of those that do not.
        counts: how often each negative counts, broadcast to `negatives`.
        noise: negatives over images, N / M in the paper.

    Returns:
        (batch,) float32.
    """
    positive, negatives = (ops.cast(s, "float32") for s in (positive, negatives))
    rest = counts * ops.log_sigmoid(math.log(noise) - negatives)
    return -ops.log_sigmoid(positive - math.log(noise)) - ops.sum(rest, axis=-1)


@keras.saving.register_keras_serializable("limbeck")
class ContrastiveRepresentation(FeatureLoss):
    """`contrast_loss` of one pair of layers, both ways, as a part of a `Distiller`.

    Both sides are embedded linearly, at unit length, and two banks keep the embeddings
    of every image of the train split. The student's embedding is compared with its
    image's row in the teacher's bank (positive) and with other rows (negatives), and
    the teacher's embedding with rows of the student's bank. Needs `batch.index`, and
    `batch.labels` to leave images of the same class out of the negatives. Maps are
    averaged over their positions.

    Departures from the authors' release: the negatives are drawn once a batch, with
    replacement, and shared by its images; those of an image's own class count as 0
    and the others so much more that their sum keeps its expectation (drawing 128
    times as many costs 128 times the memory). A row's class is known once it was
    seen. The constant Z is estimated from the drawn rows alone.

    Banks change in training only. Where an image has no index in [0, images), as in
    evaluation, its positive is the other side's current embedding. Evaluation draws
    the same negatives every time and leaves training's draws as they were.

    Args:
        images: number of images in the train split, M in the paper.
        negatives: rows drawn a batch, N in the paper (there 16,384).
        dimension: of the embeddings.
        temperature: divides the similarities, > 0.
        momentum: share of the old row in the updated one, in [0, 1).
        seed: of the banks' start and of the draws.

    Raises:
        ValueError: an argument is out of its range, or there are several layers.
    """

    match_sizes = False
    needs_classes = True

    def __init__(  # noqa: PLR0913, the method has that many settings
        self,
        teacher="embedding",
        student="embedding",
        *,
        images: int,
        negatives: int = 4096,
        dimension: int = 128,
        temperature: float = 0.07,
        momentum: float = 0.5,
        seed: int = 0,
        weight=1.0,
        name="contrastive_representation",
    ):
        super().__init__(teacher, student, weight, name)
        if len(self.teacher_layers) != 1:
            raise ValueError(
                f"{name} contrasts one pair of layers, got {list(self.teacher_layers)}"
            )
        for setting, value in {
            "images": images,
            "negatives": negatives,
            "dimension": dimension,
            "temperature": temperature,
        }.items():
            require_number(setting, value, whole=setting != "temperature")
            if value <= 0:
                raise ValueError(f"{setting} must be positive, got {value}")
        require_number("seed", seed, whole=True)
        require_number("momentum", momentum)
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {momentum}")
        self.images, self.negatives, self.dimension = images, negatives, dimension
        self.temperature, self.momentum, self.seed = temperature, momentum, seed

    def prepare(self, teacher_shapes, student_shapes):
        self.embed_teacher = keras.layers.Dense(self.dimension, dtype="float32")
        self.embed_student = keras.layers.Dense(self.dimension, dtype="float32")
        self.embed_teacher.build((None, teacher_shapes[0][-1]))
        self.embed_student.build((None, student_shapes[0][-1]))
        self.draws = keras.random.SeedGenerator(self.seed)
        self.draws_state = self.draws.state  # a weight, so that it is saved
        self.teacher_bank = self._bank("teacher_bank", self.seed)
        self.student_bank = self._bank("student_bank", self.seed + 1)
        self.classes = self.add_weight(
            name="classes",
            shape=(self.images + 1,),
            dtype="int32",
            initializer=keras.initializers.Constant(UNKNOWN),
            trainable=False,
        )
        # log Z of the teacher's bank and of the student's; zero: not estimated yet.
        self.teacher_log_z, self.student_log_z = (
            self.add_weight(name=name, shape=(), initializer="zeros", trainable=False)
            for name in ("teacher_log_z", "student_log_z")
        )

    def _bank(self, name, seed):
        """(images + 1, dimension): the last row is for images without an index."""
        return self.add_weight(
            name=name,
            shape=(self.images + 1, self.dimension),
            initializer=lambda shape, dtype: ops.normalize(
                keras.random.normal(shape, dtype=dtype, seed=seed)
            ),
            trainable=False,
        )

    def values(self, teacher, student, batch):
        if batch.labels is not None:
            require_classes(batch.labels, self.name)
        target = unit_length(self.embed_teacher(_over_positions(teacher[0])))
        own = unit_length(self.embed_student(_over_positions(student[0])))
        rows = self._rows(batch.index, ops.shape(own)[0])
        drawn = keras.random.randint(
            (self.negatives,), 0, self.images, seed=self.draws if batch.training else 0
        )
        counts = self._counts(drawn, rows, batch.labels)
        value = 0.0
        for anchor, other, bank, log_z in (
            (own, target, self.teacher_bank, self.teacher_log_z),
            (target, own, self.student_bank, self.student_log_z),
        ):
            known = ops.expand_dims(rows < self.images, -1)
            match = ops.where(known, ops.take(bank, rows, axis=0), other)
            match = ops.stop_gradient(match)
            positive = ops.sum(anchor * match, axis=-1) / self.temperature
            others = ops.transpose(ops.take(bank, drawn, axis=0))
            scores = ops.matmul(anchor, others) / self.temperature
            z = self._log_z(log_z, scores, batch.training)
            noise = self.negatives / self.images
            value += contrast_loss(positive - z, scores - z, counts, noise=noise)
        if batch.training and batch.index is not None:
            self._remember(rows, target, own, batch.labels)
        return value

    def _rows(self, index, size):
        """(batch,) rows in the banks; the last one where the index is not known."""
        if index is None:
            return ops.full((size,), self.images, "int32")
        index = ops.cast(ops.reshape(index, (-1,)), "int32")
        return ops.where((index >= 0) & (index < self.images), index, self.images)

    def _counts(self, drawn, rows, labels):
        """(batch, negatives): 0 for rows of the same class, more for the others."""
        allowed = rows[:, None] != drawn[None]
        if labels is not None:
            labels = ops.cast(ops.reshape(labels, (-1, 1)), "int32")
            allowed &= labels != ops.take(self.classes, drawn, axis=0)[None]
        allowed = ops.cast(allowed, "float32")
        number = ops.sum(allowed, axis=-1, keepdims=True)
        return allowed * self.negatives / ops.maximum(number, 1)

    def _log_z(self, variable, scores, training):
        """The constant of the first batch: mean of e^score, times the images."""
        count = ops.cast(ops.size(scores), "float32")
        log_mean = ops.logsumexp(scores) - ops.log(count)
        estimate = ops.stop_gradient(log_mean + math.log(self.images))
        stored = ops.convert_to_tensor(variable)
        value = ops.where(stored == 0, estimate, stored)
        if training:
            variable.assign(value)
        return value

    def _remember(self, rows, target, own, labels):
        where = rows[:, None]
        for bank, new in ((self.teacher_bank, target), (self.student_bank, own)):
            old = ops.take(bank, rows, axis=0)
            mixed = self.momentum * old + (1 - self.momentum) * ops.stop_gradient(new)
            bank.assign(ops.scatter_update(bank, where, ops.normalize(mixed)))
        if labels is not None:
            labels = ops.cast(ops.reshape(labels, (-1,)), "int32")
            self.classes.assign(ops.scatter_update(self.classes, where, labels))

    def get_config(self):
        return super().get_config() | {
            "images": self.images,
            "negatives": self.negatives,
            "dimension": self.dimension,
            "temperature": self.temperature,
            "momentum": self.momentum,
            "seed": self.seed,
        }


def _over_positions(feature):
    inside = tuple(range(1, feature.ndim - 1))
    return ops.mean(feature, axis=inside) if inside else feature
