"""A tensor's weights, coded: in what way, and each of the ways in turn."""

from collections.abc import Sequence

import numpy as np

from compression.export.archive import noisy_values
from compression.export.archive.keys import WIDTHS, from_keys, numpy_dtype, to_keys
from compression.export.archive.numbers_coding import Numbers
from compression.export.archive.plain_values import PlainValues
from compression.export.archive.positions import (
    MOST_PLACES,
    Positions,
    kernel_shape,
    sides,
)
from compression.export.archive.range_coder import Meter
from compression.export.archive.shared_values import SharedValues

CONSTANT, PLAIN, SHARED, STEPS = range(4)
ZEROS = 4  # is added where zeros are told apart first
NOISY = 2 * ZEROS  # and without zeros or, plus 1, with them
FEW_NOISY = NOISY + 2  # likewise
MOST_VALUES = 1 << 12
TABLE_BITS = 20  # about what a shared value costs in the table


class Tensors:
    """Codes tensors one after the other; what it learns of one helps the next.

    Args:
        coder: `Writer`, `Reader` or `Meter`.
    """

    def __init__(self, coder):
        self._coder = coder
        self._numbers = Numbers()
        self._table = Numbers()
        self._positions = Positions()
        self._shared = SharedValues()
        self._plain = {}

    def code(
        self, shape: Sequence[int], dtype: str, array: np.ndarray | None = None
    ) -> np.ndarray:
        """The tensor, as it was given or as it is read.

        Args:
            shape: of the tensor.
            dtype: as Keras names it.
            array: None where it is read.

        Raises:
            ValueError: it has weights that are not finite; or what is read is damaged.
        """
        shape = tuple(shape)
        numpy_dtype(dtype)  # it is one of an archive's
        count = int(np.prod(shape, dtype=np.int64))
        if not count:
            return from_keys(np.zeros(shape, np.int64), dtype)
        keys = None if array is None else to_keys(array)
        way = self._number(None if keys is None else _way(keys, dtype), "header")
        kind, has_zeros = way % ZEROS, way >= ZEROS
        if way >= NOISY:
            kind, has_zeros = NOISY + (way - NOISY) // 2 * 2, way % 2 > 0
        if kind > FEW_NOISY or (kind >= NOISY and dtype != "float32"):
            raise ValueError(f"its weights are coded in no way that exists, {way}")
        if kind == CONSTANT:
            sole = None if keys is None else keys.reshape(-1)[:1]
            value = self._values_plain(dtype, 1, sole)
            return from_keys(np.full(shape, value[0]), dtype)
        return from_keys(self._varied(shape, dtype, keys, kind, has_zeros), dtype)

    def _varied(self, shape, dtype, keys, kind, has_zeros):  # noqa: PLR0913
        side = 0
        if has_zeros and len(shape) == 2:
            chosen = None if keys is None else _best_side(shape, keys)
            side = self._number(chosen, "header")
            if side and (side**2 > MOST_PLACES or shape[0] % side**2):
                raise ValueError(f"no image of side {side} has {shape[0]} pixels")
        kernel = kernel_shape(shape, side)
        keys = None if keys is None else keys.reshape(kernel)
        nonzero = np.ones(kernel, np.int64)
        if has_zeros:
            self._say("positions")
            given = None if keys is None else (keys != 0).astype(np.int64)
            nonzero = self._positions.code(self._coder, kernel, given)
        turned = nonzero.transpose(1, 0, 2) > 0
        values = None if keys is None else keys.transpose(1, 0, 2)[turned]
        count = int(turned.sum())
        if kind == NOISY:
            self._say("values")
            found = noisy_values.code(self._coder, count, values, self._table)
        elif kind in (PLAIN, FEW_NOISY):
            noise = noisy_values.BEHIND if kind == FEW_NOISY else 0
            found = self._values_plain(dtype, count, values, noise)
        else:
            found = self._values_shared(kind, nonzero, dtype, values)
        keys = np.zeros(turned.shape, np.int64)
        keys[turned] = found
        return keys.transpose(1, 0, 2).reshape(shape)

    def _values_plain(self, dtype, count, values, noise=0):
        self._say("values")
        coder = self._plain.setdefault(dtype, PlainValues(WIDTHS[dtype]))
        return coder.code(self._coder, count, values, noise)

    def _values_shared(self, kind, nonzero, dtype, values):
        table = None if values is None else np.unique(values)
        self._say("tables")
        if kind == STEPS:
            table = self._steps(dtype, table)
        else:
            table = self._shared_table(table, int(nonzero.sum()))
        below = int((table < 0).sum())
        numbers = None
        if values is not None:
            numbers = np.searchsorted(table, values) - below
            numbers += numbers >= 0
        self._say("values")
        ends = below, len(table) - below
        found = self._shared.code(self._coder, nonzero, ends, numbers)
        return table[found + below - (found > 0)]

    def _shared_table(self, table, most):
        """Keys that rise, none of them 0, from how far each is from the one before."""
        below = above = None
        if table is not None:
            below, above = ~table[table < 0][::-1], table[table > 0]
        sides = []
        for side, first in ((below, 0), (above, 1)):
            count = self._number(None if side is None else len(side), "tables")
            if count > min(most, MOST_VALUES):
                raise ValueError(f"{count} values are more than a table may have")
            gaps = None
            if side is not None:
                gaps = np.diff(side, prepend=first - 1) - 1
            gaps = self._table.code(self._coder, count, gaps)
            sides.append((gaps + 1).cumsum() + first - 1)
            if (np.diff(sides[-1]) <= 0).any() or (sides[-1] < 0).any():
                raise ValueError("a table of shared values is damaged")
        below, above = sides
        if not len(below) + len(above):
            raise ValueError("a table of shared values is empty")
        return np.concatenate([~below[::-1], above])

    def _steps(self, dtype, table):
        """Keys of the multiples of a step, without 0: all between the two ends."""
        if dtype != "float32":
            raise ValueError(f"steps are of float32, not of {dtype}")
        step = None if table is None else step_of(table)
        ends = (None, None)
        if step is not None:
            reals = from_keys(table[[0, -1]], "float32")
            low, high = np.rint(reals.astype(np.float64) / float(step)).astype(int)
            ends = max(0, -low), max(0, high)
        key = None if step is None else int(to_keys(np.array([step]))[0])
        key = self._number(key, "tables")
        below, above = (self._number(end, "tables") for end in ends)
        if not 0 < below + above <= MOST_VALUES:
            raise ValueError(f"{below + above} steps are more than there may be")
        [step] = from_keys(np.array([key]), "float32")
        counts = np.arange(-below, above + 1)
        table = to_keys(multiples(step, counts[counts != 0]))
        if (np.diff(table) <= 0).any():
            raise ValueError("steps are too small to differ")
        return table

    def _number(self, number, part):
        self._say(part)
        return self._numbers.one(self._coder, None if number is None else int(number))

    def _say(self, part):
        if isinstance(self._coder, Meter):
            self._coder.part = part


