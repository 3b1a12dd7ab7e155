"""The package litert-quantizer in place of the converter's own quantization.

Google's ai-edge-quantizer until it was renamed: it takes a float32 .tflite file and
makes integers of it, https://github.com/google-ai-edge/LiteRT. limbeck's extra
"quantizer"; nothing else of limbeck needs it. Its ranges are moving averages over the
images of what each shows: the largest values of a few are cut, where the converter's
hold the widest.
"""

import contextlib
import importlib.util
import io
import threading

import numpy as np

from compression.one_line import first_line
from compression.quantization.calibration import samples
from compression.quiet import quiet

ENGINE = "litert-quantizer"
PRECISIONS = ("int8", "dynamic")
MISSING = f"{ENGINE} is not installed: pip install 'limbeck[quantizer]'"
ENDS = ("INPUT", "OUTPUT")
ONE_AT_A_TIME = threading.Lock()
SIGNATURE, IMAGE = "serving_default", "image"  # of limbeck's files


def require(precision: str, *, fake_quantized: bool) -> None:
    """Raises unless the package is there and can make such a file.

    Raises:
        RuntimeError: it is not installed.
        ValueError: limbeck does not ask it for this precision, or the net carries fake
            quantization.
    """
    if precision not in PRECISIONS:
        raise ValueError(
            f"engine {ENGINE!r} writes {' and '.join(PRECISIONS)}, not {precision}: "
            "leave the engine out"
        )
    if fake_quantized:
        raise ValueError(
            f"engine {ENGINE!r} knows nothing of the ranges of fake quantization: "
            "leave the engine out"
        )
    if importlib.util.find_spec("litert_quantizer") is None:
        raise RuntimeError(MISSING)


def quantized(
    content: bytes,
    precision: str,
    images: np.ndarray | None,
    *,
    batch: int | None,
    float_ends: bool,
) -> bytes:
    """A float32 .tflite file of limbeck's in integers.

    Args:
        content: of the file.
        precision: "int8" or "dynamic".
        images: of calibration, (n, height, width, channels); "int8" needs them.
        batch: of the file's calls, None for any.
        float_ends: whether an "int8" file takes and gives float32.

    Raises:
        RuntimeError: the package cannot.
    """
    from litert_quantizer import algorithm_manager, qtyping, quantizer, recipe

    recipes = {"int8": recipe.static_wi8_ai8, "dynamic": recipe.dynamic_wi8_afp32}
    # What it prints goes to `sys.stdout`, of which the process has one.
    with ONE_AT_A_TIME, quiet(), contextlib.redirect_stdout(io.StringIO()):
        try:
            work = quantizer.Quantizer(bytearray(content), recipes[precision]())
            for end in ENDS if float_ends else ():
                work.update_quantization_recipe(
                    regex=".*",
                    operation_name=qtyping.TFLOperationName(end),
                    algorithm_key=algorithm_manager.AlgorithmName.NO_QUANTIZE,
                )
            ranges = None
            if work.need_calibration:
                inputs = [{IMAGE: x} for [x] in samples(images, batch or 1)]
                ranges = work.calibrate({SIGNATURE: inputs}, num_threads=1)
            made = work.quantize(ranges, enable_progress_report=False)
            return bytes(made.quantized_model)
        except Exception as error:  # of the package, of its flatbuffers, of LiteRT
            raise RuntimeError(
                f"{ENGINE} cannot write {precision}: {first_line(error)}"
            ) from error
