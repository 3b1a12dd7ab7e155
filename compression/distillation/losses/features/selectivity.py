"""Neuron selectivity transfer: the channels' patterns in space, as a distribution.

Huang & Wang, "Like What You Like: Knowledge Distill via Neuron Selectivity Transfer"
(2017), https://arxiv.org/abs/1707.01219
"""

import keras
from keras import ops

from compression.arguments import shown
from compression.distillation.losses.feature_loss import FeatureLoss, require_maps
from compression.distillation.losses.geometry import unit_length


def linear(products):
    """k(x, y) = x.y"""
    return products


def polynomial(products):
    """k(x, y) = (x.y + c)^d with the paper's d = 2, c = 0."""
    return ops.square(products)


def gaussian(products):
    """k(x, y) = exp(-|x - y|^2 / 2 s^2), s^2 being the mean of |x - y|^2.

    The mean goes over all patterns of both nets, and is a constant to the gradient.
    """
    squares = ops.diagonal(products, axis1=-2, axis2=-1)
    distances = squares[:, :, None] + squares[:, None, :] - 2 * products
    spread = ops.stop_gradient(ops.mean(distances, axis=(1, 2), keepdims=True))
    return ops.exp(-distances / (2 * ops.where(spread > 0, spread, 1.0)))


KERNELS = {"gaussian": gaussian, "linear": linear, "polynomial": polynomial}


def patterns(feature):
    """Each channel as a vector of unit length: (batch, channels, positions)."""
    batch, channels = ops.shape(feature)[0], feature.shape[-1]
    rows = ops.reshape(feature, (batch, -1, channels))
    return unit_length(ops.transpose(rows, (0, 2, 1)))


def selectivity_loss(teacher, student, *, kernel: str):
    """Squared maximum mean discrepancy of the channels' patterns, per example.

    Where the paper weighs it lambda / 2, the weight here is the whole.

    Args:
        teacher: (batch, height, width, channels).
        student: of the same height and width.
        kernel: "polynomial", "linear" or "gaussian".

    Returns:
        (batch,) float32, at least 0 (but for rounding). Takes memory for the square
        of the sum of both channels, for each example.

    Raises:
        ValueError: there is no such kernel.
    """
    require_kernel(kernel)
    both = ops.concatenate([patterns(teacher), patterns(student)], axis=1)
    products = ops.matmul(both, ops.transpose(both, (0, 2, 1)))
    # Kernels within a net count positive, between the nets negative.
    share = ops.concatenate(
        [
            ops.full((net.shape[-1],), sign / net.shape[-1], dtype="float32")
            for net, sign in ((teacher, 1.0), (student, -1.0))
        ],
        axis=0,
    )
    return ops.matmul(ops.matmul(KERNELS[kernel](products), share), share)


def require_kernel(kernel: str) -> str:
    """`kernel` itself.

    Raises:
        ValueError: there is no such kernel.
    """
    if not isinstance(kernel, str) or kernel not in KERNELS:
        raise ValueError(
            f"no kernel called {shown(kernel)}; choose from {sorted(KERNELS)}"
        )
    return kernel


@keras.saving.register_keras_serializable("limbeck")
class NeuronSelectivity(FeatureLoss):
    """`selectivity_loss` of each pair of maps, summed, as a part of a `Distiller`.

    The channels need not match. The paper's weight (half its lambda) is 25 with the
    polynomial kernel.
    """

    def __init__(
        self,
        teacher,
        student,
        kernel: str = "polynomial",
        weight=1.0,
        name="neuron_selectivity",
    ):
        super().__init__(teacher, student, weight, name)
        self.kernel = require_kernel(kernel)

    def prepare(self, teacher_shapes, student_shapes):
        require_maps(self.name, [*teacher_shapes, *student_shapes])

    def values(self, teacher, student, batch):
        return sum(
            selectivity_loss(*pair, kernel=self.kernel)
            for pair in zip(teacher, student, strict=True)
        )

    def get_config(self):
        return super().get_config() | {"kernel": self.kernel}
