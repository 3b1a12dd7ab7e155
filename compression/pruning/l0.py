"""L0 regularisation: gates on the weights learn whether they are there at all.

Louizos, Welling, Kingma (2018), "Learning Sparse Neural Networks through L0
Regularization", https://arxiv.org/abs/1712.01312, section 2.
"""

import math
from collections.abc import Sequence

import keras
from keras import ops

from compression.arguments import require_number
from compression.pruning.learnt_sparsity import (
    LearntLayer,
    require_positive,
    with_learnt,
)

TEMPERATURE = 2 / 3  # section 4: of the concrete distribution
LOW, HIGH = -0.1, 1.1  # section 4: to which it is stretched before it is cut to [0, 1]
SPREAD = 0.01  # of the first log alphas, as in the authors' code
GATES = ("weight", "input")


def l0_gates(  # noqa: PLR0913, all but one by keyword
    model: keras.Model,
    *,
    examples: int,
    weight: float = 1.0,
    gates: str = "weight",
    closed: float = 0.1,
    exempt: Sequence[str] = (),
) -> keras.Model:
    """The same net with a gate from 0 to 1 on each weight, which it learns to close.

    In training gates are random, from the hard concrete distribution, one sample a
    step for all examples, where the paper's dense layers draw one for each; in
    inference they are what equation 13 gives, many of them exactly 0. The loss that
    `fit` minimises is the mean of the data's plus `weight` times the expected number
    of weights that are not zero, over `examples`.

    Train it, perhaps with `LearntSparsity(warmup=...)`, then take `plain_net` of it:
    weights times gates.

    Args:
        model: functional or a built `Sequential`, trained or not; it stays as it is.
        examples: size of the train split.
        weight: lambda of the paper times `examples`, which gives it so.
        gates: "weight": one for each; "input": one for all weights of an input unit or
            channel, as in the paper, so that `remove_channels` finds whole ones.
        closed: of a gate before training, the dropout rate, 0 < closed < 1.
        exempt: layers that stay dense: "first", "last" or patterns of names.

    Raises:
        ValueError: `model` has no graph or nothing to prune, a value is out of its
            range, `exempt` names no layer, or a layer is of a kind that is not known.
    """
    require_positive("examples", examples)
    require_positive("weight", weight)
    if gates not in GATES:
        raise ValueError(f"no gates called {gates!r}; choose from {', '.join(GATES)}")
    require_number("closed", closed)
    if not 0 < closed < 1:
        raise ValueError(f"closed must be in (0, 1), got {closed}")

    def twin(layer):
        return GatedLayer(
            layer, examples=examples, weight=weight, gates=gates, closed=closed
        )

    return with_learnt(model, twin, exempt)


def open_probability(log_alpha):
    """How likely a gate is not 0, equation 12; its sum is the expected L0 norm."""
    return ops.sigmoid(log_alpha - TEMPERATURE * math.log(-LOW / HIGH))


def sampled_gates(log_alpha, uniform):
    """Hard concrete gates, equations 10 and 11.

    Args:
        log_alpha: of any shape.
        uniform: numbers in (0, 1), of that shape.
    """
    logits = ops.log(uniform) - ops.log(1 - uniform) + log_alpha
    return _stretched(ops.sigmoid(logits / TEMPERATURE))


def inference_gates(log_alpha):
    """What gates are without noise, equation 13."""
    return _stretched(ops.sigmoid(log_alpha))


@keras.saving.register_keras_serializable("limbeck")
class GatedLayer(LearntLayer):
    """A layer whose kernel is multiplied by gates.

    Args:
        layer: whose kernel it is.
        examples: size of the train split.
        weight: of the expected number of weights.
        gates: "weight" or "input".
        closed: dropout rate of a gate before training.
    """

    def __init__(  # noqa: PLR0913, as the function above
        self,
        layer: keras.Layer,
        *,
        examples: int,
        weight: float,
        gates: str,
        closed: float,
        **options,
    ):
        super().__init__(layer, examples, **options)
        self.weight = weight
        self.gates = gates
        self.closed = closed

    def build(self, input_shape):
        super().build(input_shape)
        shape = tuple(self.layer.kernel.shape)
        if self.gates == "input":  # (..., inputs of a group, outputs of all groups)
            groups = getattr(self.layer, "groups", 1)
            shape = (*(1 for _ in shape[:-2]), shape[-2], groups)
        self.log_alpha = self.add_weight(
            name="log_alpha",
            shape=shape,
            initializer=keras.initializers.RandomNormal(
                math.log((1 - self.closed) / self.closed), SPREAD
            ),
            regularizer=self.regulariser,
        )

    def penalty(self, learnt):
        weights_of_a_gate = math.prod(self.layer.kernel.shape) / math.prod(learnt.shape)
        return self.weight * weights_of_a_gate * ops.sum(open_probability(learnt))

    def kept_kernel(self):
        gates = inference_gates(ops.cast(self.log_alpha, "float32"))
        return self._gated(ops.cast(gates, self.layer.kernel.dtype))

    def noisy(self, x):
        log_alpha = ops.cast(self.log_alpha, "float32")
        low = keras.config.epsilon()  # the logarithms of 0 are infinite
        uniform = keras.random.uniform(
            ops.shape(log_alpha), low, 1 - low, dtype="float32", seed=self.seeds
        )
        gates = sampled_gates(log_alpha, uniform)
        return self.linear(x, ops.cast(self._gated(gates), x.dtype))

    def _gated(self, gates):
        """The kernel times its gates; outputs of a group share those of its inputs."""
        kernel = self.layer.kernel
        if self.gates == "input" and gates.shape[-1] > 1:
            gates = ops.repeat(gates, kernel.shape[-1] // gates.shape[-1], axis=-1)
        return kernel * gates

    def get_config(self):
        return super().get_config() | {
            "weight": self.weight,
            "gates": self.gates,
            "closed": self.closed,
        }


def _stretched(gates):
    return ops.clip(gates * (HIGH - LOW) + LOW, 0.0, 1.0)
