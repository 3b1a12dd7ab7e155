"""`calibrate`: ranges by hand, what is refused, and that it costs no memory."""

import keras
import numpy as np
import pytest
from keras import layers

from compression.graph import read
from compression.quantization import calibrate, is_quantized
from compression.quantization.ranges import ActivationRange
from tests.compression.small_nets import on_images, shaken

pytestmark = pytest.mark.usefixtures("eagerly")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 8, 8, 4)).astype("float32")


def ends(model):
    """Of each range, by the name of the call whose output it rounds."""
    calls = read(model).calls
    return {
        calls[call.producers[0]].operation.name: tuple(
            map(float, call.operation.ends())
        )
        for call in calls
        if isinstance(call.operation, ActivationRange)
    }


def double():
    """Twice the input, then the positive part, then three times that."""
    model = keras.Sequential(
        [
            keras.Input((1,), name="image"),
            layers.Dense(1, use_bias=False, name="twice"),
            layers.ReLU(name="relu"),
            layers.Dense(1, use_bias=False, name="logits"),
        ]
    )
    model.set_weights([np.array([[2.0]]), np.array([[3.0]])])
    return model


def test_ranges_by_hand():
    batches = [np.array([[1.0], [-2]]), (np.array([[4.0]]), np.array([0]))]
    found = ends(calibrate(double(), batches))
    assert found == {"image": (-2, 4), "relu": (0, 8), "logits": (0, 24)}


@pytest.mark.parametrize("method", ["percentile", "mse", "kl"])
def test_an_outlier_is_cut_off_inside_but_not_at_the_ends(method):
    values = np.append(RNG.normal(size=20_000), 40.0)[:, None]
    found = ends(calibrate(double(), np.array_split(values, 7), method))
    assert found["image"][1] == 40
    assert found["relu"][0] == 0
    assert 4 < found["relu"][1] < 80
    assert found["logits"][1] == 240
    wide = ends(calibrate(double(), [values], "percentile", percentile=100))
    assert wide["relu"] == (0, 80)


def net():
    return shaken(
        on_images(
            layers.Conv2D(6, 3, name="conv"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dense(3, name="logits"),
            layers.Softmax(name="softmax"),
        )
    )


def test_it_is_the_net_with_fixed_rounding(tmp_path):
    model = net()
    before = model.get_weights()
    quantized = calibrate(model, iter([X[:20], X[20:]]), "mse", bits=8)
    assert is_quantized(quantized)
    assert not is_quantized(model)
    for was, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)
    assert 0 < np.abs(np.asarray(quantized(X)) - model(X)).max() < 0.02
    kept = ends(quantized)
    quantized.compile("sgd", "mse")
    quantized.fit(X, np.zeros((32, 3)), verbose=0)
    assert ends(quantized) == kept  # training moves weights, not ranges
    quantized.save(tmp_path / "net.keras")
    again = keras.models.load_model(tmp_path / "net.keras")
    np.testing.assert_array_equal(again(X), quantized(X))


def test_batches_are_cut_to_what_memory_holds(monkeypatch):
    from compression.quantization import insertion

    model = net()
    wanted = ends(calibrate(model, [X], "percentile"))
    monkeypatch.setattr(insertion, "MOST_BYTES", 20_000)  # of an image's 7,000
    for name, found in ends(calibrate(model, [X], "percentile")).items():
        np.testing.assert_allclose(found, wanted[name], atol=1e-2, err_msg=name)


def test_a_net_all_of_which_is_left_out_stays_as_it_is():
    """But for its output, which a file gives in codes: a single range."""
    model = net()
    found = calibrate(model, [X], skip="*")
    assert len(ends(found)) == 1
    np.testing.assert_allclose(found(X), model(X), atol=0.02)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batches": []}, "calibration holds no images"),
        ({"batches": [X[:, :4]]}, r"images \(8, 8, 4\), one has the shape \(32, 4, 8"),
        ({"batches": [np.full_like(X, np.nan)]}, "image 0 has a pixel that is not fin"),
        ({"method": "entropy"}, "called 'entropy'; choose from minmax, percentile, m"),
        ({"bits": 16}, "bits must be 8 or 4, got 16"),
        ({"percentile": 101}, r"percentile must be in \(50, 100\], got 101"),
        ({"skip": "nothing"}, "skip: no layer is called 'nothing'"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        calibrate(**{"model": net(), "batches": [X]} | arguments)


def test_nets_that_cannot_be_quantized_are_refused():
    model = net()
    with pytest.raises(ValueError, match="quantized already: give the net that it was"):
        calibrate(calibrate(model, [X]), [X])
    kernel = model.get_layer("conv").kernel
    kernel.assign(np.full(kernel.shape, 3e38))
    with pytest.raises(ValueError, match="gives values that are not finite on calibra"):
        calibrate(model, [X])
    kernel.assign(np.full(kernel.shape, np.nan))
    with pytest.raises(ValueError, match=r"kernel of .* is not finite"):
        calibrate(model, [X])
    odd = on_images(layers.Conv2D(3, 3), layers.ELU(name="odd"), layers.Flatten())
    message = r"'odd' \(ELU\) has no integer kernel: .* with skip=\('odd',\)"
    with pytest.raises(ValueError, match=message):
        calibrate(odd, [X])
    assert is_quantized(calibrate(odd, [X], skip="odd"))
