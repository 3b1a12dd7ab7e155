"""What a .tflite file takes and gives: the type of its numbers, scale, zero point."""

from typing import Any, NamedTuple

import numpy as np


class Tensor(NamedTuple):
    """An input or an output; real = scale * (code - zero_point) where it has a scale.

    Attributes:
        name: as the file's signature has it.
        shape: None where the file takes any number.
        dtype: "int8", "float32", ...
        scale, zero_point: None where the numbers are the reals themselves.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    scale: float | None = None
    zero_point: int | None = None

    @property
    def code_range(self) -> tuple[int, int] | None:
        """The lowest and the highest code; None where the numbers are reals."""
        if self.scale is None:
            return None
        range_ = np.iinfo(self.dtype)
        return int(range_.min), int(range_.max)

    def codes(self, reals: np.ndarray) -> np.ndarray:
        """`reals` as the tensor stores them: nearest code, half to even, saturated."""
        if self.scale is None:
            return reals.astype(self.dtype)
        codes = np.rint(reals / np.float32(self.scale)) + self.zero_point
        return codes.clip(*self.code_range).astype(self.dtype)

    def reals(self, codes: np.ndarray) -> np.ndarray:
        """What the codes stand for, float32."""
        if self.scale is None:
            return codes.astype(np.float32)
        return np.float32(self.scale) * (codes.astype(np.float32) - self.zero_point)


def of_details(details: dict[str, Any], name: str | None = None) -> Tensor:
    """A tensor as LiteRT's interpreter describes it; `name` where it has a better one.

    Args:
        details: of `get_input_details`, `get_output_details`, `get_tensor_details`.
        name: of the signature.
    """
    signature = details.get("shape_signature", details["shape"])
    scale, zero_point = details["quantization"]
    dtype = np.dtype(details["dtype"])
    real = dtype.kind == "f" or not scale
    return Tensor(
        name or details["name"],
        tuple(None if n < 0 else int(n) for n in signature),
        dtype.name,
        None if real else float(scale),
        None if real else int(zero_point),
    )
