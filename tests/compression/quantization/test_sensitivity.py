"""What layers cost alone: against plain numpy, and all together against the net."""

import importlib
import itertools

import keras
import numpy as np
import pytest
from keras import layers

from compression.quantization import (
    PrecisionPlan,
    quantize_aware,
    quantize_by_plan,
    sensitivity,
)
from compression.quantization.sensitivity import cosine_distance
from compression.quantization.switched import SwitchedNet

examples = importlib.import_module("compression.quantization.sensitivity")
pytestmark = pytest.mark.usefixtures("eagerly")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 6)).astype("float32")
MAPS = RNG.normal(size=(24, 6, 6, 3)).astype("float32")
Y = RNG.integers(0, 4, 40)


def dense_net():
    image = keras.Input((6,), name="image")
    model = keras.Model(image, layers.Dense(4, name="logits")(image), name="net")
    model.layers[1].set_weights([RNG.normal(size=(6, 4)), RNG.normal(size=4)])
    return model


def branches(name="net"):
    """Sums, concatenations, an activation of its own, batch norm apart."""
    x = image = keras.Input((6, 6, 3), name="image")
    a = layers.Conv2D(4, 3, padding="same", use_bias=False, name="left")(x)
    a = layers.BatchNormalization(name="left_bn")(a)
    b = layers.SeparableConv2D(4, 3, padding="same", name="right")(x)
    x = layers.ReLU(name="relu")(layers.Add(name="add")([a, b]))
    c = layers.Conv2D(2, 1, activation="relu", name="narrow")(x)
    x = layers.Concatenate(name="concat")([x, c])
    x = layers.Conv2D(3, 3, activation="tanh", name="bent")(layers.MaxPooling2D()(x))
    x = layers.BatchNormalization(name="alone")(layers.Flatten(name="flat")(x))
    model = keras.Model(image, layers.Dense(4, name="logits")(x), name=name)
    for variable in model.weights:
        low = 0.5 if "variance" in variable.path or "gamma" in variable.path else -0.5
        variable.assign(RNG.uniform(low, 1, variable.shape))
    return model


def rounded(x, low, high, levels):
    """Of an affine range, in plain numpy."""
    scale = (high - low) / levels
    zero = np.floor(-low / scale + 0.5)
    return (np.clip(np.floor(x / scale + 0.5) + zero, 0, levels) - zero) * scale


def loss_of(logits):
    shifted = np.exp(logits - logits.max(1, keepdims=True))
    return -np.log((shifted / shifted.sum(1, keepdims=True))[range(40), Y]).mean()


@pytest.mark.backends
def test_rows_are_those_of_plain_numpy():
    model = dense_net()
    rows = {
        (row.layer, row.precision): row
        for row in sensitivity(model, [(X[:16], Y[:16]), (X[16:], Y[16:, None])])
    }
    assert set(rows) == {("image", "int8"), ("logits", "int8"), ("logits", "int4")}
    kernel, bias = (w.astype("float64") for w in model.layers[1].get_weights())
    wide = X.astype("float64")
    exact = wide @ kernel + bias
    low, high = exact.min(), exact.max()
    found = {("image", "int8"): (rounded(wide, X.min(), X.max(), 255) @ kernel + bias)}
    for name, most in (("int8", 127), ("int4", 7)):
        scale = np.abs(kernel).max() / most
        ours = wide @ (np.floor(kernel / scale + 0.5) * scale) + bias
        found["logits", name] = rounded(ours, low, high, 255)
    for key, logits in found.items():
        assert rows[key].loss == pytest.approx(
            loss_of(logits) - loss_of(exact), abs=1e-5
        )
        right = [(each.argmax(1) == Y).mean() for each in (exact, logits)]
        assert rows[key].top1 == pytest.approx(right[0] - right[1])
    distance = cosine_distance(exact, found["logits", "int4"])
    assert rows["logits", "int4"].cosine_distance == pytest.approx(distance, rel=1e-2)
    assert rows["logits", "int4"].weights == 24 and rows["image", "int8"].weights == 0
    assert 1e-4 < distance < 0.1


def test_each_layer_has_a_row_for_each_precision_and_the_dearest_is_first():
    model = branches()
    before = model.get_weights()
    data = [(MAPS, Y[:24])]
    rows = sensitivity(model, data)
    for was, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)
    kernels = {"left", "right", "right_pointwise", "narrow", "bent", "logits"}
    others = {"image", "add", "concat", "bent_activation", "alone"}
    assert {row.layer for row in rows if row.precision == "int4"} == kernels
    assert sorted(row.layer for row in rows if row.precision == "int8") == sorted(
        kernels | others
    )
    assert [row.loss for row in rows] == sorted((r.loss for r in rows), reverse=True)
    by_bits = {(row.layer, row.precision): row.cosine_distance for row in rows}
    for kernel in kernels:
        assert by_bits[kernel, "int4"] > 3 * by_bits[kernel, "int8"] > 0
    only = sensitivity(model, data, precisions=["int4"], skip=["logits"])
    assert {r.precision for r in only if r.layer in kernels} == {"int4"}
    assert "logits" not in {row.layer for row in only}


