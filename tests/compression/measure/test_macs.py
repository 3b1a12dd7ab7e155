"""MACs and layer lists worked by hand; what cannot be counted is refused."""

import math

import keras
import numpy as np
import pytest
from keras import layers

import architectures
from compression import export, measure
from compression.measure.macs import total_macs
from tests.compression.small_nets import on_images


@pytest.mark.parametrize(
    ("stack", "macs"),
    [
        ([layers.Conv2D(6, 3)], 6 * 6 * 3 * 3 * 4 * 6),
        ([layers.Conv2D(6, 3, padding="same")], 8 * 8 * 3 * 3 * 4 * 6),
        ([layers.Conv2D(6, 3, strides=2, padding="same")], 4 * 4 * 3 * 3 * 4 * 6),
        ([layers.Conv2D(6, (1, 3), dilation_rate=2)], 8 * 4 * 3 * 4 * 6),
        ([layers.Conv2D(6, 3, groups=2)], 6 * 6 * 3 * 3 * 2 * 6),
        ([layers.DepthwiseConv2D(3, depth_multiplier=2)], 6 * 6 * 3 * 3 * 4 * 2),
        ([layers.SeparableConv2D(6, 3)], 6 * 6 * (3 * 3 * 4 + 4 * 6)),
        ([layers.Conv2DTranspose(6, 3, strides=2)], 8 * 8 * 3 * 3 * 6 * 4),
        ([layers.Flatten(), layers.Dense(5)], 8 * 8 * 4 * 5),
        ([layers.Dense(5)], 8 * 8 * 4 * 5),
        ([layers.Reshape((64, 4)), layers.Conv1D(6, 5)], 60 * 5 * 4 * 6),
        ([layers.TimeDistributed(layers.Conv1D(6, 3))], 8 * 6 * 3 * 4 * 6),
        ([layers.SpectralNormalization(layers.Conv2D(6, 3))], 6 * 6 * 9 * 4 * 6),
        (
            [
                layers.BatchNormalization(),
                layers.PReLU(),
                layers.MaxPooling2D(),
                layers.Dropout(0.5),
                layers.Activation("softmax"),
            ],
            0,
        ),
    ],
)
def test_macs_by_hand(stack, macs):
    assert measure.macs(on_images(*stack)) == macs


EVERYWHERE = {
    "dilated": ([layers.Conv2D(8, 3, dilation_rate=2)], 4 * 4 * 9 * 4 * 8),
    "dilated, padded": (  # 8 is no multiple of 3: blocks hold positions that are cut
        [layers.Conv2D(8, 3, dilation_rate=3, padding="same", activation="relu")],
        8 * 8 * 9 * 4 * 8,
    ),
    "dilated one way": (
        [layers.Conv2D(6, (1, 3), dilation_rate=(1, 2))],
        8 * 4 * 3 * 4 * 6,
    ),
    "dilated, grouped": (
        [layers.Conv2D(6, 3, groups=2, dilation_rate=2)],
        4 * 4 * 9 * 2 * 6,
    ),
    "dilated, 1-D": (
        [layers.Reshape((64, 4)), layers.Conv1D(6, 5, dilation_rate=2)],
        56 * 5 * 4 * 6,
    ),
    "dilated depthwise": ([layers.DepthwiseConv2D(3, dilation_rate=2)], 4 * 4 * 9 * 4),
    "dilated separable": (
        [layers.SeparableConv2D(6, 3, dilation_rate=2)],
        4 * 4 * (9 * 4 + 4 * 6),
    ),
    "transposed": ([layers.Conv2DTranspose(6, 3, strides=2)], 8 * 8 * 9 * 6 * 4),
    "grouped, strided": (
        [layers.Conv2D(6, 3, groups=2, strides=2)],
        3 * 3 * 9 * 2 * 6,
    ),
    "wrapped": (
        [
            layers.SpectralNormalization(layers.Conv2D(6, 3)),
            layers.TimeDistributed(layers.Dense(5)),
        ],
        6 * 6 * (9 * 4 * 6 + 6 * 5),
    ),
    "dense on maps": (
        [layers.Dense(5, activation="relu"), layers.Dense(3)],
        8 * 8 * (4 * 5 + 5 * 3),
    ),
    "dense on maps, no bias, then rows": (
        [
            layers.Dense(5, use_bias=False),
            layers.Dense(3, use_bias=False),
            layers.Flatten(),
            layers.Dense(2),
        ],
        8 * 8 * (4 * 5 + 5 * 3) + 8 * 8 * 3 * 2,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", EVERYWHERE)
def test_files_count_as_the_net_does(kind, tmp_path):
    """Every kind alone."""
    stack, macs = EVERYWHERE[kind]
    counted_alike(on_images(*stack), macs, tmp_path)


# The ones that differ most are enough every time.
QUICK = (
    *("dilated, padded", "dilated, grouped", "transposed"),
    "dense on maps, no bias, then rows",
)


def test_files_count_several_kinds_as_the_net_does(tmp_path):
    """Beside each other in one net: a file takes a second to write."""
    image = keras.Input((8, 8, 4))
    ends, total = [], 0
    for stack, macs in (EVERYWHERE[kind] for kind in QUICK):
        x = image
        for layer in stack:
            x = type(layer).from_config(layer.get_config())(x)
        ends.append(layers.Flatten()(x))
        total += macs
    counted_alike(keras.Model(image, layers.Concatenate()(ends)), total, tmp_path)


def counted_alike(model, macs, tmp_path):
    """By the net, a SavedModel and .tflite files of one image and of any number."""
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 4))
    assert measure.macs(model) == macs
    folder = export.saved_model(model, tmp_path / "net")
    assert measure.macs(folder) == macs
    for batch, precision in [(1, "float32"), (None, "int8")]:
        file = export.litert(
            model,
            tmp_path / "net.tflite",
            precision=precision,
            calibration=[images],
            batch=batch,
        )
        assert measure.macs(file) == macs


