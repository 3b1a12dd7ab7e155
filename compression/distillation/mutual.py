"""Deep mutual learning: students learn from each other, without a teacher.

Zhang et al. (2018), https://arxiv.org/abs/1706.00384
"""

from collections.abc import Sequence

import keras
from keras import ops

from compression.arguments import require_number
from compression.distillation.arguments import (
    listed,
    logits_in,
    require_classes,
    require_net,
)
from compression.distillation.distiller import BATCH_MEAN, training_policy
from compression.distillation.ensemble import AverageLogits
from compression.distillation.label_loss import (
    for_metrics,
    label_cross_entropy,
)
from compression.distillation.losses.batch import images_of, require_weight, weighted
from compression.distillation.losses.logit_loss import require_temperature
from compression.distillation.losses.logits.soft_targets import (
    soft_target_loss,
    two_classes,
)
from compression.distillation.shared_weights import require_apart


@keras.saving.register_keras_serializable("limbeck")
class MutualDistiller(keras.Model):
    """Trains several students at once, each on its labels and on the others' outputs.

    Student k minimises its cross-entropy plus `weight` times the mean, over the other
    students, of KL(other || k) (equation 8), the others being constants. All are
    updated in one step, where the paper takes turns.

    `NAME_label`, `NAME_mutual` and `NAME_accuracy` are logged for each student; the
    metrics given to `compile` are those of their ensemble; nets of one logit are
    treated as by `Distiller`.

    Args:
        students: at least two functional models with logits of the same classes and
            different names.
        weight: factor of the mutual part, at least 0.
        temperature: T > 0 of the softmaxes (1 in the paper).
        name: name of this model.

    Raises:
        ValueError: fewer than two students, one of them twice, equal names, different
            classes, an output that is a softmax's, weights that students share and
            train, or a number out of range.
    """

    def __init__(
        self,
        students: Sequence[keras.Model],
        *,
        weight: float = 1.0,
        temperature: float = 1.0,
        name: str = "mutual_distiller",
    ):
        students = listed("students", students, "models")
        if len(students) < 2:
            raise ValueError(
                f"mutual learning needs at least two students, got {len(students)}"
            )
        for at, student in enumerate(students):
            require_net(student, f"students[{at}]")
        require_number("weight", weight)  # here no schedule of the step
        require_number("temperature", temperature)
        names = [student.name for student in students]
        if len(set(names)) != len(names):
            raise ValueError(f"students need different names, got {names}")
        classes = [student.outputs[0].shape[-1] for student in students]
        if len(set(classes)) > 1:
            raise ValueError(f"students must have the same classes, got {classes}")
        _require_apart(students)
        super().__init__(name=name, dtype=training_policy(*students))
        self.students = students
        self.weight = require_weight(weight)
        self.temperature = require_temperature(temperature)
        self.trackers = {
            f"{name}_{part}": keras.metrics.Mean(name=f"{name}_{part}")
            for name in names
            for part in ("label", "mutual", "accuracy")
        }
        self.average = AverageLogits([1.0] * len(students), name="average")
        self.built = True  # the students are

    def call(self, inputs, training=None):
        """(batch, students, classes) logits."""
        images = images_of(inputs)
        outputs = [student(images, training=training) for student in self.students]
        logits = [ops.cast(logits_in(each), "float32") for each in outputs]
        return ops.stack(logits, axis=1)

    def make_train_function(self, force=False):
        _require_apart(self.students)  # layers may have been unfrozen since
        return super().make_train_function(force)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        if self.loss is not None:
            raise ValueError("a MutualDistiller has its own loss; compile without one")
        require_classes(y, "mutual learning")
        total = 0.0
        for k, student in enumerate(self.students):
            logits = y_pred[:, k]
            labels = ops.cast(ops.reshape(y, (-1,)), "int32")
            parts = {
                "label": label_cross_entropy(labels, logits),
                "mutual": self._mutual(y_pred, k),
            }
            for part, values in parts.items():
                values = weighted(values, sample_weight)
                self.trackers[f"{student.name}_{part}"].update_state(values)
                factor = self.weight if part == "mutual" else 1.0
                total = total + factor * BATCH_MEAN(values, values)
            likeliest = ops.argmax(two_classes(logits), axis=-1)
            hits = ops.equal(ops.cast(likeliest, "int32"), labels)
            self.trackers[f"{student.name}_accuracy"].update_state(hits)
        if self.losses:
            total = total + super().compute_loss(x, y, y_pred, sample_weight, training)
        return total

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        averaged = self.average([y_pred[:, k] for k in range(len(self.students))])
        return super().compute_metrics(x, y, for_metrics(averaged), sample_weight)

    def _mutual(self, logits, k):
        others = [j for j in range(len(self.students)) if j != k]
        losses = [
            soft_target_loss(
                ops.stop_gradient(logits[:, j]),
                logits[:, k],
                temperature=self.temperature,
            )
            for j in others
        ]
        return sum(losses) / len(others)

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            "students": [serialize(student) for student in self.students],
            "weight": self.weight,
            "temperature": self.temperature,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        deserialize = keras.saving.deserialize_keras_object
        students = [deserialize(c, custom_objects) for c in config["students"]]
        return cls(**config | {"students": students})


def _require_apart(students):
    for student in students:
        for other in students:
            if other is not student:
                require_apart(student, other, "student")
