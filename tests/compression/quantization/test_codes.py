"""int8 codes by hand, and their laws."""

import hypothesis.extra.numpy as hnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from compression.quantization.codes import symmetric_codes


def test_codes_by_hand():
    weights = np.array([[1.27, 0.0], [-0.635, 0.0], [0.004, 0.0]], np.float32)
    codes, scales = symmetric_codes(weights)
    np.testing.assert_allclose(scales, [[0.01, 1.0]], rtol=1e-6)
    # -63.5 rounds to even.
    np.testing.assert_array_equal(codes, [[127, 0], [-64, 0], [0, 0]])


@settings(deadline=None)
@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=4, max_side=5),
        elements=st.floats(-(2.0**100), 2.0**100, width=32) | st.just(0.0),
    ),
    st.data(),
)
def test_codes_are_within_half_a_scale_and_keep_zeros(weights, data):
    axes = data.draw(st.sampled_from([(-1,), (-2,), (-2, -1), (0,)]))
    codes, scales = symmetric_codes(weights, axes)
    error = np.abs(weights - scales * codes.astype(np.float64))
    assert (error <= scales / 2 * (1 + 1e-5)).all()
    assert (codes[weights == 0] == 0).all()
    assert np.isfinite(scales).all()
    kept = {axis % weights.ndim for axis in axes}
    assert scales.shape == tuple(
        side if i in kept else 1 for i, side in enumerate(weights.shape)
    )