def test_a_layer_called_twice_counts_twice():
    image = keras.Input((8, 8, 4))
    shared = layers.Conv2D(4, 3, padding="same")
    model = keras.Model(image, shared(shared(image)))
    assert measure.macs(model) == 2 * 8 * 8 * 3 * 3 * 4 * 4
    assert measure.parameters(model).count == 3 * 3 * 4 * 4 + 4


def test_models_in_models_are_walked():
    inner = on_images(layers.Conv2D(4, 3, padding="same"))
    image = keras.Input((8, 8, 4))
    x = layers.Flatten()(inner(keras.Model(image, inner(image))(image)))
    model = keras.Model(image, layers.Dense(3)(x))
    assert measure.macs(model) == 2 * 8 * 8 * 3 * 3 * 4 * 4 + 8 * 8 * 4 * 3


class Mixing(layers.Layer):
    """Has a kernel that nobody knows how to count."""

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], 2))

    def call(self, x):
        return keras.ops.matmul(x, self.kernel)


class CountedMixing(Mixing):
    def count_macs(self, input_shape, output_shape):
        return math.prod(output_shape[1:]) * input_shape[-1]


class Scaling(layers.Layer):
    def build(self, input_shape):
        self.scale = self.add_weight(shape=(input_shape[-1],))

    def call(self, x):
        return x * self.scale


def test_unknown_layers_are_named_and_never_guessed():
    with pytest.raises(ValueError, match=r"layer 'mixer' \(Mixing\) are not known"):
        measure.macs(on_images(Mixing(name="mixer")))
    sequence = keras.Input((5, 4))
    with pytest.raises(ValueError, match=r"operation .*\(Tensordot\) are not known"):
        measure.macs(keras.Model(sequence, keras.ops.tensordot(sequence, np.eye(4), 1)))
    tensor = keras.KerasTensor((None, 5, 4))
    hidden = keras.Function(tensor, keras.ops.matmul(tensor, np.eye(4)))
    with pytest.raises(ValueError, match=r"operation .*\(Function\) are not known"):
        measure.macs(keras.Model(sequence, hidden(sequence)))
    assert measure.macs(on_images(layers.RMSNormalization(axis=[1, 2, 3]))) == 0
    assert measure.macs(on_images(CountedMixing())) == 8 * 8 * 4 * 2
    assert measure.macs(on_images(Scaling())) == 0
    model = on_images(Mixing(name="mixer"), layers.Flatten())
    with pytest.warns(UserWarning, match="layer 'mixer'"):
        assert measure.profile(model, latency=False).macs is None


def test_open_sizes_and_models_without_a_graph():
    model = on_images(layers.Conv2D(2, 3, name="first"), shape=(None, None, 3))
    with pytest.raises(ValueError, match=r"'first' sees images of open size \(None"):
        measure.macs(model)
    with pytest.raises(ValueError, match="needs a built functional or Sequential"):
        measure.macs(keras.Sequential([layers.Dense(1)]))


