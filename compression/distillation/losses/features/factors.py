"""Factor transfer: the student learns a paraphrase of the teacher's features.

Kim, Park, Kwak, "Paraphrasing Complex Network: Network Compression via Factor
Transfer" (NeurIPS 2018), https://arxiv.org/abs/1802.04977
"""

from collections.abc import Sequence

import keras
from keras import ops

from compression.arguments import require_number
from compression.distillation.losses.feature_loss import FeatureLoss, require_maps
from compression.distillation.losses.features.hints import hint_loss
from compression.distillation.losses.geometry import flat, unit_length

CHANNELS_LAST = "channels_last"  # whatever Keras is set to
SLOPE = 0.1  # of the leaky ReLUs, section 3


def factor_loss(teacher, student):
    """Mean absolute difference of two factors, each at unit length, per example.

    Equation 3 with p = 1, but the mean instead of the sum: so do the authors, whose
    weight of 500 belongs to it.

    Args:
        teacher: (batch, ...).
        student: of the same shape.

    Returns:
        (batch,) float32.
    """
    teacher, student = (unit_length(flat(factor)) for factor in (teacher, student))
    return ops.mean(ops.abs(teacher - student), axis=-1)


class Convolutions(keras.layers.Layer):
    """3x3 convolutions of `widths`, each followed by a leaky ReLU."""

    def __init__(self, widths: Sequence[int]):
        super().__init__(dtype="float32")
        self.layers = [
            keras.layers.Conv2D(
                width, 3, padding="same", data_format=CHANNELS_LAST, dtype="float32"
            )
            for width in widths
        ]

    def build(self, shape):
        for layer in self.layers:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.built = True

    def call(self, maps):
        for layer in self.layers:
            maps = ops.leaky_relu(layer(maps), SLOPE)
        return maps


@keras.saving.register_keras_serializable("limbeck")
class FactorTransfer(FeatureLoss):
    """`factor_loss` of each pair of layers, summed, as a part of a `Distiller`.

    A paraphraser, an autoencoder of the teacher's map, makes the teacher's factor; a
    translator of the student's map makes the student's. The paper trains the
    paraphraser first; here it learns at the same time, from its own reconstruction
    error, which is added to the loss. No gradient of the factors reaches it, so the
    student cannot change it. Convolutions replace the paper's transposed ones, which
    are the same at stride 1.

    Args:
        rate: channels of a factor, as a share of the teacher's map, in (0, 1].

    Raises:
        ValueError: `rate` is out of its range, or a layer gives no map.
    """

    def __init__(
        self, teacher, student, weight=1.0, rate: float = 0.5, name="factor_transfer"
    ):
        super().__init__(teacher, student, weight, name)
        require_number("rate", rate)
        if not 0 < rate <= 1:
            raise ValueError(f"rate must be in (0, 1], got {rate}")
        self.rate = rate

    def prepare(self, teacher_shapes, student_shapes):
        require_maps(self.name, [*teacher_shapes, *student_shapes])
        self.encoders, self.decoders, self.translators = [], [], []
        for wanted, shape in zip(teacher_shapes, student_shapes, strict=True):
            full, few = wanted[-1], max(1, round(self.rate * wanted[-1]))
            self.encoders.append(Convolutions([full, few, few]))
            self.encoders[-1].build(wanted)
            self.decoders.append(Convolutions([few, full, full]))
            self.decoders[-1].build((*wanted[:-1], few))
            self.translators.append(Convolutions([shape[-1], few, few]))
            self.translators[-1].build(shape)

    def values(self, teacher, student, batch):
        total = 0.0
        for feature, own, encode, decode, translate in zip(
            teacher,
            student,
            self.encoders,
            self.decoders,
            self.translators,
            strict=True,
        ):
            factor = encode(feature)
            total += hint_loss(feature, decode(factor))
            total += factor_loss(ops.stop_gradient(factor), translate(own))
        return total

    def get_config(self):
        return super().get_config() | {"rate": self.rate}
