"""An int8 .tflite file of what came back from tfmot."""

from pathlib import Path

import keras

from compression.export.litert import litert
from compression.tfmot.training import Batches

IMAGES = 256  # of calibration: more changes little


def write_int8(model: keras.Model, path: str | Path, data: Batches) -> Path:
    """Writes `model` as `export.litert` does, calibrated with the first images."""
    return litert(model, path, precision="int8", calibration=data.images(IMAGES))
