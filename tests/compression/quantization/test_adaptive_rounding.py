"""AdaRound: which way a weight goes, and that it stays there."""

import keras
import numpy as np
import pytest
from keras import layers

from compression.quantization import adaround, calibrate, fold_batch_norm
from compression.quantization.adaptive_rounding import Reconstruction
from compression.quantization.learnt_rounding import LearntRounding
from compression.quantization.twins import Quantized
from tests.compression.small_nets import on_images, shaken

pytestmark = pytest.mark.usefixtures("eagerly")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 8, 8, 4)).astype("float32")


def pair():
    """Of 4 bits with the scale 1, 0.48 and 0.32 are 0 and 0, where 0.8 would be 1.

    They read the same number x: the nearest is off by 0.8 x, one up by 0.2 x.
    """
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1, use_bias=False)])
    model.set_weights([np.array([[7.0], [0.48], [0.32]])])
    images = RNG.normal(size=(64, 3)).astype("float32")
    images[:, 2] = images[:, 1]
    return model, images


# Half a minute on JAX without its compiler.
@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_larger_of_two_goes_up(jit_compile):
    model, images = pair()
    found = adaround(model, [images], bits=4, steps=300, jit_compile=jit_compile)
    kernel = np.asarray(found.layers[-1].kernel)[:, 0]
    assert kernel.tolist() == [7, 1, 0]
    assert model.layers[-1].kernel[1, 0] == np.float32(0.48)


def test_heights_by_hand():
    """sigmoid(0) = 1/2, stretched to [-0.1, 1.1]: 1/2; sigmoid(5) is cut to 1."""
    rounding = LearntRounding(bits=4)
    rounding.build((4, 1))
    rounding.start(np.array([[7.0], [0.5], [-2.25], [0]]))
    np.testing.assert_allclose(rounding.lower[:, 0], [7, 0, -3, 0])
    np.testing.assert_allclose(rounding.free[:, 0], [0, 1, 1, 0])
    np.testing.assert_allclose(rounding.heights()[:, 0], [0, 0.5, 0.75, 0], atol=1e-6)
    rounding.soft = True
    soft = rounding(np.zeros((4, 1)))
    rounding.soft = False
    np.testing.assert_allclose(soft[:, 0], [7, 0.5, -2.25, 0], atol=1e-6)
    # 1 - |2 h - 1|^2: 1 at a half, 3/4 at three quarters.
    assert float(rounding.indecision(2.0)) == pytest.approx(1.75)
    rounding.upwards.assign([[5], [5], [-5], [5]])
    np.testing.assert_allclose(rounding.heights()[:, 0], [0, 1, 0, 0])
    np.testing.assert_allclose(rounding(np.zeros((4, 1)))[:, 0], [7, 1, -3, 0])
    assert float(rounding.indecision(2.0)) == 0


def net():
    keras.utils.set_random_seed(0)
    return shaken(
        on_images(
            layers.Conv2D(6, 3, use_bias=False, name="conv"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.DepthwiseConv2D(3, activation="relu6", name="deep"),
            layers.Conv2DTranspose(4, 2, activation="tanh", name="up"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, name="last"),
        )
    )


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.slow
def test_weights_are_codes_that_calibration_leaves_alone(bits):
    model = net()
    mask = RNG.random((3, 3, 4, 6)) < 0.5
    kernel = model.get_layer("conv").kernel
    kernel.assign(np.asarray(kernel) * mask)
    found = adaround(model, [X], bits=bits, steps=3)
    quantized = calibrate(found, [X], bits=bits)
    folded = fold_batch_norm(model)
    twins = [layer for layer in quantized.layers if isinstance(layer, Quantized)]
    assert [twin.name for twin in twins] == ["conv", "deep", "up", "last"]
    for twin in twins:
        ours = np.asarray(found.get_layer(twin.name).kernel)
        largest = np.abs(ours).max()
        used = np.asarray(twin.kernel_quantizer(twin.kernel))
        np.testing.assert_allclose(used, ours, atol=1e-6 * largest)
        # Up or down, and no further: less than a step from where it was.
        original = np.asarray(folded.get_layer(twin.name).kernel)
        step = largest / (2 ** (twin.bits - 1) - 1)
        assert np.abs(ours - original).max() < 1.001 * step
    assert (np.asarray(found.get_layer("conv").kernel)[~mask] == 0).all()


@pytest.mark.usefixtures("traced")
def test_the_error_is_smaller_than_that_of_the_nearest(caplog):
    caplog.set_level("INFO", "compression.quantization.adaptive_rounding")
    model = shaken(
        on_images(
            layers.Conv2D(4, 3, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
        )
    )
    smooth = np.repeat(np.repeat(X[:, ::4, ::4], 4, axis=1), 4, axis=2) + 0.5
    found = adaround(model, [smooth], bits=4, steps=200)
    [record] = caplog.records
    after, before = record.args[1:]
    assert after < 0.8 * before
    wanted = np.asarray(model(smooth))
    nearest = np.asarray(calibrate(model, [smooth], bits=4)(smooth))
    ours = np.asarray(calibrate(found, [smooth], bits=4)(smooth))
    assert np.square(ours - wanted).mean() < np.square(nearest - wanted).mean()


def test_where_learning_is_of_no_use_the_nearest_stay(monkeypatch):
    def misled(self, x, y, y_pred, *_, **__):  # it learns the opposite
        return -keras.ops.mean(keras.ops.square(y - y_pred))

    monkeypatch.setattr(Reconstruction, "compute_loss", misled)
    model, images = pair()
    model.set_weights([np.array([[7.0], [0.3], [0.3]])])  # 0 and 0, or 1 and 1
    found = adaround(model, [images], bits=4, steps=20)
    np.testing.assert_array_equal(found.layers[-1].kernel[:, 0], [7, 0, 0])


def test_bad_arguments_are_refused():
    model = net()
    for arguments, message in [
        ({"bits": 2}, "bits must be 8 or 4, got 2"),
        ({"steps": 0}, "steps must be positive, got 0"),
        ({"skip": "nothing"}, "no layer is called 'nothing'"),
    ]:
        with pytest.raises(ValueError, match=message):
            adaround(model, [X], **arguments)
    with pytest.raises(ValueError, match="calibration holds no images"):
        adaround(model, [])
    with pytest.raises(ValueError, match="is quantized already"):
        adaround(calibrate(model, [X]), [X])


def test_nets_in_float64_learn_rounding_too():
    image = keras.Input((6,), dtype="float64")
    logits = layers.Dense(3, dtype="float64", name="logits")(image)
    images = np.random.default_rng(0).normal(size=(8, 6))
    found = adaround(keras.Model(image, logits), [images], steps=2, jit_compile=False)
    kernel = keras.ops.convert_to_numpy(found.get_layer("logits").kernel)
    scale = np.abs(kernel).max() / 127
    assert kernel.dtype == np.float64
    np.testing.assert_allclose(kernel / scale, np.rint(kernel / scale), atol=1e-3)
