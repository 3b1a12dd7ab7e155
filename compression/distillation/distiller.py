"""The distiller: trains a student on its labels and on what a teacher knows."""

from collections.abc import Sequence
from itertools import chain

import keras
from keras import ops

from compression.distillation.losses.batch import (
    Batch,
    Schedule,
    at_step,
    images_of,
    serialized,
    weighted,
)
from compression.distillation.losses.feature_loss import FeatureLoss
from compression.distillation.losses.logits.soft_targets import LogitLoss
from compression.distillation.taps import tap
from compression.distillation.teacher import (
    LOGITS,
    heard_by,
    teacher_outputs,
)

SQUASHING = ("softmax", "sigmoid", "log_softmax")


@keras.saving.register_keras_serializable("limbeck")
class Distiller(keras.Model):
    """A `keras.Model` that adds a teacher's losses to the training of `student`.

    The student runs once a step. The teacher is only a function here: its weights,
    its `trainable` flag and its file stay untouched, it runs in inference mode, and
    it is not saved along (`set_teacher` after a reload). Sample weights count in
    every part; the student's regularisation losses are added as they are. What
    feature losses learn (projectors) is trained beside the student and is no part
    of it: `distiller.student` is the net as it was built.

    Batches are `(images, labels)`, labels being integer classes; or
    `({"image": images, **outputs}, labels)` with the outputs of `teacher_outputs`
    for these images, computed before; then the teacher does not run. `"index"`, each
    image's place in the train split, may stand beside them. Batches without labels
    will do where `label_weight` is 0.

    The total loss is
    `label_weight * label_loss + sum(loss.weight * loss) + regularisation`; every part
    stands in logs and history under its own name, without its weight.

    Args:
        student: functional model whose output are logits, (batch, classes).
        teacher: functional model whose output are logits of the same classes; for
            several, see `ensemble`. None where the batches carry `teacher_logits`,
            or where no loss listens to a teacher.
        losses: parts such as `SoftTargets` and `Hints`.
        label_weight: factor of the label loss, at least 0; or a schedule of the step.
        label_loss: a Keras loss of (labels, logits) whose `call` gives a value for
            each example; cross-entropy by default.
        teacher_input: layer that makes of the student's images what the teacher
            expects, such as `Renormalise`. Sizes that differ are adapted after it.
        heard: for `from_config`: name and shape of what each loss hears.
        name: name of this model.

    Raises:
        ValueError: teacher and student are the same object, differ in classes, or
            one of them ends in a softmax or sigmoid; no part has a positive weight;
            two losses share a name; a layer is unknown or no projector can join a
            pair.
    """

    def __init__(  # noqa: PLR0913, all by keyword
        self,
        student: keras.Model,
        *,
        teacher: keras.Model | None = None,
        losses: Sequence[LogitLoss | FeatureLoss] = (),
        label_weight: float | Schedule,
        label_loss: keras.losses.Loss | None = None,
        teacher_input: keras.layers.Layer | None = None,
        heard: Sequence[Sequence] | None = None,
        name: str = "distiller",
    ):
        require_logits(student, "student")
        _check_parts(losses, label_weight)
        # The student's policy, so that compile() scales the loss under float16.
        super().__init__(name=name, dtype=student.dtype_policy)
        self.student = student
        self.distillation_losses = list(losses)
        self.label_weight = label_weight
        self.label_loss = label_loss or keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, name="label_loss"
        )
        self.trackers = {
            part: keras.metrics.Mean(name=part)
            for part in ["label_loss", *(loss.name for loss in losses)]
        }
        self.step = self.add_weight(
            name="step",
            shape=(),
            initializer="zeros",
            dtype="int32",
            trainable=False,
            aggregation="only_first_replica",
        )
        # Closures: Keras would track, save and freeze models held as attributes.
        outputs = _with_taps(student, losses)
        self._student_outputs = lambda: outputs
        self._outputs_of_teacher = lambda: None
        self._heard = None if heard is None else list(heard)
        self._only_logits = False
        if teacher is not None:
            self.set_teacher(teacher, teacher_input)
        elif heard is None and any(_listens_inside(loss) for loss in losses):
            raise ValueError(
                "a loss between features needs to know the teacher's shapes: pass "
                "teacher=..., also where the batches carry its features"
            )
        else:
            self._build_losses(self._heard or [[] for _ in losses])
        self.built = True  # the student is

    def set_teacher(
        self, teacher: keras.Model, teacher_input: keras.layers.Layer | None = None
    ) -> None:
        """Use `teacher` from the next `compile` or trace on; needed after a reload.

        Raises:
            ValueError: as for the constructor; or the features have other shapes
                than those that the losses were built for.
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
        heard = [
            heard_by(loss, teacher, self.student) for loss in self.distillation_losses
        ]
        model = teacher_outputs(teacher, self.student, chain(*heard), teacher_input)
        shapes = [
            [[tone.key, list(model.output[tone.key].shape)] for tone in tones]
            for tones in heard
        ]
        if self._heard is not None and shapes != self._heard:
            raise ValueError(
                f"teacher {teacher.name!r} has features {shapes}, but the losses were "
                f"built for {self._heard}"
            )
        if self._heard is None:
            self._build_losses(shapes)
        self._outputs_of_teacher = lambda: model

    @property
    def teacher_outputs(self) -> keras.Model | None:
        """Functional model from the student's images to all that the losses hear.

        Its output is a dict, `teacher_logits` and what feature losses need; what a
        cache has to hold. None without a teacher.
        """
        return self._outputs_of_teacher()

    @property
    def hears(self) -> set[str]:
        """Names of the teacher's outputs that the losses compare."""
        keys = {key for tones in self._heard for key, _ in tones}
        if any(isinstance(loss, LogitLoss) for loss in self.distillation_losses):
            keys.add(LOGITS)
        return keys

    def call(self, inputs, training=None):
        """Logits; with losses that listen inside the student, a dict with "logits"."""
        if self._only_logits:
            return self.student(images_of(inputs), training=training)
        outputs = self._student_outputs()(images_of(inputs), training=training)
        return outputs if len(outputs) > 1 else outputs["logits"]

    def predict(self, *args, **kwargs):
        """The student's logits, as a `keras.Model` predicts."""
        self._only_logits = True
        try:
            return super().predict(*args, **kwargs)
        finally:
            self._only_logits = False

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        if self.loss is not None:
            raise ValueError(
                "a Distiller takes its label loss as Distiller(label_loss=...), "
                "not from compile(loss=...)"
            )
        logits = _logits(y_pred)
        taught = self._taught(x)
        batch = Batch(
            labels=y,
            teacher_logits=taught.get(LOGITS),
            student_logits=logits,
            index=x.get("index") if isinstance(x, dict) else None,
            step=ops.convert_to_tensor(self.step),
        )
        total = 0.0
        for name, weight, values in self._parts(batch, taught, y_pred, training):
            values = weighted(values, sample_weight)
            self.trackers[name].update_state(values)
            total = total + at_step(weight, batch) * BATCH_MEAN(values, values)
        if training:
            self.step.assign(self.step + 1)
        if self.losses:  # regularisation; without any, Keras finds "no loss"
            total = total + super().compute_loss(x, y, y_pred, sample_weight, training)
        return total

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        if y is None:  # nothing to compare with; the parts of the loss are logged
            own = {"loss", *self.trackers}
            return {m.name: m.result() for m in self.metrics if m.name in own}
        return super().compute_metrics(x, y, _logits(y_pred), sample_weight)

    def get_metrics_result(self):
        results = {}
        for metric in self.metrics:
            if getattr(metric, "built", True):  # not so before the first labels
                result = metric.result()
                results |= result if isinstance(result, dict) else {metric.name: result}
        return results

    def _parts(self, batch, taught, y_pred, training):
        """Name, weight and values of each example, part by part."""
        if batch.labels is not None:
            values = self.label_loss.call(batch.labels, batch.student_logits)
            yield "label_loss", self.label_weight, ops.cast(values, "float32")
        elif self.label_weight != 0:
            raise ValueError(
                "the batches have no labels: set label_weight=0 to learn from the "
                "teacher alone"
            )
        for loss, heard in zip(self.distillation_losses, self._heard, strict=True):
            if isinstance(loss, FeatureLoss):
                values = loss(
                    [taught[key] for key, _ in heard],
                    [y_pred[_tap_name(loss, layer)] for layer in loss.student_layers],
                    batch=batch,
                    training=training,
                )
            else:
                values = loss.call(taught[LOGITS], batch.student_logits, batch)
            yield loss.name, loss.weight, values

    def _taught(self, inputs):
        """What the losses hear, by name: from the batch, else from the teacher."""
        keys = self.hears
        if isinstance(inputs, dict) and keys <= inputs.keys():
            return {key: inputs[key] for key in keys | {LOGITS} if key in inputs}
        if not keys:
            return {}
        model = self.teacher_outputs
        if model is None:
            raise ValueError(
                "no teacher: call set_teacher(model), or let the batches carry "
                + ", ".join(repr(key) for key in sorted(keys))
            )
        outputs = model(images_of(inputs), training=False)
        return {key: ops.stop_gradient(output) for key, output in outputs.items()}

    def _build_losses(self, heard):
        """Build what feature losses learn, for teacher features of these shapes."""
        student = self._student_outputs()
        for loss, shapes in zip(self.distillation_losses, heard, strict=True):
            if isinstance(loss, FeatureLoss) and not loss.built:  # Keras reloads built
                own = [
                    tuple(student.output[_tap_name(loss, layer)].shape)
                    for layer in loss.student_layers
                ]
                loss.build([tuple(shape) for _, shape in shapes], own)
        self._heard = heard

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            "student": serialize(self.student),
            "losses": [serialize(loss) for loss in self.distillation_losses],
            "label_weight": serialized(self.label_weight),
            "label_loss": serialize(self.label_loss),
            "heard": self._heard,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        deserialize = keras.saving.deserialize_keras_object
        config = dict(config)
        for key in ("student", "label_loss", "label_weight"):
            if isinstance(config[key], dict):
                config[key] = deserialize(config[key], custom_objects)
        config["losses"] = [deserialize(c, custom_objects) for c in config["losses"]]
        return cls(**config)


