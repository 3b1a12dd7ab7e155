"""How a file is used: what its images and its logits are, as training left them.

Every stage writes `deploy.json` beside its files, and `limbeck export` writes
`NAME.deploy.json` beside NAME.tflite. It is all that whoever writes an app must know;
`deploy.py` and, for files of int8, `deploy.c` beside it use it. Whose a record is says
`experiments/whose.py`.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from compression.atomic import replacing
from experiments import examples, whose
from experiments.examples.c_program import c_program
from experiments.files import read_json, write_json
from experiments.schema import Count, Finite, Positive, require
from experiments.whose import WAY_OUT

if TYPE_CHECKING:
    from experiments.data import Data, Split

INPUT = "float32 (pixels / 255 - mean) / std, RGB or grey, rows first"
OUTPUT = "{}, one for each class"
LOGITS, PROBABILITIES = "logits", "probabilities"
RESIZING = (
    "the square in the middle of the image, resized by bilinear interpolation with "
    "antialiasing, pixels rounded to whole numbers"
)
NO_RESIZING = "none: images are no squares, and come in this size"
REAL = "input = factor[channel] * pixel + offset[channel], pixel from 0 to 255"
CODE = (
    "input = factor[channel] * pixel + offset[channel], pixel from 0 to 255, rounded "
    "to the nearest integer (of two the even one) and cut to lowest and highest"
)
ARCHIVED_AGAIN = "archive the net again with what suits it"


class _Statistics(TypedDict):
    mean: list[Finite]
    std: list[Positive]
    class_names: list[str]


class DeploymentRecord(_Statistics):
    """What must stand in the file, or in an archive."""

    image_shape: list[Count | None]  # a net may leave sizes open


@dataclass(frozen=True)
class Deployment:
    """What whoever runs a file must know.

    Attributes:
        image_shape: (height, width, channels); None is a size that the net leaves
            open.
        mean, std: of the train pixels / 255, per channel.
        class_names: logit i is that of class_names[i].
    """

    image_shape: tuple[int | None, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    class_names: tuple[str, ...]

    @classmethod
    def of(cls, data: "Data") -> "Deployment":
        """Of nets that are trained on `data`."""
        return cls(data.image_shape, data.mean, data.std, data.class_names)

    def of_archive(self) -> dict[str, tuple]:
        """What `export.archive` takes of it, by name."""
        return {name: getattr(self, name) for name in ("class_names", "mean", "std")}

    def write(
        self,
        path: Path,
        exported: Sequence[Path] = (),
        kept: Mapping[str, Any] | None = None,
    ) -> None:
        """Write it as JSON, with what it says of each file, and programs beside it.

        Args:
            path: of the JSON file.
            exported: files and SavedModel folders, in the folder of `path`.
            kept: what is said of other files there already; they have their programs.
        """
        files = {file.name: self._file(file) for file in exported}
        of_all = {**(kept or {}), **files}
        given = PROBABILITIES if _gives_probabilities(of_all.values()) else LOGITS
        record = {
            "input": INPUT,
            **dataclasses.asdict(self),
            "channels": "RGB" if self.image_shape[-1] == 3 else "grey",
            "resizing": RESIZING if self._is_of_squares else NO_RESIZING,
            "output": OUTPUT.format(given),
            "files": of_all,
        }
        write_json(path, record)
        lite = [name for name in files if name.endswith(".tflite")]
        if lite:
            program = Path(examples.__file__).with_name("classify.py")
            _write_text(path.with_suffix(".py"), program.read_text(encoding="utf-8"))
        in_integers = [name for name, file in of_all.items() if _is_of_integers(file)]
        made = [name for name in in_integers if name in files]
        if made:
            [name, *_] = made
            text = c_program(name, files[name], self.image_shape, self.class_names)
            _write_text(path.with_suffix(".c"), text)
        elif not in_integers:  # one there is of a file that was replaced
            path.with_suffix(".c").unlink(missing_ok=True)

    @property
    def _is_of_squares(self):
        height, width, _ = self.image_shape
        return height == width

    def write_beside(self, exported: Path) -> None:
        """Write it where `beside` finds it for this file or folder.

        Raises:
            ValueError: as `require_beside`; or the file is damaged. Nothing is written.
        """
        self.require_beside(exported)
        record = whose.own(exported)
        self.write(record, [exported], whose.others(record, exported))

    def require_beside(self, path: Path) -> None:
        """Check, before `path` is written, that this can stand beside it.

        Raises:
            ValueError: a record there is of another file, too, of which it says
                something else.
        """
        record = whose.own(path)
        others = [
            record.parent / name
            for name, entry in whose.others(record, path).items()
            if whose.is_as_listed(record.parent / name, entry)
        ]
        if others and not self._says_the_same(read(record)):
            raise ValueError(
                f"{path} must have another name than {others[0]}: {record} says what "
                "images and classes that has, and those of the new file are others; "
                "give another name, or remove what is there"
            )

    def _says_the_same(self, other):
        return all(
            tuple(getattr(self, field.name)) == tuple(getattr(other, field.name))
            for field in dataclasses.fields(Deployment)
        )

    def _file(self, path):
        """What the record says of one exported file."""
        from compression import export
        from experiments.runs.fingerprints import of_file

        found: dict[str, Any] = {"sha256": of_file(path)}
        if path.suffix != ".tflite" and not path.is_dir():
            return found  # a Keras model, which takes `input`
        scale, zero_point, range_ = 1.0, 0, None
        if path.suffix == ".tflite":
            runner = export.load(path)
            takes = runner.takes
            found |= {"input": takes._asdict(), "output": runner.gives._asdict()}
            if takes.scale is not None:
                scale, zero_point = takes.scale, takes.zero_point
                range_ = takes.code_range
        else:
            output = {"name": _output_of(path), "dtype": "float32"}
            found |= {"input": {"dtype": "float32"}, "output": output}
        # (pixel / 255 - mean) / std, and of that the code: scale and zero point.
        statistics = list(zip(self.mean, self.std, strict=True))
        rule = {
            "formula": REAL if range_ is None else CODE,
            "factor": [1 / (255 * std * scale) for _, std in statistics],
            "offset": [zero_point - mean / (std * scale) for mean, std in statistics],
        }
        if range_ is not None:
            rule |= {"lowest": range_[0], "highest": range_[1]}
        return found | {"pixels": rule}

    def fitted(self, data: "Data") -> "Data":
        """`data` as the file takes it: its pixels' statistics, its classes by name.

        Data without labels get the file's classes, and stay without labels of them.

        Raises:
            ValueError: a class is none of the file's; names it. Or the file has none.
        """
        own = {"mean": self.mean, "std": self.std, "class_names": self.class_names}
        if not data.class_names:
            return dataclasses.replace(data, **own)
        if not self.class_names:
            raise ValueError(
                "the model has learned no classes, only images without labels: limbeck "
                "transfer teaches it some"
            )
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
        return dataclasses.replace(data, **own, **parts)


def beside(path: Path) -> Deployment | None:
    """What lies beside an exported file or a .keras file; None if nothing does.

    Raises:
        ValueError: what lies there cannot be read, or is of another file of that name;
            names it.
    """
    record = whose.found(path)
    return None if record is None else read(record)


def of_file(path: Path) -> Deployment | None:
    """What an archive says itself; else what lies beside a file; None if none does.

    Raises:
        ValueError: one of them cannot be read, or what lies beside is of another file
            of that name; names it.
    """
    said = _of_archive(path) if path.suffix == ".limbeck" else None
    if said is None:
        return beside(path)
    if None in said.image_shape:
        # The net leaves sizes open: a record that agrees knows those of its images.
        known = beside(path)
        if known and dataclasses.replace(known, image_shape=said.image_shape) == said:
            return known
    return said


def _of_archive(path):
    from compression import export

    contents = export.read_archive(path, weights=False)
    image_shape = _image_shape(contents.config)
    if not contents.class_names or not contents.mean or image_shape is None:
        return None
    about = {x: list(getattr(contents, x)) for x in ("mean", "std", "class_names")}
    record = {"image_shape": image_shape, **about}
    try:
        require(record, DeploymentRecord)
    except ValueError as error:
        raise ValueError(f"{path}: {error}; {ARCHIVED_AGAIN}") from error
    return _of_record(record, path, ARCHIVED_AGAIN)


def read(path: Path) -> Deployment:
    """What `path` says.

    Raises:
        ValueError: it does not say it as limbeck writes it; names it.
    """
    record = read_json(path, DeploymentRecord, way_out=WAY_OUT)
    return _of_record(record, path, WAY_OUT)


def _of_record(record, path, way_out):
    found = Deployment(
        *(tuple(record[field.name]) for field in dataclasses.fields(Deployment))
    )
    suits = len(found.image_shape) == 3 and len(found.mean) == len(found.std)
    if not suits or found.image_shape[2] not in (None, len(found.mean)):
        raise ValueError(
            f"{path} must have image_shape (height, width, channels), and mean and "
            f"std of each channel, got {found.image_shape}, {found.mean} and "
            f"{found.std}; {way_out}"
        )
    return found


def _image_shape(config):
    """Of an archive's model; None where its config does not say it."""
    inner = config.get("config")
    layers = inner.get("layers") if isinstance(inner, dict) else None
    first = layers[0] if isinstance(layers, list) and layers else None
    inner = first.get("config") if isinstance(first, dict) else None
    shape = inner.get("batch_shape") if isinstance(inner, dict) else None
    return shape[1:] if isinstance(shape, list) else None


