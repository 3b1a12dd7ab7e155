"""VID: how likely the teacher's features are under a Gaussian that the student gives.

Ahn, Hu, Damianou, Lawrence, Dai, "Variational Information Distillation for Knowledge
Transfer" (CVPR 2019), https://arxiv.org/abs/1904.05835
"""

import math

import keras
from keras import ops

from compression.arguments import require_number
from compression.distillation.losses.feature_loss import FeatureLoss, projector

LEAST_VARIANCE = 1e-5  # the paper's epsilon; the authors' value
DEPTH = 3  # layers of a regressor


def gaussian_loss(teacher, mean, variance):
    """Negative log-likelihood of the teacher's features, in nats less a constant.

    log sigma + (t - mu)^2 / (2 sigma^2), equation 5, averaged over the feature's
    entries, where the paper sums. It may be negative.

    Args:
        teacher: (batch, ..., channels).
        mean: of the same shape.
        variance: (channels,), positive.

    Returns:
        (batch,) float32.
    """
    teacher, mean = (ops.cast(f, "float32") for f in (teacher, mean))
    entries = ops.log(variance) + ops.square(teacher - mean) / variance
    return ops.mean(entries, axis=tuple(range(1, teacher.ndim))) / 2


@keras.saving.register_keras_serializable("limbeck")
class VariationalInformation(FeatureLoss):
    """`gaussian_loss` of each pair of layers, summed, as a part of a `Distiller`.

    The mean is a regressor of the student's feature: three 1x1 convolutions (or dense
    layers) with ReLUs between, the inner ones twice as wide as the teacher's feature.
    The variance of each channel is learned: softplus and a small constant.

    Args:
        initial_variance: that of every channel before training.

    Raises:
        ValueError: `initial_variance` is not above the least variance, 1e-5.
    """

    def __init__(
        self,
        teacher,
        student,
        weight=1.0,
        initial_variance: float = 5.0,
        name="variational_information",
    ):
        super().__init__(teacher, student, weight, name)
        require_number("initial_variance", initial_variance)
        if initial_variance <= LEAST_VARIANCE:
            raise ValueError(
                f"initial_variance must be above {LEAST_VARIANCE}, got "
                f"{initial_variance}"
            )
        self.initial_variance = initial_variance

    def prepare(self, teacher_shapes, student_shapes):
        wanted = self.initial_variance - LEAST_VARIANCE
        start = wanted + math.log(-math.expm1(-wanted))  # softplus gives that again
        self.regressors, self.raw_variances = [], []
        for wanted, shape in zip(teacher_shapes, student_shapes, strict=True):
            self.regressors.append(_regressor(shape, wanted[-1]))
            self.raw_variances.append(
                self.add_weight(
                    name=f"raw_variance_{len(self.raw_variances) + 1}",
                    shape=(wanted[-1],),
                    initializer=keras.initializers.Constant(start),
                )
            )

    def values(self, teacher, student, batch):
        total = 0.0
        for feature, own, regressor, raw in zip(
            teacher, student, self.regressors, self.raw_variances, strict=True
        ):
            for layer in regressor[:-1]:
                own = ops.relu(layer(own))
            variance = ops.softplus(raw) + LEAST_VARIANCE
            total += gaussian_loss(feature, regressor[-1](own), variance)
        return total

    def get_config(self):
        return super().get_config() | {"initial_variance": self.initial_variance}


def _regressor(shape, channels):
    """List of built layers, to be joined by ReLUs."""
    layers = []
    for width in [2 * channels] * (DEPTH - 1) + [channels]:
        layers.append(projector(shape, width, bias=True))
        shape = (*shape[:-1], width)
    return layers
