"""Deep Compression's file, as a baseline: gaps of 4 bits, numbers of shared values.

Han, Mao and Dally, Deep Compression, ICLR 2016 (https://arxiv.org/abs/1510.00149),
sections 2 to 4: a weight that is not zero is stored as the number of zeros since the
last one, up to 15, and the number of its value; where there are more zeros, a zero is
stored between. Both are Huffman coded, or have a fixed width as in the files that the
authors published. A tensor of which each weight has its own value stays float32.
"""

import heapq
import struct
from collections.abc import Sequence

import numpy as np

LONGEST_GAP = 15
MOST_VALUES = 1 << 12


def encode(arrays: Sequence[np.ndarray], *, huffman: bool = True) -> bytes:
    """float32 tensors; their shapes are the reader's to know."""
    return b"".join(_encoded(array.reshape(-1), huffman) for array in arrays)


def decode(
    content: bytes, shapes: Sequence[tuple[int, ...]], *, huffman: bool = True
) -> list[np.ndarray]:
    """What `encode` was given."""
    arrays, at = [], 0
    for shape in shapes:
        size = int(np.prod(shape))
        (values,) = struct.unpack_from("<H", content, at)
        at += 2
        if values == 0xFFFF:
            array = np.frombuffer(content, "<f4", size, at)
            at += 4 * size
        else:
            array, at = _decoded(content, at, size, values, huffman)
        arrays.append(array.reshape(shape))
    return arrays


def _encoded(flat, huffman):
    table = np.unique(flat[flat != 0])
    if len(table) > min(MOST_VALUES, flat.size // 2):
        return struct.pack("<H", 0xFFFF) + flat.astype("<f4").tobytes()
    gaps, numbers = _entries(flat, table)
    parts = [struct.pack("<HI", len(table), len(gaps)), table.astype("<f4").tobytes()]
    for symbols, alphabet in ((gaps, LONGEST_GAP + 1), (numbers, len(table) + 1)):
        lengths = _lengths(symbols, alphabet, huffman)
        if huffman:
            parts.append(lengths.astype("u1").tobytes())
        parts.append(_packed(symbols, lengths))
    return b"".join(parts)


def _entries(flat, table):
    """The zeros before each entry, and the number of its value, 0 of a filling zero."""
    at = np.flatnonzero(flat)
    zeros = np.diff(at, prepend=-1) - 1
    fillers = zeros // (LONGEST_GAP + 1)
    last = np.cumsum(fillers + 1) - 1
    count = int(last[-1]) + 1 if len(last) else 0
    gaps = np.full(count, LONGEST_GAP)
    gaps[last] = zeros % (LONGEST_GAP + 1)
    numbers = np.zeros(count, np.int64)
    numbers[last] = np.searchsorted(table, flat[at]) + 1
    return gaps, numbers


def _decoded(content, at, size, values, huffman):
    (count,) = struct.unpack_from("<I", content, at)
    at += 4
    table = np.frombuffer(content, "<f4", values, at)
    at += 4 * values
    found = []
    for alphabet in (LONGEST_GAP + 1, values + 1):
        lengths = _lengths(None, alphabet, False)
        if huffman:
            lengths = np.frombuffer(content, "u1", alphabet, at).astype(np.int64)
            at += alphabet
        symbols, at = _unpacked(content, at, count, lengths)
        found.append(symbols)
    gaps, numbers = found
    array = np.zeros(size, np.float32)
    where = np.cumsum(gaps + 1) - 1
    array[where] = np.concatenate([[np.float32(0)], table])[numbers]
    return array, at


def _lengths(symbols, alphabet, huffman):
    """Bits of each symbol's code."""
    if not huffman:
        return np.full(alphabet, max(1, int(alphabet - 1).bit_length()))
    counts = np.bincount(symbols, minlength=alphabet)
    lengths = np.zeros(alphabet, np.int64)
    heap = [(int(n), [s]) for s, n in enumerate(counts) if n]
    if len(heap) == 1:
        lengths[heap[0][1]] = 1
    heapq.heapify(heap)
    while len(heap) > 1:
        (few, ones), (more, others) = heapq.heappop(heap), heapq.heappop(heap)
        lengths[ones + others] += 1
        heapq.heappush(heap, (few + more, ones + others))
    return lengths


def _codes(lengths):
    """Canonical: codes of one length follow each other, the short ones come first."""
    codes, code, before = np.zeros(len(lengths), np.int64), 0, 0
    for symbol in np.argsort(lengths, kind="stable"):
        if lengths[symbol]:
            code <<= int(lengths[symbol]) - before
            before = int(lengths[symbol])
            codes[symbol] = code
            code += 1
    return codes


def _packed(symbols, lengths):
    codes = _codes(lengths)
    sizes = lengths[symbols]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    bits = np.zeros(int(starts[-1]), np.uint8)
    for depth in range(int(lengths.max(initial=0))):
        has = sizes > depth
        shift = sizes[has] - 1 - depth
        bits[starts[:-1][has] + depth] = codes[symbols[has]] >> shift & 1
    return np.packbits(bits).tobytes()


def _unpacked(content, at, count, lengths):
    codes = _codes(lengths)
    known = {
        (int(lengths[s]), int(codes[s])): s for s in range(len(lengths)) if lengths[s]
    }
    bits = np.unpackbits(np.frombuffer(content, np.uint8, offset=at)).tolist()
    symbols, position = [], 0
    for _ in range(count):
        code = length = 0
        symbol = None
        while symbol is None:
            code = 2 * code + bits[position]
            position += 1
            length += 1
            symbol = known.get((length, code))
        symbols.append(symbol)
    return np.array(symbols, np.int64), at + -(-position // 8)
