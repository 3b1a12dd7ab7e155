"""What an archive holds, and its bytes: FORMAT.md describes them.

Whatever a file says is checked before it is believed: its checksum first, its sizes
before anything of such a size is made.
"""

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from compression.arguments import shown
from compression.export.archive.config_packing import (
    deflated,
    inflated,
    packed,
    unpacked,
)
from compression.export.archive.keys import WIDTHS, numpy_dtype
from compression.export.archive.positions import rows
from compression.export.archive.range_coder import Reader, Writer
from compression.export.archive.tensors import Tensors

MAGIC = b"lmbk"
VERSION = 1
SUFFIX = ".limbeck"
CHECKED = len(MAGIC) + 1 + 4  # where the bytes start that the checksum is of
MOST_BYTES = 4 << 30  # of the weights
# What a file may hold, without and for each of its bytes: weights, and rows of weights
# with those that a tensor counts for. More would be a bomb, or a net of nearly nothing
# but equal weights, whose file is filled up.
FREE_WEIGHTS, WEIGHTS_IN_BYTE = 1 << 18, 1000
FREE_ROWS, ROWS_IN_BYTE, ROWS_OF_TENSOR = 1 << 14, 16, 64
MOST_AXES = 8


@dataclass(frozen=True)
class Contents:
    """What an archive holds.

    Attributes:
        config: of the model, as `keras.saving.serialize_keras_object` gives it, without
            what follows from the rest.
        weights: of the model, in the order of `model.weights`.
        class_names: output i is of class_names[i]; empty where nobody said.
        mean, std: of the pixels / 255 that the model was trained on, per channel;
            empty where nobody said.
    """

    config: dict[str, Any]
    weights: Sequence[np.ndarray] = field(repr=False)
    class_names: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


def to_bytes(contents: Contents) -> bytes:
    """The whole file.

    Raises:
        ValueError: the weights are too many, not finite or of a type that no archive
            holds.
    """
    weights = [np.asarray(array) for array in contents.weights]
    _require_size(weights)
    described = {
        "model": packed(contents.config),
        "weights": [_described(array) for array in weights],
    }
    for name in ("class_names", "mean", "std"):
        if getattr(contents, name):
            described[name] = list(getattr(contents, name))
    description = deflated(described)
    writer = Writer()
    tensors = Tensors(writer)
    for array in weights:
        tensors.code(array.shape, array.dtype.name, array)
    body = _varint(len(description)) + description + writer.content()
    least = _least_bytes([array.shape for array in weights])
    body += bytes(max(0, least - len(body)))
    checksum = zlib.crc32(body).to_bytes(4, "little")
    return MAGIC + bytes([VERSION]) + checksum + body


def from_bytes(content: bytes, path: Path, *, weights: bool = True) -> Contents:
    """What `to_bytes` was given.

    Args:
        path: of the file, for messages.
        weights: whether they shall be decoded.

    Raises:
        ValueError: it is no archive, of a later version or damaged; names the file.
    """
    try:
        return _read(content, weights)
    except RecursionError as error:
        raise ValueError(f"{path} is nested too deeply to be an archive") from error
    except (
        ValueError,
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
    ) as error:
        raise ValueError(f"{path} is not a readable archive: {error}") from error


def _read(content, with_weights):
    if content[: len(MAGIC)] != MAGIC:
        raise ValueError("it does not begin like one")
    if len(content) < CHECKED:
        raise ValueError("it is cut off")
    version = content[len(MAGIC)]
    if version != VERSION:
        raise ValueError(
            f"it is of version {version}, and this limbeck reads {VERSION}: "
            "install a later one"
        )
    body = content[CHECKED:]
    if zlib.crc32(body).to_bytes(4, "little") != content[CHECKED - 4 : CHECKED]:
        raise ValueError("its checksum is wrong: it was cut off or altered")
    length, start = _read_varint(body)
    if length > len(body) - start:
        raise ValueError("its description is longer than the file")
    described = inflated(body[start : start + length])
    if not isinstance(described, dict):
        raise ValueError("its description is no JSON object")
    shapes = [_shape_and_dtype(each) for each in _list(described, "weights", list)]
    count = sum(math.prod(shape) for shape, _ in shapes)
    size = sum(math.prod(s) * numpy_dtype(d).itemsize for s, d in shapes)
    if size > MOST_BYTES or len(body) < _least_bytes([shape for shape, _ in shapes]):
        raise ValueError(
            f"it says that it holds {count} weights in {len(content)} bytes, which is "
            "more than such a file may"
        )
    class_names = _list(described, "class_names", str)
    mean, std = (_list(described, name, int | float) for name in ("mean", "std"))
    config = unpacked(described.get("model"))
    if not isinstance(config, dict):
        raise ValueError("its description has no model")
    weights = []
    if with_weights:
        tensors = Tensors(Reader(body[start + length :]))
        weights = [tensors.code(*each) for each in shapes]
    return Contents(config, weights, tuple(class_names), tuple(mean), tuple(std))


def _require_size(weights):
    for array in weights:
        numpy_dtype(array.dtype.name)
        if array.ndim > MOST_AXES:
            raise ValueError(f"an archive holds up to {MOST_AXES} axes: {array.shape}")
    size = sum(array.nbytes for array in weights)
    if size > MOST_BYTES:
        raise ValueError(
            f"an archive holds up to {MOST_BYTES >> 30} GB of weights, these are "
            f"{size / 2**30:.1f}"
        )


def _least_bytes(shapes):
    """How long the part of a file that has a checksum must be, for these tensors."""
    weights = sum(math.prod(shape) for shape in shapes)
    lines = sum(rows(shape) + ROWS_OF_TENSOR for shape in shapes)
    return max(
        0,
        -(-(weights - FREE_WEIGHTS) // WEIGHTS_IN_BYTE),
        -(-(lines - FREE_ROWS) // ROWS_IN_BYTE),
    )


def _described(array):
    dtype = [] if array.dtype.name == "float32" else [array.dtype.name]
    return [*dtype, *array.shape]


def _shape_and_dtype(described):
    dtype = "float32"
    if described and isinstance(described[0], str):
        dtype, *described = described
    if dtype not in WIDTHS:
        raise ValueError(f"it has weights of type {shown(dtype)}")
    sizes = all(type(size) is int and 0 <= size < 1 << 40 for size in described)
    if not sizes or len(described) > MOST_AXES:
        raise ValueError(f"it has weights of shape {shown(described)}")
    return tuple(described), dtype


def _list(described, name, kind):
    found = described.get(name, [])
    if not isinstance(found, list) or not all(isinstance(x, kind) for x in found):
        raise ValueError(f"its {name} are {shown(found)}")
    return found


def _varint(number):
    """7 bits a byte, the lowest first; the highest bit says that more follow."""
    found = bytearray()
    while number >= 128:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def _read_varint(content):
    number = 0
    for at, byte in enumerate(content[:5]):
        number |= (byte & 127) << 7 * at
        if byte < 128:
            return number, at + 1
    raise ValueError("its first number does not end")
