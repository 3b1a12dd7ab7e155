"""A stage starts from a net that Keras ships."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from compression.nearest import did_you_mean
from compression.one_line import in_one_line
from experiments.data import Data
from experiments.data.colours import other_colours
from experiments.data.image_input import RGB
from experiments.data.normalisation import AS_STORED, CAFFE, of_application, statistics
from experiments.stages.heads import with_head


@dataclass(frozen=True)
class Application:
    """A net of `keras.applications`, with a new head.

    Attributes:
        name: of its builder there, as "MobileNetV2".
        options: of the builder, as {"alpha": 0.35}.
        weights: None: random; "imagenet": Keras fetches them (then see
            `Recipe.normalisation`).

    Raises:
        ValueError: there is no such net or option, or nothing is known of such
            weights.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    weights: str | None = None

    def __post_init__(self):
        if self.name not in _names():
            raise ValueError(
                f"keras.applications has no net called {self.name!r}"
                f"{did_you_mean(self.name, _names())}; choose from "
                f"{', '.join(_names())}"
            )
        known = inspect.signature(getattr(keras.applications, self.name)).parameters
        for option in self.options:
            if option not in known:
                raise ValueError(
                    f"{self.name} has no option {option!r}"
                    f"{did_you_mean(option, known)}; it takes {', '.join(known)}"
                )
        if self.weights not in (None, "imagenet"):
            raise ValueError(
                f'weights must be None or "imagenet", got {self.weights!r}; load your '
                "own with File"
            )
        if self.weights and self._expected is None:
            raise ValueError(
                f"what the ImageNet weights of {self.name} expect of pixels is not "
                "known; choose another net, or weights=None"
            )

    def built(self, data: Data) -> keras.Model:
        """A new net for the images and classes of `data`.

        Raises:
            ValueError: the net cannot take such images or options, or its weights
                are of images of other colours or expect pixels that are normalised
                otherwise.
            OSError: the weights cannot be fetched.
        """
        if self.weights:
            self._require_colours(data)
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
        except Exception as error:
            if type(error) is not Exception:  # so bare is Keras's where none come
                raise
            raise ConnectionError(
                f"the ImageNet weights of {self.name} cannot be fetched: "
                f"{in_one_line(error)}; once fetched, Keras keeps them"
            ) from error
        if self.weights and self._expected == CAFFE:
            _red_first(body)
        return with_head(body, len(data.class_names))

    source = built

    @property
    def normalisation(self) -> str | None:
        """What its weights expect, as `Recipe.normalisation` takes it; None: anything.

        Of random ones too, where the net normalises pixels itself.
        """
        expected = self._expected
        return expected if self.weights or expected == AS_STORED else None

    @property
    def _expected(self):
        preprocesses = self.options.get("include_preprocessing", True)
        return of_application(self.name, preprocesses=bool(preprocesses))

    def _require_colours(self, data):
        channels = data.image_shape[-1]
        if channels != RGB:
            raise ValueError(
                f"{self.name} with the weights of ImageNet takes images of {RGB} "
                f"channels, {data.name} has {channels}{other_colours(data.name, RGB)}"
            )

    def _require_normalisation(self, data):
        name = self._expected
        expected = statistics(name, data)
        if not np.allclose((data.mean, data.std), expected, atol=1e-3):
            raise ValueError(
                f"the ImageNet weights of {self.name} expect pixels less "
                f"{expected[0]} and divided by {expected[1]}: set normalisation to "
                f"{name}"
            )


def _red_first(body):
    """Its first kernel, which expects blue, green, red, for red, green, blue."""
    first = next(
        layer for layer in body.layers if isinstance(layer, keras.layers.Conv2D)
    )
    first.kernel.assign(keras.ops.flip(first.kernel, axis=2))


def _names():
    return [
        name
        for name, builder in vars(keras.applications).items()
        if callable(builder) and name[0].isupper()
    ]
