"""Weights of any type as whole numbers that stand in the weights' order."""

import numpy as np

# Bits of a magnitude: `magnitudes` of what is not refused are below 2 to this.
WIDTHS = {
    "bool": 1,
    **{"int8": 7, "uint8": 8, "int16": 15, "uint16": 16, "int32": 31, "uint32": 32},
    **{"int64": 62, "bfloat16": 15, "float16": 15, "float32": 31, "float64": 63},
}


def numpy_dtype(name: str) -> np.dtype:
    """Of the dtype that Keras calls `name`.

    Raises:
        ValueError: there is no such dtype in an archive.
    """
    if name not in WIDTHS:
        raise ValueError(f"no archive holds {name}; choose from {', '.join(WIDTHS)}")
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)


def to_keys(array: np.ndarray) -> np.ndarray:
    """int64: of integers they themselves; of floats what is in the same order.

    A float's key is its bits if its sign bit is 0, else minus the bits behind the sign,
    minus 1: that of 0.0 is 0, that of -0.0 is -1.

    Raises:
        ValueError: there is a NaN or an infinity, or an integer beyond 2^62.
    """
    array = np.ascontiguousarray(array)
    if array.dtype.kind in "biu":
        keys = array.astype(np.int64)
        if array.dtype.itemsize == 8 and (magnitudes(keys) >> 62).any():
            raise ValueError("integers beyond 2^62 are no weights")
        return keys
    if not np.isfinite(array).all():
        raise ValueError("weights must be finite: has the training diverged?")
    words = array.view(f"i{array.dtype.itemsize}").astype(np.int64)
    least = -1 << (8 * array.dtype.itemsize - 1)
    return np.where(words < 0, ~(words ^ least), words)


def from_keys(keys: np.ndarray, name: str) -> np.ndarray:
    """What `to_keys` was given, of the dtype that Keras calls `name`.

    Raises:
        ValueError: a key is beyond the dtype, or a float is not finite.
    """
    dtype = numpy_dtype(name)
    unsigned = name == "bool" or name.startswith("u")
    if (magnitudes(keys) >> min(62, WIDTHS[name])).any() and name != "float64":
        raise ValueError(f"a weight is beyond {name}")
    if unsigned and (keys < 0).any():
        raise ValueError(f"a weight is below 0, which {name} is not")
    if dtype.kind in "biu":
        return keys.astype(dtype)
    least = -1 << (8 * dtype.itemsize - 1)
    words = np.where(keys < 0, ~keys ^ least, keys)
    array = words.astype(f"i{dtype.itemsize}").view(dtype)
    if not np.isfinite(array).all():
        raise ValueError("a weight is not finite")
    return array


def magnitudes(keys: np.ndarray) -> np.ndarray:
    """How far from zero: k of keys k and -k - 1."""
    return keys ^ (keys >> 63)
