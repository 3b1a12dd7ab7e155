"""Models as .tflite files for LiteRT, TensorFlow Lite's new name."""

import gc
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import keras

from compression.arguments import as_path
from compression.atomic import replacing
from compression.export import litert_quantizer
from compression.export.checks import (
    CALIBRATED,
    check_file,
    check_model,
    first_images,
    require_no_look_up,
)
from compression.export.detours import without_detours
from compression.export.quantized import check_before, warn_after
from compression.one_line import first_line
from compression.quantization.aware import require_ranges
from compression.quantization.calibration import calibration_images, samples
from compression.quantization.concatenated import (
    narrowed_before_concatenations,
    rounded_before_concatenations,
)
from compression.quantization.fake_quantize import require_bits
from compression.quantization.insertion import is_quantized
from compression.quantization.post_training import calibrate, require_method
from compression.quiet import quiet

PRECISIONS = ("float32", "float16", "dynamic", "int8", "int16x8")
CONVERTER = "converter"
ENGINES = (CONVERTER, litert_quantizer.ENGINE)
NARROW = (
    '. If a layer gives nothing but zeros, calibration_method="minmax" gives it a '
    "range that the runtime takes"
)


def litert(  # noqa: PLR0913, each is a choice of its own
    model: keras.Model,
    path: str | Path,
    *,
    precision: str = "float32",
    calibration: Iterable | None = None,
    batch: int | None = 1,
    float_ends: bool = False,
    pixel_range: tuple[float, float] | None = None,
    calibration_method: str | None = None,
    weight_bits: int = 8,
    skip: str | Sequence[str] = (),
    engine: str = CONVERTER,
) -> Path:
    """Writes `model` as a .tflite file, checks it and moves it to `path`.

    The file has one signature, "serving_default": "image" in, "logits" out, or
    "probabilities" if the model ends in a softmax or sigmoid. Batch norm is folded
    into the convolution before it.

    Args:
        model: built, functional or Sequential, with one input and one output.
        path: file to write, its name ending in .tflite; a file that is there is
            replaced once the new one is complete.
        precision:
            "float32";
            "float16" (weights, widened when the file is loaded);
            "dynamic" (int8 weights, activations quantized while it runs);
            "int8" (all integer, int8 in and out too, unless `float_ends`);
            "int16x8" (int16 activations, int8 weights; float32 in and out; slow).
        calibration: batches of images (n, height, width, channels), or of tuples that
            begin with images, like those the model will see. "int8" and "int16x8"
            read the ranges of the activations from them. The ranges of fake
            quantization come first in "int8", and a model that carries it can do
            without calibration: activations that have none then stay float32. All
            of it is held in memory; a few hundred images are enough. How many of
            them the file gives the model's answer for is logged (`logging`, level
            INFO), with the largest error of a logit; below 95 % a warning names the
            three layers in which the error grows most.
        batch: number of images in every call, None for any. One image keeps the
            arithmetic of shapes out of the file.
        float_ends: whether an "int8" file takes and gives float32, and makes codes of
            them itself.
        pixel_range: the lowest and the highest pixel of images as the model is trained
            on, normalised: a warning is given where calibration is beyond them.
        calibration_method: of an "int8" file, "minmax", "percentile", "mse" or "kl":
            the model is fake-quantized by `quantization.calibrate` first. None: the
            converter calibrates by itself, by the lowest and the highest value, with a
            range for each unit of a dense layer, and takes some eight times the memory
            of the weights while it works; the methods take five times. A net that
            pools and then concatenates gets "minmax": the converter would cut it.
        weight_bits: of an "int8" file, 8 or 4; with 4, which LiteRT packs two in a
            byte, `calibration_method` is "minmax" unless it is given.
        skip: layers that stay float32, by name or pattern: with a
            `calibration_method`, whose fake quantization leaves them out.
        engine: who makes integers of floats: "converter", TensorFlow's own, or
            "litert-quantizer", a package of its own (limbeck's extra "quantizer"), for
            "int8" and "dynamic".

    Returns:
        `path`.

    Raises:
        IsADirectoryError: `path` is a folder.
        RuntimeError: the model cannot be converted; or the written file does not give
            the model's logits (for float32 within 1e-4 of the largest, or 0.1 where
            the model is quantized; else finite ones); or Keras runs on another backend
            than TensorFlow; or the engine is not installed.
        ValueError: calibration images are missing, do not fit, are not finite or never
            end; the net loops and shall be calibrated, or looks up rows by its input
            and shall be in integers; or the model or an argument is not one of those
            above.
    """
    _check_choices(precision, engine, float_ends)
    path = as_path(path)
    if path.suffix != ".tflite":
        raise ValueError(f"path must end in .tflite, got {path}")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: not replaced")
    method = _method(calibration_method, weight_bits, precision, skip)
    check_model(model, batch)
    require_ranges(model)
    require_no_look_up(model, precision)
    quantized = is_quantized(model)
    if method is not None and quantized:
        raise ValueError(
            f"{model.name!r} is quantized already: its fake quantization has ranges "
            "and bits of its own; leave out calibration_method and weight_bits"
        )
    if engine != CONVERTER:
        fake_quantized = method is not None or quantized
        litert_quantizer.require(precision, fake_quantized=fake_quantized)
    if calibration is not None:
        calibration = calibration_images(model, calibration)

    from compression.export.serving import Serving, float32_twin

    model = written = float32_twin(model)
    own = precision == "int8" and engine == CONVERTER and not quantized
    method = method or (_method_needed(model) if own else None)
    for_converter = calibration
    if method is not None and calibration is not None:
        written = calibrate(
            model, [calibration], method=method, bits=weight_bits, skip=skip
        )
        for_converter = None
    written = rounded_before_concatenations(written)
    serving = Serving(written, weights="float32", batch=batch)
    # Of floats nothing is asked; what is traced here is traced again when it is saved.
    functions = _functions(serving) if precision in CALIBRATED else []
    has_ranges = precision == "int8" and _carries_fake_quantization(functions)
    if precision in CALIBRATED and calibration is None and not has_ranges:
        raise ValueError(
            f"precision {precision!r} needs calibration: batches of images like those "
            f"that {model.name!r} will see"
        )
    calibrated = precision in CALIBRATED and calibration is not None
    if calibrated:
        logits = check_before(model, calibration, functions)
    with replacing(path) as file:
        with tempfile.TemporaryDirectory() as folder, quiet():
            serving.save(folder)
            # The converter needs the memory of this copy of the weights.
            del serving, functions, written
            gc.collect()
            choices = (precision, for_converter, batch, float_ends)
            make = _converted if engine == CONVERTER else _converted_and_quantized
            content = make(folder, model.name, *choices)
            file.write_bytes(without_detours(content))
            del content
        probe = first_images(model, None if calibration is None else [calibration])
        exact = precision == "float32"
        way_out = NARROW if calibrated and method is None else ""
        check_file(
            file,
            model,
            probe,
            exact=exact,
            path=path,
            simulated=precision == "int8" and quantized,
            way_out=way_out,
        )
        if calibrated:
            warn_after(
                file,
                model,
                calibration,
                logits,
                path,
                pixel_range=pixel_range,
                float_file=lambda to: litert(model, to, batch=batch),
            )
    return path


