"""Zeros stay zero while a net is trained further."""

from collections.abc import Callable, Sequence

import keras
from keras import ops

from compression.arguments import names
from compression.choice import exempted, layer_path
from compression.projection import Projection


class KeepZeros(Projection):
    """Holds the zeros that kernels have when training begins.

    The net may have got them from any pruning, from `plain_net` or from a file.

    Args:
        exempt: layers whose zeros are free: "first", "last" or patterns of names.
        select: keeps the kernels for which it is true; all of them by default.

    Raises:
        ValueError: in `fit`: there is no kernel, or a name matches no layer.
    """

    def __init__(
        self,
        exempt: Sequence[str] = (),
        select: Callable[[keras.Variable], bool] | None = None,
    ):
        super().__init__(select)
        self.exempt = names("exempt", exempt)

    def chosen(self, model):
        spared = exempted(model, self.exempt)
        return [v for v in super().chosen(model) if layer_path(v) not in spared]

    def initial_state(self, variable):
        return (ops.convert_to_numpy(variable) != 0).astype(variable.dtype)

    def project(self, value, state):
        return value * ops.cast(state, value.dtype)