def test_all_layers_together_give_what_the_quantized_net_gives():
    model = branches()
    net = SwitchedNet(model, [MAPS])
    net.all_float()
    np.testing.assert_allclose(net.answers(MAPS)[0], model(MAPS), rtol=1e-5, atol=1e-5)
    net.all_of(dict.fromkeys(net.parts, "int8"))
    whole = quantize_aware(model, calibration=[MAPS])
    np.testing.assert_array_equal(net.answers(MAPS)[0], whole.predict(MAPS, verbose=0))
    rest = {name: p.precisions[-1] for name, p in net.parts.items()}
    for floats in (
        ["left", "add", "bent"],
        ["narrow", "alone", "right"],
        [name for name, part in net.parts.items() if "float32" in part.precisions],
    ):
        layers_of = rest | dict.fromkeys(floats, "float32")
        net.all_of(layers_of)
        mixed = quantize_by_plan(model, PrecisionPlan("net", layers_of), [MAPS])
        np.testing.assert_array_equal(
            net.answers(MAPS)[0], mixed.predict(MAPS, verbose=0)
        )


def test_the_distance_of_large_tensors_is_that_of_some_of_their_numbers():
    assert cosine_distance(np.zeros(3), np.zeros(3)) == 0.0
    assert cosine_distance(np.zeros(3), np.ones(3)) == 1.0
    assert cosine_distance(np.array([1.0, 0]), np.array([1.0, 1])) == pytest.approx(
        1 - 0.5**0.5
    )
    net = SwitchedNet(branches(), [MAPS])
    _, given = net.answers(MAPS)
    assert given["left"].shape == (24, 64) and given["logits"].shape == (24, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": []}, "data holds no batches"),
        ({"data": [X]}, r"data must be batches \(images, labels\)"),
        ({"data": [(X, Y + 9)]}, "labels must be 0 to 3, got 9 to 12"),
        ({"data": [(X, np.eye(4, dtype=int)[Y])]}, r"got labels \(40, 4\) .* one-hot"),
        ({"data": [(X, Y / 2)]}, r"got labels \(40,\) of float64"),
        ({"data": [(X[:, :2], Y)]}, r"data must be batches of images \(6,\)"),
        ({"data": [(X, Y), (MAPS, Y[:24])]}, r"data must be .* shape \(24, 6, 6, 3\)"),
        ({"data": None}, r"data must be batches \(images, labels\), got None"),
        ({"precisions": ["int2"]}, "precisions must be of int8 and int4, got 'int2'"),
        ({"precisions": "int2"}, "precisions must be of int8 and int4, got 'int2'"),
        ({"precisions": []}, "precisions must be of int8 and int4, got None"),
        ({"skip": ["conv"]}, "skip: no layer is called 'conv'"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        sensitivity(dense_net(), **{"data": [(X, Y)]} | options)


def test_data_that_never_end_are_refused(monkeypatch):
    """Before they have taken all memory."""
    monkeypatch.setattr(examples, "MOST_LABELLED", 5 * X.nbytes)
    with pytest.raises(ValueError, match="data goes on after 240 images.* ever end"):
        sensitivity(dense_net(), itertools.repeat((X, Y)))
    with pytest.raises(ValueError, match="data goes on after 0 images"):
        sensitivity(dense_net(), itertools.repeat((X[:0], Y[:0])))


def test_an_open_image_size_is_that_of_the_images():
    def net(size):
        keras.utils.set_random_seed(3)
        image = keras.Input((size, size, 3), name="image")
        x = layers.Conv2D(4, 3, activation="relu", name="conv")(image)
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        return keras.Model(image, layers.Dense(4, name="logits")(x), name="net")

    data = [(MAPS, Y[:24])]
    fixed, open_ = (sensitivity(net(size), data) for size in (6, None))
    for one, other in zip(fixed, open_, strict=True):
        assert (one.layer, one.precision) == (other.layer, other.precision)
        assert one.loss == pytest.approx(other.loss, abs=1e-6)
        assert other.cosine_distance < 0.05


def test_a_quantized_net_and_a_layer_without_kernel_are_refused():
    model = quantize_aware(dense_net(), calibration=[X])
    with pytest.raises(ValueError, match="'net' is quantized already"):
        sensitivity(model, [(X, Y)])
    image = keras.Input((6,), name="image")
    odd = keras.Model(image, layers.Dense(4, activation="elu", name="odd")(image))
    with pytest.raises(ValueError, match="activation 'elu'.* has no integer kernel"):
        sensitivity(odd, [(X, Y)])
    [row] = sensitivity(odd, [(X, Y)], skip="odd")
    assert row.layer == "image"
    pair = keras.Model([image, keras.Input((6,))], layers.Dense(4)(image), name="pair")
    with pytest.raises(ValueError, match="images of one input, 'pair' has 2"):
        sensitivity(pair, [([X, X], Y)])
    two = keras.Model(image, [layers.Dense(4)(image), layers.Dense(2)(image)])
    with pytest.raises(ValueError, match="must have one output, the logits: .* has 2"):
        sensitivity(two, [(X, Y)])
