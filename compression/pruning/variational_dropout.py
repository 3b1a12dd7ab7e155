"""Sparse variational dropout: each weight learns how much noise it can bear.

Molchanov, Ashukha, Vetrov (2017), "Variational Dropout Sparsifies Deep Neural
Networks", https://arxiv.org/abs/1701.05369, section 4.
"""

from collections.abc import Sequence

import keras
from keras import ops

from compression.arguments import require_number
from compression.pruning.learnt_sparsity import (
    LearntLayer,
    require_positive,
    with_learnt,
)

K1, K2, K3 = 0.63576, 1.87320, 1.48695  # equation 14
SMALL = 1e-8  # below any square of a weight or variance that counts


def variational_dropout(  # noqa: PLR0913, all but one by keyword
    model: keras.Model,
    *,
    examples: int,
    weight: float = 1.0,
    threshold: float = 3.0,
    initial_log_variance: float = -10.0,
    exempt: Sequence[str] = (),
) -> keras.Model:
    """The same net with Gaussian noise on each weight, whose variance is learnt.

    A weight whose noise drowns it, log alpha = log(variance / weight^2) above
    `threshold`, is zero in inference. The loss that `fit` minimises is the mean of
    the data's plus `weight` times the divergence from the log-uniform prior over
    `examples`; with `weight` 1, the negative variational lower bound.

    Train it (with `LearntSparsity(warmup=...)` the divergence counts little at first),
    then take `plain_net` of it. Adam is meant to train it; the log variances have a
    long way to go, so they may want a learning rate of their own.

    Args:
        model: functional or a built `Sequential`, trained or not; it stays as it is.
        examples: size of the train split.
        weight: of the divergence; 1 in the paper. More: sparser.
        threshold: of log alpha; 3 in the paper, a binary dropout rate of 0.95.
        initial_log_variance: of all weights.
        exempt: layers that stay dense: "first", "last" or patterns of names.

    Raises:
        ValueError: `model` has no graph or nothing to prune, `examples` or `weight`
            is not positive, `exempt` names no layer, or a layer is of a kind that is
            not known.
    """
    require_positive("examples", examples)
    require_positive("weight", weight)
    require_number("threshold", threshold)
    require_number("initial_log_variance", initial_log_variance)

    def twin(layer):
        return NoisyLayer(
            layer,
            examples=examples,
            weight=weight,
            threshold=threshold,
            initial_log_variance=initial_log_variance,
        )

    return with_learnt(model, twin, exempt)


def kl_divergence(log_alpha):
    """KL(q || log-uniform prior) of each weight, in nats; 0 for infinite noise.

    The approximation of equation 14, less than 0.01 from the integral.

    Args:
        log_alpha: of any shape.
    """
    sigmoid = ops.sigmoid(K2 + K3 * log_alpha)
    return K1 - K1 * sigmoid + 0.5 * ops.softplus(-log_alpha)


@keras.saving.register_keras_serializable("limbeck")
class NoisyLayer(LearntLayer):
    """A layer whose outputs have the noise that its weights would give them.

    That is the local reparametrisation, section 3.2: outputs have the mean of the
    weights' and, as weights are independent, the variance of squared inputs times
    variances.

    Args:
        layer: whose kernel it is.
        examples: size of the train split.
        weight: of the divergence.
        threshold: of log alpha, above which a weight is zero.
        initial_log_variance: of all weights.
    """

    def __init__(  # noqa: PLR0913, as the function above
        self,
        layer: keras.Layer,
        *,
        examples: int,
        weight: float,
        threshold: float,
        initial_log_variance: float,
        **options,
    ):
        super().__init__(layer, examples, **options)
        self.weight = weight
        self.threshold = threshold
        self.initial_log_variance = initial_log_variance

    def build(self, input_shape):
        super().build(input_shape)
        self.log_variance = self.add_weight(
            name="log_variance",
            shape=self.layer.kernel.shape,
            initializer=keras.initializers.Constant(self.initial_log_variance),
            regularizer=self.regulariser,
        )

    def log_alpha(self, log_variance):
        """log(variance / weight^2)."""
        squares = ops.square(ops.cast(self.layer.kernel, "float32"))
        return ops.cast(log_variance, "float32") - ops.log(squares + SMALL)

    def penalty(self, learnt):
        return self.weight * ops.sum(kl_divergence(self.log_alpha(learnt)))

    def kept_kernel(self):
        kept = self.log_alpha(self.log_variance) < self.threshold
        return self.layer.kernel * ops.cast(kept, self.layer.kernel.dtype)

    def noisy(self, x):
        mean = self.linear(x, ops.cast(self.layer.kernel, x.dtype))
        squares = ops.square(ops.cast(x, "float32"))  # float16 has no small variances
        variances = ops.exp(ops.cast(self.log_variance, "float32"))
        deviation = ops.sqrt(self.linear(squares, variances) + SMALL)
        noise = keras.random.normal(ops.shape(mean), dtype="float32", seed=self.seeds)
        return ops.cast(mean, "float32") + deviation * noise

    def get_config(self):
        return super().get_config() | {
            "weight": self.weight,
            "threshold": self.threshold,
            "initial_log_variance": self.initial_log_variance,
        }