def bits(arrays: Sequence[np.ndarray]) -> dict[str, float]:
    """What tensors take in an archive: "header", "positions", "values", "tables".

    Args:
        arrays: in their order in the model.
    """
    meter = Meter()
    tensors = Tensors(meter)
    for array in arrays:
        tensors.code(array.shape, array.dtype.name, array)
    return meter.bits


def multiples(step: np.float32, counts: np.ndarray) -> np.ndarray:
    """float32 products, rounded once."""
    with np.errstate(over="ignore"):
        return np.float32(step) * counts.astype(np.float32)


@np.errstate(all="ignore")  # of the least and the largest floats there are
def step_of(table: np.ndarray) -> np.float32 | None:
    """The float32 of which all the values are multiples; None if there is none.

    A step counts where at least a quarter of its multiples between the ends are there.

    Args:
        table: keys of float32 values, rising, without 0.
    """
    reals = from_keys(table, "float32")
    exact = reals.astype(np.float64)
    most = min(MOST_VALUES, 4 * len(table))
    largest = max(abs(exact[0]), abs(exact[-1]))
    least = np.abs(exact).min()
    if not least:
        return None  # -0.0, whose key is not 0
    gaps = np.diff(exact)
    least = min(least, gaps.min()) if len(gaps) else least
    for divisor in range(1, 5):
        count = np.rint(largest / (least / divisor))
        if not 0 < count <= most:
            continue
        near = np.float32(largest / count)
        for step in (near, np.nextafter(near, 0), np.nextafter(near, np.float32(1e30))):
            if step <= 0:
                continue
            counts = np.rint(exact / float(step))
            ends = max(0, -counts[0]) + max(0, counts[-1])
            same = np.array_equal(multiples(step, counts), reals)
            if same and ends <= most and (counts != 0).all():
                return np.float32(step)
    return None


def _way(keys, dtype):
    """The cheapest by estimate."""
    flat = keys.reshape(-1)
    if (flat == flat[0]).all():
        return CONSTANT
    values = flat[flat != 0]
    zeros = ZEROS if len(values) < len(flat) else 0
    table = np.unique(values)
    few = len(table) <= min(MOST_VALUES, len(values) - 1)
    if dtype == "float32" and few and step_of(table) is not None:
        return zeros + STEPS
    width = np.log2(len(table)) + 1
    cost = TABLE_BITS * len(table) + width * len(values)
    narrow = min(TABLE_BITS + 4, WIDTHS[dtype]) * len(values)
    if len(table) <= MOST_VALUES and cost < narrow:
        return zeros + SHARED
    if dtype == "float32" and noisy_values.is_noisy(values):
        noisy = NOISY if len(values) >= noisy_values.MANY else FEW_NOISY
        return noisy + bool(zeros)
    return zeros + PLAIN


def _best_side(shape, keys):
    candidates = sides(shape)
    if len(candidates) == 1:
        return candidates[0]
    costs = []
    for side in candidates:
        meter = Meter()
        kernel = kernel_shape(shape, side)
        Positions().code(meter, kernel, (keys.reshape(kernel) != 0).astype(np.int64))
        costs.append(sum(meter.bits.values()))
    return candidates[int(np.argmin(costs))]