class _BatchMean(keras.losses.Loss):
    """Mean of values; as a Keras loss, it is scaled under a distribution strategy."""

    def call(self, y_true, y_pred):
        return y_pred


BATCH_MEAN = _BatchMean(name="batch_mean")


def _with_taps(student, losses):
    """The student with all outputs that the losses listen to, by name."""
    outputs = {"logits": student.outputs[0]}
    for loss in losses:
        if isinstance(loss, FeatureLoss):
            for layer in loss.student_layers:
                outputs[_tap_name(loss, layer)] = tap(
                    student, layer, before_activation=loss.before_activation
                )
    return keras.Model(student.inputs[0], outputs, name=student.name)


def _tap_name(loss, layer):
    return f"before_{layer}" if loss.before_activation else f"at_{layer}"


def _listens_inside(loss):
    return isinstance(loss, FeatureLoss) and bool(loss.teacher_layers)


def _logits(y_pred):
    return y_pred["logits"] if isinstance(y_pred, dict) else y_pred


def _check_parts(losses, label_weight):
    for loss in losses:
        if not isinstance(loss, LogitLoss | FeatureLoss):
            raise ValueError(
                "losses must be LogitLoss or FeatureLoss objects such as "
                f"SoftTargets() or Hints(...), got {loss!r}"
            )
    if isinstance(label_weight, int | float) and label_weight < 0:
        raise ValueError(f"label_weight must not be negative, got {label_weight}")
    if label_weight == 0 and not any(loss.weight != 0 for loss in losses):
        raise ValueError("every loss has weight 0: nothing would be learned")
    names = [loss.name for loss in losses]
    if len(set(names)) != len(names):
        raise ValueError(f"losses need different names, got {names}")


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
