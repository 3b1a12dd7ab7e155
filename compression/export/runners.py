"""Runs images through models and exported files: one call for every format."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np

from compression.arguments import as_path, require_number, shown
from compression.export.saved_model_ops import BeyondTheModel, check_ops
from compression.export.tensors import Tensor, of_details
from compression.export.unregistered import unregistered
from compression.layer_names import require_compilable_names
from compression.one_line import first_line
from compression.quiet import quiet

# How Keras says that it does not know a layer or function.
UNKNOWN = re.compile(r"Could not locate (?:class|function) '([^']+)'")
OWN_CODE = "`Lambda` layer whose `function` is a Python lambda"
OF_KERAS = (".keras", ".limbeck")  # files that a Keras model is made of
CHUNK = 256  # images at once where a file takes any number: bounds the memory


@dataclass(frozen=True)
class Runner:
    """Images (n, height, width, channels) in, (n, classes) out, both float32.

    Attributes:
        kind: "litert", "saved_model", "keras" or "archive".
        path: where it was loaded from, None for a model in memory.
        input_shape: (height, width, channels).
        batch: number of images in every call of the file, None for any. Calling the
            runner takes any number, this is what it is cut into.
        model: the Keras model, where there is one.
        output: what the file calls its output, "logits" or "probabilities" if limbeck
            wrote it; `outputs.as_logits` makes logits of either.
        takes, gives: the input and the output of a .tflite file as it stores them.
    """

    kind: str
    path: Path | None
    input_shape: tuple[int | None, ...]
    batch: int | None
    run: Callable[[np.ndarray], np.ndarray] = field(repr=False)
    model: keras.Model | None = field(default=None, repr=False)
    output: str | None = None
    takes: Tensor | None = None
    gives: Tensor | None = None

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """What the model gives for `images`, as it is.

        Raises:
            ValueError: there are no images, they have another shape or pixels that are
                not finite; or what was loaded cannot be run on them.
        """
        try:
            images = np.asarray(images, np.float32)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{self.path or self.kind} takes an array of images, got "
                f"{shown(images)}"
            ) from error
        fits = images.ndim == len(self.input_shape) + 1 and all(
            wanted in (None, got)
            for wanted, got in zip(self.input_shape, images.shape[1:], strict=False)
        )
        if not fits or not len(images):
            raise ValueError(
                f"{self.path or self.kind} takes images (n, "
                f"{', '.join(map(str, self.input_shape))}), got {images.shape}"
            )
        if not (finite := np.isfinite(images).reshape(len(images), -1).all(1)).all():
            raise ValueError(  # kernels take NaN for 0, or for the least number
                f"image {np.flatnonzero(~finite)[0]} of a batch has a pixel that is "
                "not finite: leave it out"
            )
        size = self.batch or CHUNK
        return np.concatenate(
            [
                self._run_chunk(images[start : start + size])
                for start in range(0, len(images), size)
            ]
        )

    def _run_chunk(self, images):
        missing = self.batch - len(images) if self.batch else 0
        padding = [(0, missing)] + [(0, 0)] * (images.ndim - 1)
        logits = self.run(np.pad(images, padding) if missing else images)
        return np.asarray(logits, np.float32)[: len(images)]


def load(path: str | Path, *, threads: int = 1) -> Runner:
    """Loads a SavedModel folder, a .tflite, .keras or .limbeck file to run it.

    Args:
        path: what was exported. Layers of a .keras or .limbeck file that Keras does not
            ship must be registered by then: import the modules that define them.
        threads: that LiteRT may use; TensorFlow shares one pool in a process.

    Raises:
        FileNotFoundError: there is nothing at `path`.
        ValueError: what is there is none of the four, or is damaged; or a SavedModel
            has operators that reach files, the network or native code.
    """
    require_number("threads", threads, whole=True)
    if threads < 1:
        raise ValueError(f"threads must be at least 1, got {threads}")
    path = as_path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no model at {path}")
    if path.is_dir():
        return _load_saved_model(path)
    if path.suffix == ".tflite":
        return _load_litert(path, threads)
    if path.suffix in OF_KERAS:
        return _load_keras(path)
    _refuse_former(path)
    raise ValueError(
        f"{path} must be a SavedModel folder, a .tflite, .keras or .limbeck file"
    )


def of_model(model: keras.Model, path: Path | None = None) -> Runner:
    """Runs a Keras model, compiled by its backend, in inference mode."""
    inputs = len(getattr(model, "inputs", None) or ())
    if inputs != 1:
        raise ValueError(
            f"model must be built and have one input, got {type(model).__name__} "
            f"{model.name!r} with {inputs or 'no graph'}"
        )
    require_compilable_names(model)

    def run(images):
        outputs = keras.tree.flatten(model.predict_on_batch(images))
        if len(outputs) != 1:
            raise ValueError(f"{model.name!r} has {len(outputs)} outputs, not one")
        return outputs[0]

    batch, *shape = model.inputs[0].shape
    run = run if path is None else _naming(path, run)
    kind = "archive" if path is not None and path.suffix == ".limbeck" else "keras"
    return Runner(kind, path, tuple(shape), batch, run, model)


def load_model(path: str | Path) -> keras.Model:
    """The model in a .keras or .limbeck file, of any number of inputs and outputs.

    Raises:
        FileNotFoundError: there is nothing at `path`.
        ValueError: it is another kind of file, or is damaged.
    """
    path = as_path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no model at {path}")
    if path.is_file() and path.suffix == ".limbeck":
        from compression.export.archive.models import load_archive

        return load_archive(path)
    _refuse_former(path)
    if path.is_dir() or path.suffix == ".tflite":
        raise ValueError(f"{path} was exported already: give the .keras file before it")
    if path.suffix != ".keras":
        raise ValueError(f"{path} must be a .keras or .limbeck file")
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # zip, JSON, HDF5 and Keras errors, no common base
        if unknown := UNKNOWN.search(str(error)):
            raise ValueError(unregistered(path, unknown[1])) from error
        if OWN_CODE in str(error):
            raise ValueError(
                f"{path} has a Lambda layer, whose code would be run: make it a layer "
                "of Keras's, or a class of your own that is registered"
            ) from error
        raise ValueError(_damaged(path, "Keras file", error)) from error


def _refuse_former(path):
    if path.name.endswith(".weights.h5"):
        raise ValueError(
            f"{path} has weights and no net: build its net, let it load_weights, and "
            "save it as a .keras file"
        )
    if path.suffix in (".h5", ".hdf5"):
        raise ValueError(
            f"{path} is of Keras's former format: load it with keras.models.load_model "
            "and save it as a .keras file"
        )


def _load_keras(path):
    model = load_model(path)
    try:
        return of_model(model, path)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _load_saved_model(path):
    import tensorflow as tf

    try:
        check_ops(path)
        with quiet():
            loaded = tf.saved_model.load(str(path))
        signature = loaded.signatures["serving_default"]
        [(name, spec)] = signature.structured_input_signature[1].items()
        [output] = signature.structured_outputs
        batch, *shape = spec.shape.as_list()
    except BeyondTheModel:
        raise
    except Exception as error:  # OSError, DataLossError, DecodeError, KeyError, ...
        raise ValueError(_damaged(path, "SavedModel with one input", error)) from error

    def run(images, loaded=loaded):  # signatures hold variables weakly: keep them
        return signature(**{name: tf.constant(images)})[output].numpy()

    return Runner(
        "saved_model", path, tuple(shape), batch, _naming(path, run), output=output
    )


def _load_litert(path, threads):
    from ai_edge_litert.interpreter import Interpreter

    content = path.read_bytes()
    try:
        if content[4:8] != b"TFL3":
            raise ValueError("it does not begin like one")
        with quiet():
            interpreter = Interpreter(model_content=content, num_threads=threads)
            interpreter.allocate_tensors()
        [source] = interpreter.get_input_details()
        [target] = interpreter.get_output_details()
    except Exception as error:  # ValueError, RuntimeError, from C++ by way of pybind
        raise ValueError(_damaged(path, "LiteRT file", error)) from error

    signatures = list(interpreter.get_signature_list().values())
    named = signatures[0] if signatures else {"inputs": [None], "outputs": [None]}
    takes = of_details(source, named["inputs"][0])
    gives = of_details(target, named["outputs"][0])

    def run(images):
        if images.shape != tuple(interpreter.get_input_details()[0]["shape"]):
            interpreter.resize_tensor_input(source["index"], images.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(source["index"], takes.codes(images))
        interpreter.invoke()
        return gives.reals(interpreter.get_tensor(target["index"]))

    batch, *shape = takes.shape
    return Runner(
        "litert",
        path,
        tuple(shape),
        batch,
        _naming(path, run),
        output=named["outputs"][0],
        takes=takes,
        gives=gives,
    )


def _naming(path, run):
    """`run`, whose errors name the file: those of the runtimes have no path."""

    def named(images):
        try:
            return run(images)
        except MemoryError:
            raise
        except Exception as error:  # of Keras, TensorFlow, pybind: no common base
            raise ValueError(
                f"{path} cannot be run on images {images.shape}: {_reason(error)}"
            ) from error

    return named


def _damaged(path, what, error):
    return (
        f"{path} is not a readable {what}; truncated or not a model? {_reason(error)}"
    )


def _reason(error):
    return first_line(error)[:200]
