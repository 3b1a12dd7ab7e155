"""A stage starts from a net of the catalogue."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras

import architectures
from experiments.data import Data
from experiments.data.normalisation import AROUND_ZERO, IMAGENET
from experiments.stages import published_weights

# What published weights expect of pixels, where that is not ImageNet's.
EXPECTED = {"googlenet_bn": AROUND_ZERO}


@dataclass(frozen=True)
class Net:
    """A net of the catalogue: its name and what its builder takes beside the data's.

    Attributes:
        name: in the catalogue.
        options: of its builder.
        weights: what it starts from: None, random; "published", or the path of a file
            of published weights (then see `Recipe.normalisation`).
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    weights: str | None = None

    def __post_init__(self):
        architectures.card(self.name)  # or the error lists the nets

    @property
    def normalisation(self) -> str | None:
        """What its weights expect, as `Recipe.normalisation` takes it; None: anything.

        Those that the catalogue publishes expect ImageNet's, CIFAR's too, but for
        GoogLeNet's.
        """
        return EXPECTED.get(self.name, IMAGENET) if self.weights else None

    def built(self, data: Data) -> keras.Model:
        """A new net for the images and classes of `data`.

        Raises:
            ValueError: the net cannot take such images, options or weights.
        """
        return self._built(data, len(data.class_names))

    def source(self, data: Data) -> keras.Model:
        """A new net for the images of `data`, with the classes of its weights.

        Raises:
            ValueError: the net cannot take such images, options or weights.
        """
        published = architectures.card(self.name).classes if self.weights else 0
        return self._built(data, published or len(data.class_names))

    def _built(self, data, classes):
        own = {"input_shape": data.image_shape, "classes": classes}
        if given := own.keys() & self.options.keys():
            raise ValueError(
                f"{self.name}: the data decide on {', '.join(sorted(given))}: leave "
                "that out"
            )
        model = architectures.build(self.name, **own, **self.options)
        if self.weights is not None:
            published_weights.load_into(model, self.weights)
        return model
