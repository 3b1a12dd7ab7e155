"""Several teachers as one."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from compression.arguments import require_number
from compression.distillation.arguments import listed, logits_in, require_net
from compression.graph import rebuild

AVERAGES = ("probabilities", "logits")


def ensemble(
    teachers: Sequence[keras.Model],
    *,
    weights: Sequence[float] | None = None,
    average: str = "probabilities",
    name: str = "ensemble",
) -> keras.Model:
    """A functional model whose logits are the teachers' weighted average.

    Hinton et al. (2015), section 2, average an ensemble's probabilities, arithmetically
    or (which is the average of logits) geometrically.

    Args:
        teachers: models of the same images and classes.
        weights: one for each, not negative, not all zero; None: equal ones.
        average: of "probabilities" or of "logits".
        name: name of the model.

    Raises:
        ValueError: there is no teacher, or one that gives no logits; inputs, classes or
            weights do not fit.
    """
    teachers = listed("teachers", teachers, "models")
    if not teachers:
        raise ValueError("teachers is empty: an ensemble needs at least one teacher")
    for at, teacher in enumerate(teachers):
        require_net(teacher, f"teachers[{at}]")
    weights = [1.0] * len(teachers) if weights is None else weights
    weights = listed("weights", weights, "numbers")
    for at, weight in enumerate(weights):
        require_number(f"weights[{at}]", weight)
    for what in ("input", "output"):
        shapes = {tuple(getattr(teacher, f"{what}s")[0].shape) for teacher in teachers}
        if len(shapes) > 1:
            raise ValueError(
                f"the teachers differ in {what}_shape: {sorted(shapes, key=str)}"
            )
    if len(weights) != len(teachers) or min(weights) < 0 or not sum(weights):
        raise ValueError(
            f"{len(teachers)} teachers need as many weights, none negative and not all "
            f"zero, got {weights}"
        )
    teachers = _named_apart(teachers)
    image = keras.Input(teachers[0].inputs[0].shape[1:], name="image")
    logits = [logits_in(teacher(image)) for teacher in teachers]
    averaged = AverageLogits(weights, average, name="logits")(logits)
    return keras.Model(image, averaged, name=name)


def _named_apart(teachers):
    """A name may be in a model once: of nets that were built alike others get one more.

    They have the same layers, and are themselves left as they are.
    """
    held = {}
    for at, teacher in enumerate(teachers):
        if held.setdefault(teacher.name, teacher) is not teacher:
            teachers[at] = rebuild(teacher, share=True)
            number = 2
            while f"{teacher.name}_{number}" in held:
                number += 1
            teachers[at].name = f"{teacher.name}_{number}"
            held[teachers[at].name] = teachers[at]
    return teachers


@keras.saving.register_keras_serializable("limbeck")
class AverageLogits(keras.layers.Layer):
    """Weighted average of several (batch, classes) logits, in float32.

    Of one logit for two classes, the average of "probabilities" is the logit of the
    mean probability.

    Args:
        weights: one for each input; only their ratios matter.
        average: of "logits", or of "probabilities"; then the output is the logarithm
            of the mean probability, whose softmax it is at temperature 1.

    Raises:
        ValueError: no such average.
    """

    def __init__(self, weights, average="probabilities", name=None):
        super().__init__(name=name, dtype="float32")
        if not isinstance(average, str) or average not in AVERAGES:
            raise ValueError(
                f"average is one of {', '.join(AVERAGES)}, not {average!r}"
            )
        self.fractions = [float(weight) for weight in weights]
        self.average = average

    def call(self, inputs):
        fractions = np.float32(self.fractions) / np.float32(sum(self.fractions))
        stacked = ops.stack(inputs, axis=-1)
        if self.average == "logits":
            return ops.sum(stacked * fractions, axis=-1)
        if one := stacked.shape[1] == 1:  # a logit z for two classes means (0, z)
            stacked = ops.concatenate([ops.zeros_like(stacked), stacked], axis=1)
        log_p = ops.log_softmax(stacked, axis=1)
        used = np.where(fractions > 0, np.log(np.maximum(fractions, 1e-38)), -1e9)
        averaged = ops.logsumexp(log_p + used.astype("float32"), axis=-1)
        return averaged[:, 1:] - averaged[:, :1] if one else averaged

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[0])

    def get_config(self):
        return {"weights": self.fractions, "average": self.average, "name": self.name}
