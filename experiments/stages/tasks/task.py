"""What a task must say of itself."""

from dataclasses import dataclass
from typing import Any, ClassVar

import keras

from experiments.training.optimizers import LabelLoss


@dataclass(frozen=True)
class Task:
    """Learned from images alone: they give what is asked and the answer.

    A task also has a field `kind`, its name in recipe.json.

    Attributes:
        what: in words.
        views: augmented views of each image that go into a batch together.
        accuracy: whether the answer is a class, which is right or wrong.
    """

    what: ClassVar[str] = ""
    views: ClassVar[int] = 1
    accuracy: ClassVar[bool] = True

    def check(self, image_shape: tuple[int, int, int]) -> None:
        """Raises ValueError where such images cannot be used."""

    def net(self, backbone: keras.Model) -> keras.Model:
        """The backbone under the head of this task, which is thrown away afterwards."""
        raise NotImplementedError

    def batch(self, *views: Any) -> tuple[Any, Any]:
        """(inputs, targets) of the net, from `views` batches of the same images.

        Args:
            views: TensorFlow tensors (batch, height, width, channels) float32.
        """
        raise NotImplementedError

    def loss(self) -> keras.losses.Loss:
        """Of targets and what the net puts out."""
        return LabelLoss()
