"""The distiller: trains a student on its labels and on a teacher's logits."""

from collections.abc import Callable, Sequence

import keras
from keras import ops

SQUASHING = ("softmax", "sigmoid", "log_softmax")


@keras.saving.register_keras_serializable("limbeck")
class Distiller(keras.Model):
    """A `keras.Model` that adds a teacher's losses to the training of `student`.

    The student runs once a step. The teacher is only a function here: its weights,
    its `trainable` flag and its file stay untouched, it runs in inference mode, and
    it is not saved along (`set_teacher` after a reload). Sample weights count in
    every part; the student's regularisation losses are added as they are.

    Batches are `(images, labels)`, labels being integer classes, or
    `({"image": images, "teacher_logits": logits}, labels)` where the teacher's logits
    were computed before (`teacher_logits`); then no teacher is needed.

    The total loss is
    `label_weight * label_loss + sum(loss.weight * loss) + regularisation`; every part
    stands in logs and history under its own name, without its weight.

    Args:
        student: functional model whose output are logits, (batch, classes).
        teacher: functional model whose output are logits of the same classes, or
            None where the batches carry `teacher_logits`.
        losses: parts such as `SoftTargets`: Keras losses with a `weight`, called with
            the teacher's logits and the student's.
        label_weight: factor of the label loss, at least 0.
        label_loss: a Keras loss of (labels, logits); cross-entropy by default.
        name: name of this model.

    Raises:
        ValueError: teacher and student are the same object, differ in classes, or
            one of them ends in a softmax or sigmoid; no part has a positive weight;
            two losses share a name.
    """

    def __init__(
        self,
        student: keras.Model,
        *,
        teacher: keras.Model | None = None,
        losses: Sequence[keras.losses.Loss],
        label_weight: float,
        label_loss: keras.losses.Loss | None = None,
        name: str = "distiller",
    ):
        require_logits(student, "student")
        if label_weight < 0:
            raise ValueError(f"label_weight must not be negative, got {label_weight}")
        if not label_weight and not any(loss.weight for loss in losses):
            raise ValueError("every loss has weight 0: nothing would be learned")
        names = [loss.name for loss in losses]
        if len(set(names)) != len(names):
            raise ValueError(f"losses need different names, got {names}")
        # The student's policy, so that compile() scales the loss under float16.
        super().__init__(name=name, dtype=student.dtype_policy)
        self.student = student
        self.distillation_losses = list(losses)
        self.label_weight = label_weight
        self.label_loss = label_loss or keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, name="label_loss"
        )
        self.trackers = {
            part: keras.metrics.Mean(name=part) for part in ["label_loss", *names]
        }
        self.ask_teacher: Callable | None = None
        if teacher is not None:
            self.set_teacher(teacher)
        self.built = True  # the student is

    def set_teacher(self, teacher: keras.Model) -> None:
        """Use `teacher` from the next `compile` or trace on; needed after a reload.

        Raises:
            ValueError: as for the constructor.
        """
        if teacher is self.student:
            raise ValueError("teacher and student are the same model")
        require_logits(teacher, "teacher")
        classes = [model.outputs[0].shape[-1] for model in (teacher, self.student)]
        if classes[0] != classes[1]:
            raise ValueError(
                f"teacher {teacher.name!r} knows {classes[0]} classes, student "
                f"{self.student.name!r} {classes[1]}: they must be the same"
            )
        # A closure: Keras would track, save and freeze a model held as an attribute.
        self.ask_teacher = lambda images: ops.stop_gradient(
            teacher(images, training=False)
        )

    def call(self, inputs, training=None):
        return self.student(_images(inputs), training=training)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        if self.loss is not None:
            raise ValueError(
                "a Distiller takes its label loss as Distiller(label_loss=...), "
                "not from compile(loss=...)"
            )
        batch = ops.shape(y_pred)[0]
        label = self.label_loss(y, y_pred, sample_weight)
        self.trackers["label_loss"].update_state(label, sample_weight=batch)
        total = self.label_weight * label
        taught = self._teacher_logits(x)
        for loss in self.distillation_losses:
            value = loss(taught, y_pred, sample_weight)
            self.trackers[loss.name].update_state(value, sample_weight=batch)
            total = total + loss.weight * value
        if self.losses:  # regularisation; without any, Keras finds "no loss"
            total = total + super().compute_loss(x, y, y_pred, sample_weight, training)
        return total

    def _teacher_logits(self, inputs):
        if isinstance(inputs, dict) and "teacher_logits" in inputs:
            return inputs["teacher_logits"]
        if self.ask_teacher is None:
            raise ValueError(
                "no teacher: call set_teacher(model), or let the batches carry "
                "'teacher_logits'"
            )
        return self.ask_teacher(_images(inputs))

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            "student": serialize(self.student),
            "losses": [serialize(loss) for loss in self.distillation_losses],
            "label_weight": self.label_weight,
            "label_loss": serialize(self.label_loss),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        deserialize = keras.saving.deserialize_keras_object
        config = dict(config)
        for key in ("student", "label_loss"):
            config[key] = deserialize(config[key], custom_objects)
        config["losses"] = [deserialize(c, custom_objects) for c in config["losses"]]
        return cls(**config)


def _images(inputs):
    return inputs["image"] if isinstance(inputs, dict) else inputs


def require_logits(model: keras.Model, role: str) -> None:
    """Check that a functional model's output are logits, not probabilities.

    Raises:
        ValueError: the output layer is or has a softmax, log-softmax or sigmoid; or
            the model is not a built functional or sequential one with one output.
    """
    if len(getattr(model, "outputs", None) or ()) != 1:
        raise ValueError(
            f"{role} {model.name!r} must be a built functional or sequential model "
            "with one output, the logits"
        )
    layer = model
    while isinstance(layer, keras.Model):  # a model may be used as the last layer
        layer = layer.outputs[0]._keras_history.operation
    if isinstance(layer, keras.layers.Softmax):
        squashing = "softmax"
    else:
        activation = getattr(layer, "activation", None)
        squashing = getattr(activation, "__name__", "linear")
    if squashing in SQUASHING:
        raise ValueError(
            f"{role} {model.name!r} ends in a {squashing} (layer {layer.name!r}), but "
            "distillation needs logits: build it with a linear last layer"
        )