def _output_of(folder: Path) -> str:
    """The name of a SavedModel's output; nothing is loaded."""
    from tensorflow.core.protobuf import saved_model_pb2

    content = (folder / "saved_model.pb").read_bytes()
    [graph] = saved_model_pb2.SavedModel.FromString(content).meta_graphs
    [name] = graph.signature_def["serving_default"].outputs
    return name


def _gives_probabilities(files):
    """Whether one of them does, of what a record says of files."""
    return any(_end(file, "output").get("name") == PROBABILITIES for file in files)


def _is_of_integers(file):
    """Whether a file takes and gives int8, of what a record says of it."""
    return all(_end(file, end).get("dtype") == "int8" for end in ("input", "output"))


def _end(file, name):
    """What a record, perhaps an altered one, says of a file's input or output."""
    found = file.get(name) if isinstance(file, dict) else None
    return found if isinstance(found, dict) else {}


def _write_text(path: Path, text: str) -> None:
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")


def _relabelled(split: "Split", where: np.ndarray) -> "Split":
    """Labels i become where[i]."""
    labels = None if split.labels is None else where[split.labels]
    stream = split.stream
    if stream is not None:

        def stream():
            import tensorflow as tf

            return split.stream().map(lambda x, label: (x, tf.gather(where, label)))

    return dataclasses.replace(split, labels=labels, stream=stream)
