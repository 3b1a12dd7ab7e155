"""A stage starts from somebody's own Keras model, in a file."""

import contextlib
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import keras

from compression import as_logits, export
from compression.data_format import takes_channels_first
from compression.graph import has_graph
from experiments import deployment
from experiments.data import Data
from experiments.runs.fingerprints import of_file
from experiments.stages.heads import class_logits
from experiments.stages.images import of_any_batch, of_size, require_images


@dataclass(frozen=True)
class File:
    """A .keras file with a functional model; a final softmax is taken off.

    Of one output for two classes, perhaps a sigmoid's, two logits are made.

    A run's identity holds the name and the SHA-256 of the file, not where it lies.

    Attributes:
        path: of the file.
        name: the last part of the path.
        sha256: of its bytes, in hex.

    Raises:
        FileNotFoundError: there is no such file.
    """

    path: str = field(metadata={"recorded": False})
    name: str = field(init=False)
    sha256: str = field(init=False)

    def __post_init__(self):
        path = Path(self.path).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f"there is no model file {self.path}")
        object.__setattr__(self, "path", str(path))
        object.__setattr__(self, "name", path.name)
        object.__setattr__(self, "sha256", of_file(path))

    @property
    def image_side(self) -> int | None:
        """Pixels a side of the images that the model takes.

        None: any, or no squares: only arrays (npz:PATH) are such, and they stay so.
        """
        model = export.load_model(self.path)
        if not has_graph(model) or takes_channels_first(model):
            return None
        shape = model.input_shape
        if not isinstance(shape, tuple) or len(shape) != 4 or shape[1] != shape[2]:
            return None
        return shape[1]

    def built(self, data: Data) -> keras.Model:
        """The model in the file, for the images and classes of `data`.

        Raises:
            ValueError: the file holds no such model, or has changed since the recipe
                was made.
        """
        model = self._read(data)
        with self._named_in_errors():
            model = class_logits(model)
        classes = model.output_shape[-1]
        known = deployment.of_file(Path(self.path))
        own = known.class_names if known else data.class_names
        if own != data.class_names and set(own) == set(data.class_names):
            raise ValueError(
                f"{self.path} has the classes of {data.name} in another order: "
                f"{', '.join(own[:10])}"
            )
        if classes != len(data.class_names):
            raise ValueError(
                f"{self.path} knows {classes} classes, {data.name} has "
                f"{len(data.class_names)}"
            )
        if strange := [name for name in data.class_names if name not in own]:
            warnings.warn(
                f"{self.path} was not trained on {', '.join(strange[:5])} but on "
                f"{', '.join(own[:10])}: classes of {data.name} are matched to those "
                "by position",
                stacklevel=2,
            )
        return model

    def source(self, data: Data) -> keras.Model:
        """The model in the file, for the images of `data`, whatever its classes are.

        Where logits cannot be read from its last layer, it ends as it does: its head
        will be taken off.

        Raises:
            ValueError: the file holds no such model, or has changed since the recipe
                was made.
        """
        model = self._read(data)
        if has_graph(model) and len(model.outputs) == 1:
            with contextlib.suppress(ValueError):
                model = as_logits(model)
            return model
        with self._named_in_errors():
            return as_logits(model)  # which says what is wrong

    def _read(self, data):
        if of_file(Path(self.path)) != self.sha256:
            raise ValueError(f"{self.path} has changed since the run began")
        model = export.load(self.path).model
        if model is None:
            raise ValueError(f"{self.path} is no .keras file: give one to start from")
        model = of_size(of_any_batch(model, self.path), data.image_shape)
        require_images(model, data, self.path)
        return model

    @contextlib.contextmanager
    def _named_in_errors(self):
        try:
            yield
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from error
