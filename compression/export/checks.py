"""What must hold of a model before it is exported, and of a file after."""

import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np

from compression.arguments import require_number
from compression.batches import floats_of
from compression.export.runners import load, of_model
from compression.graph import read
from compression.layer_names import require_compilable_names
from compression.quantization.file_ranges import WIDE
from compression.quantization.insertion import is_quantized
from compression.weights import require_finite_weights, require_floats

# Relative to the largest logit; other kernels add float32 in another order.
TOLERANCE = 1e-4
ROUNDED_TOLERANCE = 0.1  # a sum next to a half is rounded up here and down there
UNLIKE, UNLIKE_CODES = 0.1, 4  # of the logits' range; of their steps
PROBE_IMAGES = 4
ONE_AT_A_TIME = threading.RLock()
CALIBRATED = ("int8", "int16x8")  # files' precisions
LOOK_UPS = (keras.layers.Embedding, keras.layers.CategoryEncoding)


def check_model(model: keras.Model, batch: int | None) -> None:
    """Raises unless `model` is one that the exporters can write.

    Raises:
        RuntimeError: Keras runs on another backend than TensorFlow.
        ValueError: `model` is not a built functional or Sequential model with one
            input of fixed size and one output, has weights that are not finite or that
            Keras has quantized or a layer's name that cannot be compiled, or does not
            take batches of `batch`.
    """
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            "export needs Keras on the TensorFlow backend, this is "
            f"{keras.backend.backend()}; save the model to a .keras file and export "
            "it in a process with KERAS_BACKEND=tensorflow"
        )
    if not isinstance(model, keras.Model):
        raise ValueError(f"model must be a keras.Model, got {type(model).__name__}")
    if not hasattr(model, "inputs") or not model.built or model.inputs is None:
        raise ValueError(
            "model must be a built functional or Sequential model, "
            f"got {type(model).__name__} {model.name!r} without a graph"
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            "model must have one input and one output, "
            f"{model.name!r} has {len(model.inputs)} and {len(model.outputs)}"
        )
    own_batch, *sizes = model.inputs[0].shape
    if None in sizes:
        raise ValueError(
            f"{model.name!r} must fix its image size to be exported, its input is "
            f"{tuple(model.inputs[0].shape)}: build it with keras.Input((height, "
            "width, channels)); the command line takes --image-size"
        )
    if batch is not None:
        require_number("batch", batch, whole=True)
    if batch is not None and batch < 1:
        raise ValueError(f"batch must be at least 1 or None, got {batch}")
    if own_batch is not None and own_batch != batch:
        raise ValueError(
            f"{model.name!r} takes batches of {own_batch} only: pass batch={own_batch}"
        )
    require_compilable_names(model)
    require_floats(model)
    require_finite_weights(model)


def require_no_look_up(model: keras.Model, precision: str) -> None:
    """Raises ValueError where numbers of rows would be rounded.

    The codes of a calibrated file stand for values between them: another row is read.
    """
    if precision not in CALIBRATED:
        return
    calls = read(model).calls
    for call in calls:
        of_input = any(
            isinstance(calls[source.call].operation, keras.layers.InputLayer)
            for source in call.sources
        )
        if of_input and isinstance(call.operation, LOOK_UPS):
            raise ValueError(
                f"{call.operation.name!r} of {model.name!r} looks up rows by what goes "
                f"into the net, and {precision} would round the numbers of the rows: "
                "write it as 'dynamic' or 'float16'"
            )


def first_images(model: keras.Model, batches: Iterable | None) -> np.ndarray:
    """A few images to try a file with: of the first batch, else standard normal."""
    shape = tuple(model.inputs[0].shape[1:])
    if batches is not None:
        for batch in batches:
            return floats_of(batch)[:PROBE_IMAGES]
    return np.random.default_rng(0).normal(size=(PROBE_IMAGES, *shape)).astype("f4")


def check_file(  # noqa: PLR0913, what is compared, and what the message says of it
    file: Path,
    model: keras.Model,
    probe: np.ndarray,
    *,
    exact: bool,
    path: Path,
    simulated: bool = False,
    way_out: str = "",
) -> None:
    """Loads `file` with its own runtime and runs `probe` through it.

    Args:
        file: what was written, still under its temporary name.
        model: what it was written from.
        probe: (n, height, width, channels).
        exact: the logits must equal the model's within `TOLERANCE`, or those of a model
            that rounds within `ROUNDED_TOLERANCE`; otherwise they need only be finite.
        path: the name to give in the message.
        simulated: whether the model rounds as the file does: a warning is given where
            the file's logits are others.
        way_out: what to try where the runtime refuses the file.

    Raises:
        RuntimeError: the file does not do what the model does.
    """
    try:
        run = load(file)
    except ValueError as error:
        raise RuntimeError(
            f"{path} is not written: its runtime does not take what {model.name!r} "
            f"became{_suspect(model)}. {str(error).splitlines()[-1]}{way_out}"
        ) from error
    with _full_precision():
        got = run(probe)
        expected = of_model(model)(probe)
    if got.shape != expected.shape:
        raise RuntimeError(f"{path} gives {got.shape}, the model {expected.shape}")
    if not np.isfinite(got).all():
        raise RuntimeError(f"{path} gives logits that are not finite")
    if simulated:
        _warn_if_unlike(got, expected, run.gives.scale or 0.0, path)
    if not exact:
        return
    tolerance = ROUNDED_TOLERANCE if is_quantized(model) else TOLERANCE
    difference = float(np.abs(got - expected).max() / max(np.abs(expected).max(), 1e-6))
    if not difference <= tolerance:
        raise RuntimeError(
            f"{path} is off by {difference:.2e} of the largest logit, "
            f"more than {tolerance:.0e}"
        )


def _warn_if_unlike(got, expected, scale, path):
    """Rounding may fall the other way in a few places, not in most of them."""
    error = float(np.abs(got - expected).mean())
    share = error / max(float(np.ptp(expected)), 1e-6)
    if error > UNLIKE_CODES * scale and share > UNLIKE:
        warnings.warn(
            f"{path} is not what the model simulates: its logits are off by "
            f"{error:.3g} in the mean, {share:.0%} of their range. Measure the file, "
            "and leave layers out with skip until it agrees",
            stacklevel=4,
        )


def _suspect(model):
    """LiteRT's integer kernels refuse weights far wider than the range they lead to."""
    kernels = [weight for weight in model.weights if len(weight.shape) > 1]
    found = [(np.abs(k.numpy()).max(initial=0), k.path) for k in kernels]
    widest, name = max(found, default=(0, ""))
    if widest < WIDE:
        return ""
    return f" (a weight in {name} is {widest:.3g}: did training diverge?)"


@contextmanager
def _full_precision() -> Iterator[None]:
    """No TensorFloat-32, a GPU's default, whose 10 bits are off by 1e-3."""
    import tensorflow as tf

    with ONE_AT_A_TIME:  # it is a setting of the whole process
        rounded = tf.config.experimental.tensor_float_32_execution_enabled()
        tf.config.experimental.enable_tensor_float_32_execution(False)
        try:
            yield
        finally:
            tf.config.experimental.enable_tensor_float_32_execution(rounded)
