"""The distiller: trains a student on its labels and on a teacher's outputs."""

from collections.abc import Sequence
from itertools import chain

import keras
from keras import ops

from compression.arguments import shown
from compression.distillation.arguments import listed, require_classes, require_net
from compression.distillation.fused import fused, require_dtype
from compression.distillation.label_loss import (
    checked_label_loss,
    for_metrics,
    takes_classes,
)
from compression.distillation.losses.base import DistillationLoss
from compression.distillation.losses.batch import (
    Batch,
    Schedule,
    at_step,
    images_of,
    require_weight,
    serialized,
    weighted,
)
from compression.distillation.losses.logit_loss import LOGITS
from compression.distillation.shared_weights import require_apart
from compression.distillation.teacher import (
    TEACHER_LOGITS,
    NoTeacher,
    TeacherFunction,
    teacher_features,
    teacher_outputs,
    with_outputs,
)
from compression.graph import all_layers


@keras.saving.register_keras_serializable("limbeck")
class Distiller(keras.Model):
    """A `keras.Model` that adds a teacher's losses to the training of `student`.

    The student runs once a step. The teacher is only a function here: its weights
    and its `trainable` flag stay as they are, it runs in inference mode, and it is not
    saved with the distiller (`set_teacher` after a reload). Sample weights count in
    every part; the student's regularisation losses are added as they are. What
    feature losses learn (projectors) is trained with the student and is no part of
    it: `distiller.student` is the net as it was built.

    Batches are `(images, labels)`, labels being integer classes; or
    `({"image": images, **outputs}, labels)` with the outputs of `teacher_outputs`
    for these images, computed before; then the teacher does not run. They may also
    carry `"index"`, each image's position in the train split. Batches without labels
    are enough where `label_weight` is 0.

    A net of one logit z for two classes stands for the logits (0, z); labels are then
    0 or 1. The metrics given to `compile` get its probability of class 1, since Keras
    counts what is above one half; those of more classes get the logits.

    The total loss is
    `label_weight * label_loss + sum(loss.weight * loss) + regularisation`; every part
    is in logs and history under its own name, without its weight.

    Args:
        student: functional model whose output are logits, (batch, classes).
        teacher: functional model whose output are logits of the same classes; for
            several, see `ensemble`. None where the batches carry `teacher_logits`,
            or where no loss needs a teacher.
        losses: parts such as `SoftTargets` and `Hints`.
        label_weight: factor of the label loss, at least 0; or a schedule of the step.
        label_loss: a Keras loss of (labels, logits) whose `call` gives a value for
            each example, or the name of Keras's cross-entropy; cross-entropy by
            default.
        teacher_input: layer that makes of the student's images what the teacher
            expects, such as `Renormalise`. Sizes that differ are adapted after it.
        teacher_dtype: a copy of the teacher answers in its place, with its batch norm
            in its kernels, computing in "float32", "bfloat16" or "float16": several
            times as fast where the device has instructions for it. None: the teacher
            itself answers, in the precision that it has.
        teacher_features: for `from_config`: key and shape of all that each loss
            compares of the teacher.
        name: name of this model.

    Raises:
        ValueError: teacher and student are the same object, share weights that
            training changes, differ in classes, or one of them has several inputs or
            outputs or ends in a softmax or sigmoid; no part has a positive weight;
            two losses share a name; `label_loss` is none of integer labels and
            logits; a layer is unknown or no projector can make a
            pair comparable.
    """

    def __init__(  # noqa: PLR0913, all by keyword
        self,
        student: keras.Model,
        *,
        teacher: keras.Model | None = None,
        losses: Sequence[DistillationLoss] = (),
        label_weight: float | Schedule,
        label_loss: keras.losses.Loss | str | None = None,
        teacher_input: keras.layers.Layer | None = None,
        teacher_dtype: str | None = None,
        teacher_features: Sequence[Sequence] | None = None,
        name: str = "distiller",
    ):
        require_net(student, "student")
        check_parts(losses, label_weight)
        if teacher_dtype is not None:
            require_dtype("teacher_dtype", teacher_dtype)
        losses = list(losses)
        super().__init__(name=name, dtype=training_policy(student))
        self.student = student
        self.distillation_losses = losses
        self.label_weight = label_weight
        self.label_loss = checked_label_loss(label_loss, student.outputs[0].shape[-1])
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
        self._student = _StudentFunction(student, losses)
        if teacher_features is None and teacher is None:
            if any(loss.needs_teacher_shapes for loss in losses):
                raise ValueError(
                    "a loss between features needs to know the teacher's shapes: pass "
                    "teacher=..., also where the batches carry its features"
                )
            # Only logits are compared, and the teacher's have the student's shape.
            teacher_features = [
                [_key_and_shape(feature.key, feature.shape) for feature in each]
                for each in self._features_of(student)
            ]
        self._teacher_features = None
        if teacher_features is not None:
            self._build_losses(list(teacher_features))
            self._teacher = NoTeacher(self.teacher_keys)
        if teacher is not None:
            self.set_teacher(teacher, teacher_input, teacher_dtype)
        self.built = True  # the student is

    def set_teacher(
        self,
        teacher: keras.Model,
        teacher_input: keras.layers.Layer | None = None,
        dtype: str | None = None,
    ) -> None:
        """Use `teacher` from the next `compile` or trace on; needed after a reload.

        Args:
            teacher: as for the constructor.
            teacher_input: as for the constructor.
            dtype: the constructor's `teacher_dtype`.

        Raises:
            ValueError: as for the constructor; or the features have other shapes
                than those that the losses were built for.
        """
        if teacher is self.student:
            raise ValueError("teacher and student are the same model")
        require_net(teacher, "teacher")
        require_apart(self.student, teacher)
        classes = [model.outputs[0].shape[-1] for model in (teacher, self.student)]
        if classes[0] != classes[1]:
            raise ValueError(
                f"teacher {teacher.name!r} has {classes[0]} classes, student "
                f"{self.student.name!r} {classes[1]}: they must be the same"
            )
        features = self._features_of(teacher)
        model = teacher_outputs(teacher, self.student, chain(*features), teacher_input)
        if dtype is not None:  # of taps, too: what they read stays apart
            model = fused(model, dtype)
        shapes = [
            [
                _key_and_shape(feature.key, model.output[feature.key].shape)
                for feature in each
            ]
            for each in features
        ]
        if self._teacher_features is None:
            self._build_losses(shapes)
        elif shapes != self._teacher_features:
            raise ValueError(
                f"teacher {teacher.name!r} has features {shapes}, but the losses "
                f"were built for {self._teacher_features}"
            )
        self._teacher = TeacherFunction(model)

    @property
    def teacher_outputs(self) -> keras.Model | None:
        """Functional model from the student's images to all that the losses compare.

        Its output is a dict, `teacher_logits` and what feature losses need; what a
        cache has to hold. None without a teacher.
        """
        return self._teacher.model

    @property
    def teacher_keys(self) -> set[str]:
        """Names of the teacher's outputs that the losses compare."""
        return {key for shapes in self._teacher_features for key, _ in shapes}

    def __dir__(self):
        # Keras saves every model that it finds under an object's names.
        return [name for name in super().__dir__() if name != "teacher_outputs"]

    def call(self, inputs, training=None):
        """Logits; a dict with "logits" if losses compare layers inside the student."""
        outputs = self._student(images_of(inputs), training=training)
        return outputs if len(outputs) > 1 else outputs[LOGITS]

    def predict_step(self, *args):
        """The student's logits, as a `keras.Model` predicts."""
        predicted = super().predict_step(*args)
        if isinstance(predicted, tuple):  # on JAX (outputs, state)
            outputs, state = predicted
            return _by_name(outputs)[LOGITS], state
        return _by_name(predicted)[LOGITS]

    def make_train_function(self, force=False):
        if self._teacher.model is not None:  # layers may have been unfrozen since
            require_apart(self.student, self._teacher.model)
        return super().make_train_function(force)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        if self.loss is not None:
            raise ValueError(
                "a Distiller takes its label loss as Distiller(label_loss=...), "
                "not from compile(loss=...)"
            )
        student, teacher = _by_name(y_pred), self._outputs_of_teacher(x)
        batch = Batch(
            labels=y,
            teacher_logits=teacher.get(TEACHER_LOGITS),
            student_logits=student[LOGITS],
            index=x.get("index") if isinstance(x, dict) else None,
            step=ops.convert_to_tensor(self.step),
            training=bool(training),
        )
        total = 0.0
        for name, weight, values in self._parts(teacher, student, batch):
            values = weighted(values, sample_weight)
            self.trackers[name].update_state(values)
            total = total + at_step(weight, batch) * BATCH_MEAN(values, values)
        if training:
            self.step.assign(self.step + 1)
        if self.losses:  # regularisation; without any, Keras finds "no loss"
            total = total + super().compute_loss(x, y, y_pred, sample_weight, training)
        return total

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        if y is None:  # no metric without labels; the parts of the loss are logged
            own = {"loss", *self.trackers} - {"label_loss"}
            return {m.name: m.result() for m in self.metrics if m.name in own}
        logits = _by_name(y_pred)[LOGITS]
        return super().compute_metrics(x, y, for_metrics(logits), sample_weight)

    def get_metrics_result(self):
        results = {}
        for metric in self.metrics:
            if getattr(metric, "built", True):  # not so before the first labels
                result = metric.result()
                results |= result if isinstance(result, dict) else {metric.name: result}
        return results

    def _parts(self, teacher, student, batch):
        """Name, weight and values of each example, part by part."""
        if batch.labels is not None:
            labels, logits = batch.labels, batch.student_logits
            if takes_classes(self.label_loss):
                require_classes(labels, "label_loss")
            if logits.shape[-1] == 1:  # Keras's losses would broadcast (batch,)
                labels = ops.reshape(labels, (-1, 1))
            # As Keras calls it, for whom half a precision is too little of a loss.
            logits = ops.cast(logits, self.label_loss.dtype)
            values = self.label_loss.call(labels, logits)
            if len(values.shape) != 1:
                raise ValueError(
                    f"label_loss {self.label_loss.name!r} must give a value for each "
                    f"example, (batch,), got shape {tuple(values.shape)}: let its "
                    "`call` not average over the batch"
                )
            yield "label_loss", self.label_weight, ops.cast(values, "float32")
        elif self.label_weight != 0:
            raise ValueError(
                "the batches have no labels: set label_weight=0 to learn from the "
                "teacher alone"
            )
        for loss, shapes in self._losses_and_shapes():
            values = loss.per_example(
                [teacher[key] for key, _ in shapes],
                [student[loss.tap_name(layer)] for layer in loss.student_layers],
                batch,
            )
            yield loss.name, loss.weight, values

    def _outputs_of_teacher(self, inputs):
        """What the losses compare, by key: from the batch, else from the teacher."""
        keys = self.teacher_keys
        carried = inputs if isinstance(inputs, dict) else {}
        if keys <= carried.keys():
            return {
                key: carried[key] for key in keys | {TEACHER_LOGITS} if key in carried
            }
        return self._teacher(images_of(inputs))

    def _features_of(self, teacher):
        """The teacher's features that each loss compares."""
        return [
            teacher_features(loss, teacher, self.student)
            for loss in self.distillation_losses
        ]

    def _losses_and_shapes(self):
        return zip(self.distillation_losses, self._teacher_features, strict=True)

    def _build_losses(self, teacher_features):
        """Build what the losses learn, for teacher features of these shapes."""
        self._teacher_features = teacher_features
        for loss, shapes in self._losses_and_shapes():
            if not loss.built:  # after a reload Keras has built it
                own = self._student.shapes(loss)
                loss.build([tuple(shape) for _, shape in shapes], own)

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            "student": serialize(self.student),
            "losses": [serialize(loss) for loss in self.distillation_losses],
            "label_weight": serialized(self.label_weight),
            "label_loss": serialize(self.label_loss),
            "teacher_features": self._teacher_features,
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


