"""How a file is used: what its images and its logits are, as training left them.

Every stage writes `deploy.json` beside its files, and `limbeck export` writes
`NAME.deploy.json` beside NAME.tflite.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from experiments.files import read_json, write_json
from experiments.schema import Count, Finite, Positive

if TYPE_CHECKING:
    from experiments.data import Data, Split

NAME = "deploy.json"
INPUT = "float32 (pixels / 255 - mean) / std, RGB or grey, rows first"
OUTPUT = "logits, one for each class"
WAY_OUT = "restore it, or delete it to do without"


class DeploymentRecord(TypedDict):
    """What must stand in the file."""

    image_shape: list[Count]
    mean: list[Finite]
    std: list[Positive]
    class_names: list[str]


@dataclass(frozen=True)
class Deployment:
    """What whoever runs a file must know.

    Attributes:
        image_shape: (height, width, channels).
        mean, std: of the train pixels / 255, per channel.
        class_names: logit i is that of class_names[i].
    """

    image_shape: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    class_names: tuple[str, ...]

    @classmethod
    def of(cls, data: "Data") -> "Deployment":
        """Of nets that are trained on `data`."""
        return cls(data.image_shape, data.mean, data.std, data.class_names)

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        record = {"input": INPUT, **dataclasses.asdict(self), "output": OUTPUT}
        write_json(path, record)

    def write_beside(self, exported: Path) -> None:
        """Write it where `beside` finds it for this file or folder."""
        self.write(_own(exported))

    def fitted(self, data: "Data") -> "Data":
        """`data` as the file takes it: its pixels' statistics, its classes by name.

        Raises:
            ValueError: a class is none of the file's; names it.
        """
        unknown = [name for name in data.class_names if name not in self.class_names]
        if unknown:
            raise ValueError(
                f"{data.name} has classes that the model was not trained on: "
                f"{', '.join(unknown[:5])}; its own are "
                f"{', '.join(self.class_names[:10])}"
            )
        where = np.array([self.class_names.index(name) for name in data.class_names])
        parts = {
            part: _relabelled(getattr(data, part), where)
            for part in ("train", "validation", "test")
        }
        return dataclasses.replace(
            data, mean=self.mean, std=self.std, class_names=self.class_names, **parts
        )


def beside(path: Path) -> Deployment | None:
    """What lies beside an exported file or a .keras file; None if nothing does.

    Raises:
        ValueError: what lies there cannot be read; names it.
    """
    for record in (_own(path), path.parent / NAME):
        if record.is_file():
            return read(record)
    return None


def read(path: Path) -> Deployment:
    """What `path` says.

    Raises:
        ValueError: it does not say it as limbeck writes it; names it.
    """
    record = read_json(path, DeploymentRecord, way_out=WAY_OUT)
    found = Deployment(
        *(tuple(record[field.name]) for field in dataclasses.fields(Deployment))
    )
    channels = found.image_shape[2:]
    if (len(found.mean),) != channels or (len(found.std),) != channels:
        raise ValueError(
            f"{path} must have image_shape (height, width, channels), and mean and "
            f"std of each channel, got {found.image_shape}, {found.mean} and "
            f"{found.std}; {WAY_OUT}"
        )
    return found


def _own(path: Path) -> Path:
    return path.with_name(f"{path.stem if path.suffix else path.name}.{NAME}")


def _relabelled(split: "Split", where: np.ndarray) -> "Split":
    """Labels i become where[i]."""
    labels = None if split.labels is None else where[split.labels]
    stream = split.stream
    if stream is not None:

        def stream():
            import tensorflow as tf

            return split.stream().map(lambda x, label: (x, tf.gather(where, label)))

    return dataclasses.replace(split, labels=labels, stream=stream)
