"""A stage starts from a net that Keras ships."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from experiments.data import Data
from experiments.stages.heads import with_head

# What the ImageNet weights of a family expect as (mean, std) of pixels from 0 to 1;
# where it is not listed the channels are in another order (blue, green, red).
MINUS_ONE_TO_ONE = ((0.5,) * 3, (0.5,) * 3)
AS_STORED = ((0.0,) * 3, (1 / 255,) * 3)  # 0 to 255: normalised inside the net
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
EXPECTED = {
    "ConvNeXt": AS_STORED,
    "DenseNet": IMAGENET,
    "EfficientNet": AS_STORED,
    "Inception": MINUS_ONE_TO_ONE,
    "MobileNetV3": AS_STORED,
    "MobileNet": MINUS_ONE_TO_ONE,
    "NASNet": MINUS_ONE_TO_ONE,
    "Xception": MINUS_ONE_TO_ONE,
}


@dataclass(frozen=True)
class Application:
    """A net of `keras.applications`, with a new head.

    Attributes:
        name: of its builder there, as "MobileNetV2".
        options: of the builder, as {"alpha": 0.35}.
        weights: None: random; "imagenet": Keras fetches them (then see
            `Recipe.normalisation`).

    Raises:
        ValueError: there is no such net, or nothing is known of such weights.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    weights: str | None = None

    def __post_init__(self):
        if self.name not in _names():
            raise ValueError(
                f"keras.applications has no net called {self.name!r}; choose from "
                f"{', '.join(_names())}"
            )
        if self.weights not in (None, "imagenet"):
            raise ValueError(
                f'weights must be None or "imagenet", got {self.weights!r}; load your '
                "own with File"
            )
        if self.weights and self._expected() is None:
            raise ValueError(
                f"the ImageNet weights of {self.name} expect blue before red, which "
                "no normalisation gives; choose another net, or weights=None"
            )

    def built(self, data: Data) -> keras.Model:
        """A new net for the images and classes of `data`.

        Raises:
            ValueError: the net cannot take such images or options, or its weights
                expect pixels that are normalised otherwise.
            OSError: the weights cannot be fetched.
        """
        if self.weights:
            self._require_normalisation(data)
        try:
            body = getattr(keras.applications, self.name)(
                include_top=False,
                pooling="avg",
                input_shape=tuple(data.image_shape),
                weights=self.weights,
                **self.options,
            )
        except TypeError as error:  # an option that the builder does not have
            raise ValueError(f"{self.name}: {error}") from error
        return with_head(body, len(data.class_names))

    source = built

    def _require_normalisation(self, data):
        expected = self._expected()
        if not np.allclose((data.mean, data.std), expected, atol=1e-3):
            raise ValueError(
                f"the ImageNet weights of {self.name} expect pixels less "
                f"{expected[0]} and divided by {expected[1]}: set normalisation to "
                "these"
            )

    def _expected(self):
        """The longest family's name that fits: MobileNetV3 before MobileNet."""
        families = [name for name in EXPECTED if self.name.startswith(name)]
        # ResNet50V2 and the like are scaled, ResNet50 is in another order.
        if self.name.startswith("ResNet") and self.name.endswith("V2"):
            return MINUS_ONE_TO_ONE
        return EXPECTED[max(families, key=len)] if families else None


def _names():
    return [
        name
        for name, builder in vars(keras.applications).items()
        if callable(builder) and name[0].isupper()
    ]
