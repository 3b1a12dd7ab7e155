"""Optimizer, learning rate and label loss, from the settings of a training."""

import math

import keras
from keras import ops

from experiments.training.settings import Training


@keras.saving.register_keras_serializable("limbeck")
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule times a linear rise over the first `steps` steps."""

    def __init__(self, schedule, steps: int):
        self.schedule = schedule
        self.steps = steps

    def __call__(self, step):
        risen = (ops.cast(step, "float32") + 1) / self.steps
        return self.schedule(step) * ops.minimum(risen, 1.0)

    def get_config(self):
        return {
            "schedule": keras.saving.serialize_keras_object(self.schedule),
            "steps": self.steps,
        }

    @classmethod
    def from_config(cls, config):
        schedule = keras.saving.deserialize_keras_object(config["schedule"])
        return cls(schedule, config["steps"])


@keras.saving.register_keras_serializable("limbeck")
class LabelLoss(keras.losses.Loss):
    """Cross-entropy of labels and logits, labels smoothed by `smoothing`.

    Szegedy et al. (2016), section 7: the target is `1 - smoothing` on the label plus
    `smoothing / classes` everywhere. Labels are integer classes, (batch,) or (batch,
    1), or distributions, (batch, classes): the loss of one is the mean of its classes'.

    Args:
        smoothing: from 0 to 1.
        class_weights: factor of the loss for each label; None: all 1.
    """

    def __init__(self, smoothing=0.0, class_weights=None, name="label_loss", **kwargs):
        super().__init__(name=name, **kwargs)
        self.smoothing = smoothing
        self.class_weights = class_weights

    def call(self, y_true, y_pred):
        # A distiller calls this itself, with the logits of a float16 net.
        log_p = ops.log_softmax(ops.cast(y_pred, self.dtype))
        mean = ops.mean(log_p, axis=-1)
        if len(y_true.shape) == 2 and y_true.shape[1] == y_pred.shape[1] > 1:
            each = -(1 - self.smoothing) * log_p - self.smoothing * mean[:, None]
            if self.class_weights is not None:
                each *= ops.convert_to_tensor(self.class_weights, each.dtype)
            return ops.sum(ops.cast(y_true, each.dtype) * each, axis=-1)
        labels = ops.cast(ops.reshape(y_true, (-1, 1)), "int32")
        picked = ops.squeeze(ops.take_along_axis(log_p, labels, axis=-1), -1)
        values = -(1 - self.smoothing) * picked - self.smoothing * mean
        if self.class_weights is not None:
            weights = ops.convert_to_tensor(self.class_weights, values.dtype)
            values *= ops.take(weights, labels[:, 0])
        return values

    def get_config(self):
        own = {"smoothing": self.smoothing, "class_weights": self.class_weights}
        return super().get_config() | own


def learning_rate(settings: Training, steps_per_epoch: int):
    """The learning rate as a Keras schedule of the step.

    Of "plateau" the number that training begins with.
    """
    schedules = keras.optimizers.schedules
    rate, steps = settings.learning_rate, settings.epochs * steps_per_epoch
    if settings.schedule == "plateau":
        return rate  # a number, which `plateau.Plateau` can change
    if settings.schedule == "cosine":
        schedule = schedules.CosineDecay(rate, steps)
    elif settings.schedule == "step":
        # Keras changes the rate after a boundary; we mean: from that step on.
        boundaries = [math.ceil(steps * drop) - 1 for drop in settings.drops]
        rates = [rate * settings.drop_factor**i for i in range(len(boundaries) + 1)]
        schedule = schedules.PiecewiseConstantDecay(boundaries, rates)
    else:
        schedule = schedules.PolynomialDecay(rate, steps, end_learning_rate=rate)
    warmup = round(settings.warmup_epochs * steps_per_epoch)
    return WarmUp(schedule, warmup) if warmup else schedule


def optimizer(settings: Training, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """A new optimizer; weight decay spares biases and batch norm."""
    options = {
        "learning_rate": learning_rate(settings, steps_per_epoch),
        "weight_decay": settings.weight_decay or None,
        "global_clipnorm": settings.clip_norm,
    }
    if settings.accumulation > 1:
        options["gradient_accumulation_steps"] = settings.accumulation
    if settings.averaging == "ema":
        # Keras averages at each step, those between two updates included.
        options["use_ema"] = True
        options["ema_momentum"] = settings.averaging_momentum ** (
            1 / settings.accumulation
        )
    if settings.optimizer == "sgd":
        made = keras.optimizers.SGD(
            momentum=settings.momentum, nesterov=settings.momentum > 0, **options
        )
    elif settings.optimizer == "adam":
        made = keras.optimizers.Adam(**options)
    elif settings.optimizer == "lamb":
        made = keras.optimizers.Lamb(**options)
    else:
        made = keras.optimizers.AdamW(
            **options | {"weight_decay": settings.weight_decay}
        )
    if settings.weight_decay:
        made.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return made
