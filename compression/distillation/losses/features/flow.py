"""FSP: how features flow from one layer to a later one, as the teacher's do.

Yim, Joo, Bae, Kim, "A Gift from Knowledge Distillation: Fast Optimization, Network
Minimization and Transfer Learning" (CVPR 2017),
https://openaccess.thecvf.com/content_cvpr_2017/html/Yim_A_Gift_From_CVPR_2017_paper.html
"""

import keras
from keras import ops

from compression.distillation.losses.feature_loss import (
    FeatureLoss,
    projector,
    require_maps,
    smaller_size,
    where_channels_differ,
)
from compression.distillation.losses.features.hints import hint_loss
from compression.distillation.losses.pooling import max_to


def flow(first, second):
    """The FSP matrix: mean over positions of all products of two layers' channels.

    Equation 1. The larger map is max-pooled to the other's size (section 3.2).

    Args:
        first: (batch, height, width, channels).
        second: (batch, height, width, channels) of any other size and channels.

    Returns:
        (batch, channels of first, channels of second) float32.
    """
    first, second = (ops.cast(f, "float32") for f in (first, second))
    size = smaller_size(first.shape, second.shape)
    first, second = (
        f if tuple(f.shape[1:3]) == size else max_to(f, size) for f in (first, second)
    )
    return ops.einsum("bhwi,bhwj->bij", first, second) / (size[0] * size[1])


def flow_loss(teacher, student):
    """Mean squared difference of the two flows, per example.

    Equation 2 has the sum; the mean does not depend on the number of channels.

    Args:
        teacher: two maps, as `flow` takes them.
        student: two maps of the same channels.

    Returns:
        (batch,) float32.
    """
    return hint_loss(flow(*teacher), flow(*student))


@keras.saving.register_keras_serializable("limbeck")
class FlowOfSolution(FeatureLoss):
    """`flow_loss` between each layer and the next one named, summed.

    Where the channels differ, the student's map goes through a projector (1x1
    convolution); the paper's nets have equal channels. For its two stages, train once
    with this part alone.

    Raises:
        ValueError: there are fewer than two layers, or one gives no map.
    """

    match_sizes = False  # a flow has no positions

    def __init__(self, teacher, student, weight=1.0, name="flow_of_solution"):
        super().__init__(teacher, student, weight, name)
        if len(self.teacher_layers) < 2:
            raise ValueError(
                f"{name} goes from layer to layer: name at least two, got "
                f"{list(self.teacher_layers)}"
            )

    def prepare(self, teacher_shapes, student_shapes):
        require_maps(self.name, [*teacher_shapes, *student_shapes])
        self.projectors = where_channels_differ(
            projector, teacher_shapes, student_shapes
        )

    def values(self, teacher, student, batch):
        own = [
            project(feature)
            for project, feature in zip(self.projectors, student, strict=True)
        ]
        pairs = zip(teacher, teacher[1:], own, own[1:], strict=False)
        return sum(flow_loss((a, b), (c, d)) for a, b, c, d in pairs)
