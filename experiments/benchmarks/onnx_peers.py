"""Our nets in ONNX Runtime: written by tf2onnx, float and in int8 (static, QDQ).

Neither package is one of limbeck's: `pip install tf2onnx onnxruntime`.
"""

import importlib.util
import logging
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import keras
import numpy as np

from compression.quiet import quiet

PACKAGES = ("onnx", "onnxruntime", "tf2onnx")
OPSET = 18
NAME = "image"


def missing() -> str | None:
    """Why ONNX Runtime takes no part; None where it does."""
    for package in PACKAGES:
        if importlib.util.find_spec(package) is None:
            return f"{package} is not installed: pip install tf2onnx onnxruntime"
    return None


def versions() -> dict[str, str]:
    """Of the packages."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # a copy that pip did not install
            continue
    return found


def written(model: keras.Model, folder: Path, images: np.ndarray) -> dict[str, Path]:
    """precision -> .onnx file for one image: "float32", and "int8" by `images`."""
    import tensorflow as tf
    import tf2onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    files = {name: folder / f"{name}.onnx" for name in ("float32", "int8")}
    prepared = folder / "prepared.onnx"
    spec = [tf.TensorSpec((1, *images.shape[1:]), tf.float32, NAME)]
    function = tf.function(lambda image: model(image, training=False), spec)
    root = logging.getLogger()
    level = root.level
    with quiet():
        root.setLevel(logging.ERROR)  # both packages log to it
        try:
            tf2onnx.convert.from_function(
                function, spec, opset=OPSET, output_path=str(files["float32"])
            )
            quant_pre_process(files["float32"], prepared, skip_symbolic_shape=True)
            quantize_static(
                prepared,
                files["int8"],
                _reader(images),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
            )
        finally:
            root.setLevel(level)
    return files


def _reader(images):
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.left = iter(images)

        def get_next(self):
            image = next(self.left, None)
            return None if image is None else {NAME: image[None]}

    return Reader()


def inference(path: Path, image: np.ndarray, threads: int) -> Callable[[], np.ndarray]:
    """A call that gives the logits of `image`, (1, height, width, channels)."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"]
    )
    [source] = [each.name for each in session.get_inputs()]
    return lambda: session.run(None, {source: image})[0]
