"""Int8 .tflite files of what tfmot has trained."""

import tempfile
import warnings
from pathlib import Path

import keras
import numpy as np

from compression.answers import agreement
from compression.arguments import as_path
from compression.atomic import replacing
from compression.export.checks import check_file, check_model
from compression.export.litert import litert
from compression.export.outputs import as_logits, output_name
from compression.export.quantized import FEW, LEAST_AGREEMENT
from compression.export.runners import load
from compression.one_line import first_line
from compression.quiet import quiet
from compression.tfmot.training import Batches

IMAGES = 256  # of calibration: more changes little


def require_path(path: str | Path | None, model: keras.Model) -> None:
    """Checks, before anything is trained, that a file of `model` can be written.

    Raises:
        IsADirectoryError: `path` is a folder.
        ValueError: it does not end in .tflite, or `model` can have no such file.
    """
    if path is None:
        return
    path = as_path(path)
    if path.suffix != ".tflite":
        raise ValueError(f"path must end in .tflite, got {path}")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: not replaced")
    check_model(model, 1)


def write_int8(model: keras.Model, path: str | Path, data: Batches) -> Path:
    """Writes `model` as `export.litert` does, calibrated with the first images."""
    return litert(model, path, precision="int8", calibration=data.images(IMAGES))


def write_fake_quantized(
    aware, model: keras.Model, path: str | Path, data: Batches
) -> Path:
    """Writes a net of tf_keras with fake quantization, all in integers.

    Args:
        aware: of tf_keras; its ranges are those of the file.
        model: of Keras 3, which it was made of: how its output is called.
        path: ends in .tflite; a file that is there is replaced once this is complete.
        data: with whose first images the file is compared with `aware`; a warning
            says when they disagree.

    Raises:
        RuntimeError: it cannot be converted, or the file cannot run.
    """
    path = as_path(path)
    images = np.concatenate(data.images(FEW * 2))
    with replacing(path) as file:
        with tempfile.TemporaryDirectory() as folder, quiet():
            _save(aware, folder, output_name(model))
            file.write_bytes(_converted(folder, model.name))
        check_file(file, model, images[:4], exact=False, path=path)
        runner = load(file)
        given = runner(images), np.asarray(aware(images))
        agreed = agreement(*(as_logits(each, runner) for each in given))
        if len(images) >= FEW and agreed < LEAST_AGREEMENT:
            warnings.warn(
                f"{path} gives the answer of the net that tfmot trained for "
                f"{agreed:.0%} of {len(images)} images",
                stacklevel=3,
            )
    return path


def _save(aware, folder, output):
    """As a SavedModel that holds a frozen function, of which Keras knows nothing."""
    import tensorflow as tf
    from tensorflow.python.framework import convert_to_constants

    spec = tf.TensorSpec((1, *aware.input_shape[1:]), tf.float32, "image")
    function = tf.function(lambda image: aware(image, training=False))
    frozen = convert_to_constants.convert_variables_to_constants_v2(
        function.get_concrete_function(spec)
    )
    module = tf.Module()
    module.serve = tf.function(
        lambda image: {
            output: tf.reshape(frozen(image)[0], (1, *aware.output_shape[1:]))
        },
        input_signature=[spec],
    )
    # SiLU has a gradient of its own, which cannot be saved and is not asked for.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module, folder, {"serving_default": module.serve}, options)


def _converted(folder, name):
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(folder)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    try:
        return converter.convert()
    except Exception as error:  # ConverterError is no public name
        reason = first_line(error)
        raise RuntimeError(f"LiteRT cannot hold {name!r} in int8: {reason}") from error
