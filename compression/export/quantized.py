"""What may go wrong when a net becomes integers: refused before, warned of after."""

import logging
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from compression.answers import agreement
from compression.export.layer_errors import worst_layers
from compression.export.outputs import as_logits
from compression.export.runners import load, of_model
from compression.graph import all_layers, read

LOG = logging.getLogger(__name__)
COMPARED = 100  # images, the first of calibration: more would only cost time
FEWEST = 8  # that are no coincidence where they are all the same
FEW = 20  # of fewer, one more or less is beyond `LEAST_AGREEMENT`
LEAST_AGREEMENT = 0.95  # nets that were trained lose a few of a hundred answers at most
SCALING = (
    keras.layers.BatchNormalization,
    keras.layers.Normalization,
    keras.layers.Rescaling,
)
ROUNDING = 1e-3  # of a range of pixels


def check_before(model: keras.Model, images: np.ndarray, functions) -> np.ndarray:
    """Refuses what the converter's calibration does not survive.

    Args:
        model: float32.
        images: of calibration.
        functions: lists of the graph's nodes, one list for each function.

    Returns:
        The logits of the images that `warn_after` compares.

    Raises:
        ValueError: the net loops, as recurrent layers do, or gives logits that are
            not finite.
    """
    loops = any(
        "While" in node.op or node.op.startswith("TensorList")
        for nodes in functions
        for node in nodes
    )
    if loops:
        recurrent = [
            f"{layer.name!r} ({type(layer).__name__})"
            for layer in all_layers(model)
            if isinstance(layer, keras.layers.RNN)
        ]
        raise ValueError(
            f"{model.name!r} loops, in {', '.join(recurrent) or 'a layer of its own'}: "
            "LiteRT cannot calibrate that; choose precision float32, float16 or dynamic"
        )
    runner = of_model(model)
    logits = as_logits(runner(images[:COMPARED]), runner)
    if not np.isfinite(logits).all():
        raise ValueError(
            f"{model.name!r} gives logits that are not finite on calibration images, "
            f"whose pixels are {_pixels(images)}"
        )
    return logits


def warn_after(  # noqa: PLR0913, what is compared, and what the message says of it
    file: Path,
    model: keras.Model,
    images: np.ndarray,
    logits: np.ndarray,
    path: Path,
    *,
    pixel_range: tuple[float, float] | None,
    float_file: Callable[[Path], object],
) -> None:
    """Logs how far `file` agrees with `model`, and warns where it does not.

    And where these images cannot be such as a net sees: all the same, beyond the range
    that pixels have, or whole numbers up to 255 for a net that does not scale them.

    Args:
        file: all or partly integer.
        model: what it was written from.
        images: of calibration.
        logits: the model's, as `check_before` gives them.
        path: the name to give in the message.
        pixel_range: lowest and highest pixel of images as the model is trained on.
        float_file: writes the float32 file of `model` to a path.
    """
    doubt = _doubt(model, images, pixel_range)
    if doubt:
        warnings.warn(
            f"{path} was calibrated on images whose {doubt}: give it images like those "
            "the net is trained on, normalised as these are",
            stacklevel=4,
        )
    images = images[:COMPARED]
    runner = load(file)
    found = as_logits(runner(images), runner)
    share = agreement(_rows(found), _rows(logits))
    largest = float(np.abs(found - logits).max())
    LOG.info(
        "%s gives the model's answer for %.1f %% of %d calibration images; the largest "
        "error of a logit is %.3g, of logits up to %.3g",
        *(path, 100 * share, len(images), largest, np.abs(logits).max()),
    )
    if len(images) < FEW or share >= LEAST_AGREEMENT:
        return
    name, low, high = _widest(model, images)
    warnings.warn(
        f"{path} gives the model's answer for {share:.0%} of {len(images)} calibration "
        f"images only; the largest error of a logit is {largest:.3g}. "
        f"{_worst(file, model, images, float_file)}"
        f"The widest range is {low:.4g} to {high:.4g}, of layer {name!r}; "
        f"pixels are {_pixels(images)}. Calibrate with images normalised as in "
        "training, rescale channels that are far wider than others, train with fake "
        'quantization, or choose precision "int16x8" or "dynamic"',
        stacklevel=4,
    )


def _rows(logits):
    """(n, classes), of maps of answers, too: each place gives one."""
    return logits.reshape(-1, logits.shape[-1])


def _worst(file, model, images, float_file):
    """A sentence about the layers in which the error grows most."""
    with tempfile.TemporaryDirectory() as folder:
        real = Path(folder) / "float32.tflite"
        try:
            float_file(real)
        except RuntimeError:  # of a net that floats do not hold: nothing to compare
            return ""
        layers = worst_layers(file, real, model, images[:FEWEST])
    named = ", ".join(f"{each.layer!r} (by {each.growth:.0%})" for each in layers)
    return f"The error grows most in {named}. " if named else ""


def _doubt(model, images, pixel_range):
    """What is wrong with pixels, None if nothing is."""
    if images.min() == images.max():
        return f"pixels are all {images.min():g}"
    if len(images) >= FEWEST and (images == images[0]).all():
        return "pixels are the same in all of them"
    if pixel_range is not None:
        low, high = pixel_range
        slack = ROUNDING * (high - low)
        if images.min() < low - slack or images.max() > high + slack:
            return f"pixels are {_pixels(images)}, beyond {low:.4g} to {high:.4g}"
        return None
    if _scales_pixels(model):
        return None
    if images.min() >= 0 and images.max() > 16 and (images % 1 == 0).all():
        return f"pixels are whole numbers, {_pixels(images)}, which nothing scales"
    if np.abs(images).max() > 256:
        return f"pixels are {_pixels(images)}, beyond those of any file of 8 bits"
    return None


def _scales_pixels(model):
    """Whether a layer or operation before the first kernel does."""
    for call in read(model, flatten=True).calls:
        is_layer = isinstance(call.operation, keras.Layer)
        if not is_layer or isinstance(call.operation, SCALING):
            return True
        if call.operation.weights:
            return False
    return False


def _pixels(images):
    return f"{images.min():.4g} to {images.max():.4g}"


def _widest(model, images):
    """(name, low, high) of the layer whose output has the widest range."""
    calls = [
        call
        for call in read(model).calls
        if keras.backend.is_keras_tensor(call.outputs[0])
    ]
    calls = [call for call in calls if not call.models]  # inner ones are not to be had
    inner = keras.Model(model.inputs, [call.outputs[0] for call in calls])
    outputs = keras.tree.flatten(inner.predict_on_batch(images[:FEWEST]))
    ranges = [
        (call.operation.name, float(np.min(output)), float(np.max(output)))
        for call, output in zip(calls, outputs, strict=True)
    ]
    return max(ranges, key=lambda each: each[2] - each[1])