def _check_choices(precision, engine, float_ends):
    if precision not in PRECISIONS:
        raise ValueError(
            f"no precision called {precision!r}; choose from {', '.join(PRECISIONS)}"
        )
    if engine not in ENGINES:
        raise ValueError(
            f"no engine called {engine!r}; choose from {', '.join(ENGINES)}"
        )
    if float_ends and precision != "int8":
        raise ValueError(
            f"float_ends is a choice of int8 files; {precision} takes and gives "
            "float32 already"
        )


def _method(method, weight_bits, precision, skip):
    """By which `calibrate` shall choose ranges; None: it is not asked."""
    require_bits(weight_bits)
    if method is None and weight_bits == 8:
        if skip:
            raise ValueError(f"skip={skip!r} needs a calibration_method")
        return None
    if precision != "int8":
        raise ValueError(
            "calibration_method and weight_bits are choices of int8 files, not of "
            f"{precision}"
        )
    method = method or "minmax"
    require_method(method)
    return method


def _method_needed(model):
    """The method where ranges of the converter's own are too narrow, None elsewhere."""
    return "minmax" if narrowed_before_concatenations(model) else None


def _functions(serving):
    """The nodes of the graph, and of each function that it calls."""
    graph = serving.serve.get_concrete_function().graph.as_graph_def()
    return [graph.node, *(f.node_def for f in graph.library.function)]


def _carries_fake_quantization(functions):
    return any(node.op.startswith("FakeQuant") for nodes in functions for node in nodes)


def _converted_and_quantized(  # noqa: PLR0913, each changes the file
    folder, name, precision, calibration, batch, float_ends
):
    content = _converted(folder, name, "float32", None, batch, False)
    return litert_quantizer.quantized(
        content, precision, calibration, batch=batch, float_ends=float_ends
    )


def _converted(  # noqa: PLR0913, each changes the file
    folder, name, precision, calibration, batch, float_ends
):
    """The bytes of the .tflite file, from a SavedModel; `name` is for the message."""
    import tensorflow as tf
    from tensorflow.lite.python.convert import mlir_quantize
    from tensorflow.lite.python.optimize import calibrator

    ends = tf.float32 if float_ends else tf.int8
    converter = tf.lite.TFLiteConverter.from_saved_model(folder)
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if precision in CALIBRATED and calibration is not None:
        converter.representative_dataset = lambda: samples(calibration, batch or 1)
    if precision == "int8":
        converter.inference_input_type = ends
        converter.inference_output_type = ends
        if calibration is not None:  # the converter takes one only with the other
            builtins = tf.lite.OpsSet.TFLITE_BUILTINS_INT8
            converter.target_spec.supported_ops = [builtins]
    if precision == "int16x8":
        int16x8 = "EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8"
        converter.target_spec.supported_ops = [getattr(tf.lite.OpsSet, int16x8)]
    # What `convert` does at once, step by step: the copies of the weights that a step
    # makes are gone before the next one makes its own.
    in_steps = precision == "int8" and calibration is not None
    if in_steps:
        converter._optimize_tflite_model = lambda content, *_, **__: content  # noqa: SLF001
        converter.exclude_conversion_metadata = True  # lost in the next steps
    try:
        content = converter.convert()
        if not in_steps:
            return content
        del converter
        gc.collect()
        # (`convert` adds tensors inside fused LSTMs here, in copies of its own; nets
        # that loop are refused before.)
        calibrating = calibrator.Calibrator(content, [], [])
        content = calibrating.calibrate(lambda: samples(calibration, batch or 1))
        del calibrating
        gc.collect()
        return mlir_quantize(content, input_data_type=ends, output_data_type=ends)
    except Exception as error:  # ConverterError is no public name
        raise RuntimeError(
            f"LiteRT cannot hold {name!r} in {precision}: {_reason(error)}"
        ) from error


def _reason(error):
    unknown = dict.fromkeys(re.findall(r"'(tf\.\w+)' op is neither", str(error)))
    if unknown:
        return f"it has no operator for {', '.join(unknown)}"
    return first_line(error)
