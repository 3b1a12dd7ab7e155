"""Values of kernels, counted by hand, in models and in files."""

import numpy as np
import pytest
from keras import layers

from compression import export, measure
from compression.quantization import share_weights
from tests.compression.small_nets import on_images, shaken


def net():
    return shaken(
        on_images(
            layers.Conv2D(6, 3, name="conv"),
            layers.Flatten(name="flatten"),
            layers.Dense(5, name="fc"),
        )
    )


def test_by_hand():
    """Values of shares 1/2, 1/4, 1/8, 1/8 take 1.75 bits; half are 0."""
    model = on_images(layers.Dense(2, name="fc"), shape=(4,))
    model.get_layer("fc").kernel.assign([[0, 0], [0, 0], [1, 1], [2, 3]])
    kernel = model.get_layer("fc").kernel
    assert measure.kernel_values(model) == {kernel.path: (8, 4, 1.75, 4)}
    model.get_layer("fc").kernel.assign(np.ones((4, 2)))
    assert measure.kernel_values(model) == {kernel.path: (8, 1, 0.0, 8)}


def test_files_hold_the_values_of_the_model(tmp_path):
    model = share_weights(net(), 4)
    expected = list(measure.kernel_values(model).values())
    assert [each.values for each in expected] == [4, 4]
    model.save(tmp_path / "net.keras")
    again = measure.kernel_values(tmp_path / "net.keras")
    assert list(again.values()) == expected
    for precision in ("float32", "float16"):
        file = export.litert(model, tmp_path / "net.tflite", precision=precision)
        found = measure.kernel_values(file).values()
        assert sorted(found) == sorted(expected)
    folder = export.saved_model(model, tmp_path / "net")
    with pytest.raises(ValueError, match="net are those of a SavedModel, which are no"):
        measure.kernel_values(folder)