def test_layer_calls_by_hand():
    image = keras.Input((8, 8, 4), name="image")
    x = layers.Conv2D(4, 3, padding="same", name="conv")(image)
    y = layers.BatchNormalization(name="norm")(x)
    model = keras.Model(image, layers.Add(name="add")([y, image]))
    rows = measure.layer_calls(model)
    assert [(r.layer.name, r.output_shape, r.parameters, r.macs) for r in rows] == [
        ("image", (None, 8, 8, 4), 0, 0),
        ("conv", (None, 8, 8, 4), 3 * 3 * 4 * 4 + 4, 8 * 8 * 3 * 3 * 4 * 4),
        ("norm", (None, 8, 8, 4), 2 * 4, 0),  # scale and shift; no statistics
        ("add", (None, 8, 8, 4), 0, 0),
    ]
    assert [r.inputs for r in rows] == [(), (0,), (1,), (2, 0)]


def test_layer_calls_count_shared_weights_once():
    image = keras.Input((8, 8, 4))
    shared = layers.Conv2D(4, 3, padding="same")
    shared_twice = keras.Model(image, shared(shared(image)))
    rows = measure.layer_calls(shared_twice)
    assert [r.parameters for r in rows] == [0, 148, 0]
    assert [r.macs for r in rows] == [0, 9216, 9216]


def test_layer_calls_walk_models_in_models():
    inner = on_images(layers.Conv2D(4, 3, padding="same", name="conv"))
    image = keras.Input((8, 8, 4), name="image")
    x = layers.Add(name="add")([inner(inner(image)), image])
    rows = measure.layer_calls(keras.Model(image, keras.ops.tanh(x)))
    names = ["image", "conv", "conv", "add", "tanh"]
    assert [r.layer.name.rstrip("_0123456789") for r in rows] == names
    assert [r.inputs for r in rows] == [(), (0,), (1,), (2, 0), (3,)]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet20", {"convolution": "separable", "shortcut": "B"}),
        ("googlenet", {"input_shape": (96, 96, 3), "auxiliary": True}),
    ],
)
def test_layer_calls_sum_to_the_model(name, options):
    model = architectures.build(name, **options)
    rows = measure.layer_calls(model)
    assert sorted(r.layer.name for r in rows) == sorted(x.name for x in model.layers)
    assert sum(r.parameters for r in rows) == measure.parameters(model).count
    assert sum(r.macs for r in rows) == measure.macs(model)
    assert all(at > before for at, row in enumerate(rows) for before in row.inputs)


def test_layer_calls_need_a_graph():
    with pytest.raises(ValueError, match="functional or Sequential model, got Seq"):
        measure.layer_calls(keras.Sequential([layers.Dense(1)], name="open"))


def test_layers_that_cannot_be_counted_are_listed_without():
    model = on_images(
        layers.Conv2D(4, 3, padding="same"), Mixing(name="mixer"), layers.Flatten()
    )
    with pytest.raises(ValueError, match="layer 'mixer'"):
        measure.layer_calls(model)
    rows = measure.layer_calls(model, partial=True)
    assert [row.macs for row in rows] == [0, 8 * 8 * 9 * 4 * 4, None, 0]
    assert sum(row.parameters for row in rows) == measure.parameters(model).count
    assert total_macs(rows) is None
    assert total_macs(rows[:2]) == measure.layer_calls(model, partial=True)[1].macs


def looped():
    """Keras's loop over steps, which LiteRT keeps as graphs of their own."""
    return keras.Sequential([keras.Input((6, 4)), layers.LSTM(3), layers.Dense(2)])


def test_what_a_file_hides_is_refused(tmp_path):
    folder = export.saved_model(looped(), tmp_path / "net")
    with pytest.raises(ValueError, match="operator .*While in .*net"):
        measure.macs(folder)
    file = export.litert(looped(), tmp_path / "net.tflite")
    with pytest.raises(ValueError, match="operator WHILE in .*net.tflite"):
        measure.macs(file)


def test_a_file_with_a_loop_is_measured_but_for_its_macs(tmp_path):
    model = looped()
    file = export.litert(model, tmp_path / "net.tflite")
    # The zeros of the first step's state are stored beside the weights.
    assert measure.parameters(file).nonzero == measure.parameters(model).nonzero
    with pytest.warns(UserWarning, match="operator WHILE"):
        found = measure.profile(file, latency=False)
    assert found.macs is None and found.bytes == file.stat().st_size
