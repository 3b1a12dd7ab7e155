"""What is coded comes back, bit by bit, of any shape and type; and takes few bits."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from compression.export.archive import bits
from compression.export.archive.keys import WIDTHS, from_keys, numpy_dtype, to_keys
from compression.export.archive.plain_values import PlainValues
from compression.export.archive.range_coder import Meter, Reader, Writer
from compression.export.archive.tensors import (
    FEW_NOISY,
    NOISY,
    Tensors,
    _way,
    multiples,
    step_of,
)

SHAPES = hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=6)


def there_and_back(*arrays):
    writer = Writer()
    tensors = Tensors(writer)
    for array in arrays:
        tensors.code(array.shape, array.dtype.name, array)
    content = writer.content()
    tensors = Tensors(Reader(content))
    for array in arrays:
        found = tensors.code(array.shape, array.dtype.name)
        assert (found.shape, found.dtype) == (array.shape, array.dtype)
        assert found.tobytes() == np.ascontiguousarray(array).tobytes()
    return len(content)


@st.composite
def weights(draw):
    """Any words of any type; or few values, with zeros."""
    name = draw(st.sampled_from(sorted(WIDTHS)))
    dtype = numpy_dtype(name)
    shape = draw(SHAPES)
    if draw(st.booleans()):
        pool = draw(hnp.arrays(f"u{dtype.itemsize}", st.integers(1, 5)))
        pool = np.append(pool, 0)[draw(hnp.arrays(np.int8, shape)) % (len(pool) + 1)]
        words = np.asarray(pool, f"u{dtype.itemsize}")
    else:
        words = draw(hnp.arrays(f"u{dtype.itemsize}", shape))
    if name == "bool":
        return (words % 2).astype(bool)
    array = words.view(dtype)
    if dtype.kind in "iu":
        return array % 2**60 if dtype.itemsize == 8 else array
    return np.where(np.isfinite(array), array, dtype.type(0)).astype(dtype)


@settings(max_examples=25)
@given(st.lists(weights(), min_size=1, max_size=3))
def test_whatever_it_is_it_comes_back(arrays):
    there_and_back(*arrays)


def pruned(shape, density, values, seed=0):
    random = np.random.default_rng(seed)
    table = np.sort(random.normal(size=values)).astype("f4")
    array = table[random.integers(0, values, shape)]
    return np.where(random.random(shape) < density, array, np.float32(0))


@pytest.mark.parametrize(
    "array",
    [
        pruned((3, 3, 3, 40), 0.3, 100),
        pruned((5, 5, 3, 1), 0.5, 7),  # a depthwise kernel
        pruned((49, 10), 0.2, 16),  # of an image
        np.float32(0.02) * np.arange(-40, 41, dtype="f4").reshape(9, 9),
        np.array([0.0, -0.0, 1e-45, -3e38, 3e38], "f4"),
        np.zeros((0, 3), "f4"),
        np.array(2.5, "f8"),
        np.full((4, 4), -1.5, ml_dtypes.bfloat16),
        np.random.default_rng(0).integers(-128, 128, (40, 20)).astype("i1"),
        np.arange(500, dtype="f4").reshape(5, 100),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_kinds_of_tensors(array):
    there_and_back(array, array)


def test_keys_are_in_the_order_of_the_weights():
    reals = np.array([-np.float32(3e38), -1, -1e-45, -0.0, 0.0, 1e-45, 0.5, 1], "f4")
    keys = to_keys(reals)
    assert (np.diff(keys) > 0).all() and keys[3:5].tolist() == [-1, 0]
    assert from_keys(keys, "float32").tobytes() == reals.tobytes()


def test_what_is_not_finite_is_refused():
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match="must be finite"):
            bits([np.array([1, bad], "f4")])
    with pytest.raises(ValueError, match="beyond 2"):
        bits([np.array([2**62])])
    with pytest.raises(ValueError, match="no archive holds complex64"):
        bits([np.zeros(2, "c8")])


def test_a_step_is_found_where_there_is_one():
    step = np.float32(0.0123)
    counts = np.array([-7, -3, -1, 1, 2, 9])
    assert step_of(to_keys(multiples(step, counts))) == step
    assert step_of(to_keys(np.array([-1.0, 0.4, 0.7123], "f4"))) is None


def entropy(probabilities):
    probabilities = np.array(probabilities)
    return -(probabilities * np.log2(probabilities)).sum()


def test_the_bits_are_near_the_entropy():
    """Of independent weights nothing beats it; what the model has to learn is small."""
    array = pruned((1, 1, 200, 200), 0.3, 16)
    got = bits([array])
    positions = entropy([0.3, 0.7]) * array.size
    values = 4 * np.count_nonzero(array)
    assert 0.98 * positions < got["positions"] < 1.02 * positions
    assert 0.99 * values < got["values"] < 1.02 * values
    assert got["tables"] < 16 * 32 and got["header"] < 40


def test_rows_and_columns_that_are_empty_cost_nearly_nothing():
    array = pruned((100, 100), 0.5, 2)
    array[:, ::2] = 0
    array[::2] = 0
    assert bits([array])["positions"] < 0.45 * entropy([1 / 8, 7 / 8]) * array.size * 2
    assert bits([array])["positions"] < 1.35 * 2500


def test_large_weights_stand_together():
    """A row's size is learned: half the values' bits of one that is not known."""
    random = np.random.default_rng(0)
    scale = np.where(np.arange(64) % 2, 1, 16)
    numbers = random.integers(1, 9, (64, 64)) * scale * random.choice([-1, 1], (64, 64))
    array = numbers.astype("f4") / 8 + np.float32(0.001) * numbers
    shuffled = random.permutation(array.reshape(-1)).reshape(64, 64)
    assert bits([array.T])["values"] < bits([shuffled])["values"] - 0.6 * array.size


def test_rounded_floats_cost_what_is_left_of_them():
    noise = np.random.default_rng(0).normal(size=1500).astype("f4")
    half = noise.astype(ml_dtypes.bfloat16).astype("f4")
    assert bits([half])["values"] < bits([noise])["values"] - 15 * 1500
    assert bits([noise])["values"] < 30 * 1500


def test_many_floats_are_coded_by_their_counts():
    """Sign, exponent and three bits near their entropy; twenty bits as they are."""
    noise = np.random.default_rng(0).normal(size=(256, 256)).astype("f4")
    assert _way(to_keys(noise), "float32") == NOISY
    found = bits([noise])
    beginnings = np.unique(to_keys(noise).reshape(-1) >> 20, return_counts=True)[1]
    wanted = 20 + entropy(beginnings / noise.size)
    assert wanted < found["values"] / noise.size < 1.01 * wanted + 0.2
    holes = noise.copy()
    holes[::3] = 0
    assert _way(to_keys(holes), "float32") == NOISY + 1
    there_and_back(noise, holes, np.float32(1e38) * noise.clip(-1, 1))


def test_many_floats_that_were_rounded_are_coded_bit_by_bit():
    noise = np.random.default_rng(0).normal(size=(256, 256)).astype("f4")
    half = noise.astype(np.float16).astype("f4")
    assert _way(to_keys(half), "float32") != NOISY


@pytest.mark.parametrize("count", [64, 1000, 5000])
def test_a_few_floats_are_guessed_down_to_their_noise(count):
    noise = np.random.default_rng(0).normal(size=count).astype("f4")
    assert _way(to_keys(noise), "float32") == FEW_NOISY
    holes = noise.copy()
    holes[::3] = 0
    assert _way(to_keys(holes), "float32") == FEW_NOISY + 1
    there_and_back(noise, holes, -np.abs(noise))
    meter = Meter()
    PlainValues(31).code(meter, count, to_keys(noise))
    assert bits([noise])["values"] < 1.01 * meter.bits[""] + 8


def test_a_few_floats_that_are_no_noise_are_guessed_to_the_end():
    noise = np.random.default_rng(0).normal(size=1000).astype("f4")
    half = noise.astype(ml_dtypes.bfloat16).astype("f4")
    assert _way(to_keys(half), "float32") < NOISY
    assert _way(to_keys(noise[:3]), "float32") < NOISY  # it may be chance
    with pytest.raises(ValueError, match="no way that exists, 10"):
        writer = Writer()
        Tensors(writer).code(noise.shape, "float32", noise)
        Tensors(Reader(writer.content())).code((1000,), "int32")


def test_counts_of_other_weights_are_refused():
    noise = np.random.default_rng(0).normal(size=(256, 256)).astype("f4")
    writer = Writer()
    Tensors(writer).code(noise.shape, "float32", noise)
    content = writer.content()
    with pytest.raises(ValueError, match="damaged|cannot be decoded"):
        Tensors(Reader(content)).code((255, 256), "float32")
    with pytest.raises(ValueError, match="no way that exists, 8"):
        Tensors(Reader(content)).code((256, 256), "int32")