class _StudentFunction:
    """The student as a function of images that gives all that the losses compare.

    One pass gives its logits and the tensors inside. A plain object, as
    `TeacherFunction` is: Keras would track and save the student twice.
    """

    def __init__(self, student, losses):
        taps = [
            (loss.tap_name(layer), loss.tap(layer))
            for loss in losses
            for layer in loss.student_layers
        ]
        self.model = with_outputs(student, [(LOGITS, None), *taps], student.name)

    def __call__(self, images, training):
        return self.model(images, training=training)

    def shapes(self, loss):
        """Of what `loss` compares."""
        names = map(loss.tap_name, loss.student_layers)
        return [tuple(self.model.output[name].shape) for name in names]


def _key_and_shape(key, shape):
    """As a config has them, without the batch's size."""
    return [key, [None, *shape[1:]]]


def _by_name(outputs):
    """The student's outputs as a dict, also where they are its logits only."""
    return outputs if isinstance(outputs, dict) else {LOGITS: outputs}


def training_policy(*nets: keras.Model) -> keras.DTypePolicy:
    """The policy by which `compile` knows whether a loss must be scaled.

    Of a net that was loaded only the layers say that they compute in float16.
    """
    for layer in chain.from_iterable(map(all_layers, nets)):
        if layer.dtype_policy.name == "mixed_float16":
            return layer.dtype_policy
    return nets[0].dtype_policy


def check_parts(
    losses: Sequence[DistillationLoss], label_weight: float | Schedule
) -> None:
    """Check that a distiller can train with these parts.

    Raises:
        ValueError: one is no loss, two share a name, or nothing has a positive weight.
    """
    if isinstance(losses, DistillationLoss):
        raise ValueError(
            f"losses must be a list, got one {type(losses).__name__}: give losses=[...]"
        )
    losses = listed("losses", losses, "DistillationLoss objects such as SoftTargets()")
    for loss in losses:
        if not isinstance(loss, DistillationLoss):
            raise ValueError(
                "losses must be DistillationLoss objects such as SoftTargets() or "
                f"Hints(...), got {shown(loss)}"
            )
    require_weight(label_weight, "label_weight")
    if label_weight == 0 and not any(loss.weight != 0 for loss in losses):
        raise ValueError("every loss has weight 0: nothing would be learned")
    names = [loss.name for loss in losses]
    if len(set(names)) != len(names):
        raise ValueError(f"losses need different names, got {names}")
