"""Counts that a model and its files in every format must agree on."""

import keras
import numpy as np
import pytest
from keras import layers

import architectures
from compression import export, measure, quantization
from compression.measure.litert_file import litert_kernels
from tests.compression.small_nets import alexnet, on_images, shaken


def test_resnet20_is_the_papers():
    model = architectures.build("resnet20")
    assert measure.parameters(model).count == 269_722
    # 19 convolutions and a dense layer: 432 * 1024 + 6 * 2304 * 1024
    # + (4608 + 5 * 9216) * 256 + (18432 + 5 * 36864) * 64 + 640.
    assert measure.macs(model) == 40_551_040


@pytest.mark.parametrize(
    ("name", "batch_norm_channels"),
    [
        pytest.param("alexnet", 144, marks=pytest.mark.slow),
        pytest.param("resnet20", 688, marks=pytest.mark.slow),
    ],
)
def test_files_count_what_the_model_counts(name, batch_norm_channels, tmp_path):
    model = alexnet() if name == "alexnet" else shaken(architectures.build(name))
    x = np.random.default_rng(0).normal(size=(8, *model.input_shape[1:]))
    expected = measure.parameters(model)
    assert expected.nonzero == expected.count
    macs = measure.macs(model)
    for weights in ("float32", "float16"):
        folder = export.saved_model(model, tmp_path / "net", weights=weights)
        assert measure.parameters(folder) == expected
        assert measure.macs(folder) == macs
    folder = export.saved_model(model, tmp_path / "net", weights="int8", batch=3)
    assert measure.parameters(folder).count == expected.count
    assert measure.macs(folder) == macs
    # A scale and a shift for each channel have become one bias.
    folded = expected.count - batch_norm_channels
    for precision in ("float32", "float16", "int8"):
        file = export.litert(
            model, tmp_path / "net.tflite", precision=precision, calibration=[x]
        )
        assert measure.parameters(file).count == folded
        assert measure.macs(file) == macs
    file = export.litert(model, tmp_path / "net.tflite", batch=2)
    assert measure.parameters(file) == (folded, folded)
    assert measure.macs(file) == macs


# Made when they are used: names that Keras counts up would meet in a model.
STACKS = {
    "depthwise": lambda: [layers.DepthwiseConv2D(3, depth_multiplier=2), layers.ReLU()],
    "separable": lambda: [layers.SeparableConv2D(6, 3, strides=2)],
    "grouped": lambda: [layers.Conv2D(6, 3, groups=2)],
    "transposed": lambda: [layers.Conv2DTranspose(6, 3, strides=2)],
    "dense on maps": lambda: [layers.Dense(5), layers.ReLU(), layers.Dense(3)],
    "1-D": lambda: [layers.Reshape((64, 4)), layers.Conv1D(6, 5)],
}


@pytest.mark.slow
@pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS)
def test_files_count_a_kind_of_layer(stack, tmp_path):
    """Each alone: which of them it is when those beside each other fail."""
    counted_alike(on_images(*stack(), layers.Flatten(), layers.Dense(2)), tmp_path)


def test_files_count_every_kind_of_layer(tmp_path):
    """All beside each other in one net: a file takes a second to write."""
    image = keras.Input((8, 8, 4))
    ends = []
    for stack in STACKS.values():
        x = image
        for layer in (*stack(), layers.Flatten(), layers.Dense(2)):
            x = layer(x)
        ends.append(x)
    counted_alike(keras.Model(image, layers.Concatenate()(ends)), tmp_path)


def counted_alike(model, tmp_path):
    model = shaken(model)
    expected = measure.parameters(model), measure.macs(model)
    folder = export.saved_model(model, tmp_path / "net")
    file = export.litert(model, tmp_path / "net.tflite")
    assert (measure.parameters(folder), measure.macs(folder)) == expected
    assert (measure.parameters(file), measure.macs(file)) == expected


def test_nonzeros_by_hand(tmp_path):
    model = shaken(on_images(layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(2)))
    generator = np.random.default_rng(0)
    planted = 0
    for layer in (model.layers[0], model.layers[2]):
        mask = generator.random(layer.kernel.shape) < 0.3
        # No small weights, so that no code but a planted zero is zero.
        sign = np.sign(layer.kernel.numpy())
        layer.kernel.assign(sign * mask * generator.uniform(0.1, 0.2, mask.shape))
        planted += int((~mask).sum())
    count = 3 * 3 * 4 * 4 + 4 + 6 * 6 * 4 * 2 + 2
    expected = (count, count - planted)
    assert measure.parameters(model) == expected
    x = generator.normal(size=(8, 8, 8, 4))
    for weights in ("float16", "int8"):
        folder = export.saved_model(model, tmp_path / "net", weights=weights)
        assert measure.parameters(folder) == expected
    for precision in ("float16", "dynamic", "int16x8"):
        file = export.litert(
            model, tmp_path / "net.tflite", precision=precision, calibration=[x]
        )
        assert measure.parameters(file) == expected


def test_codes_of_4_bits_share_bytes(tmp_path):
    """15 weights of the dense layer, which end in the middle of a byte."""
    stack = layers.Conv2D(5, 3), layers.GlobalAveragePooling2D(), layers.Dense(3)
    model = shaken(on_images(*stack))
    generator = np.random.default_rng(0)
    for layer in (model.layers[0], model.layers[2]):
        mask = generator.random(layer.kernel.shape) < 0.5
        # A code is a seventh of the largest: no small weights, no code of zero else.
        sign = np.sign(layer.kernel.numpy())
        layer.kernel.assign(sign * mask * generator.uniform(0.1, 0.2, mask.shape))
    images = generator.normal(size=(8, 8, 8, 4)).astype("float32")
    quantized = quantization.quantize_aware(model, bits=4, calibration=[images])
    file = export.litert(quantized, tmp_path / "net.tflite", precision="int8")
    assert measure.parameters(file) == measure.parameters(model)
    kernels = litert_kernels(file)
    assert {kernel.dtype for kernel in kernels.values()} == {np.dtype("int8")}
    largest = [abs(kernel).max() for kernel in kernels.values()]
    assert sorted(kernel.size for kernel in kernels.values()) == [15, 180]
    assert largest == [7, 7]


def test_equal_biases_count_for_every_layer(tmp_path):
    """Two equal biases are one tensor in the file."""
    model = on_images(
        *(layers.Conv2D(4, 3, bias_initializer="ones") for _ in range(2)),
        layers.Flatten(),
    )
    file = export.litert(model, tmp_path / "net.tflite")
    assert measure.parameters(file).count == 2 * (3 * 3 * 4 * 4 + 4)


def test_biases_of_zeros_do_not_count_in_files(tmp_path):
    """The converter drops them here and invents them there."""
    for bias in (False, True):
        model = on_images(
            layers.DepthwiseConv2D(3, use_bias=bias),
            layers.Flatten(),
            layers.Dense(2, use_bias=bias),
        )
        file = export.litert(model, tmp_path / "net.tflite")
        assert measure.parameters(file).count == 3 * 3 * 4 + 6 * 6 * 4 * 2


def test_numbers_without_an_axis_in_integer_files(tmp_path):
    """An epsilon, a factor of hard sigmoid: scalars with a zero point of their own."""
    image = keras.Input((6, 6, 4))
    x = layers.Conv2D(4, 3, bias_initializer="ones", activation="hard_sigmoid")(image)
    model = keras.Model(image, layers.LayerNormalization()(x))
    x = np.random.default_rng(0).normal(size=(8, 6, 6, 4))
    options = {"precision": "int8", "calibration": [x]}
    file = export.litert(model, tmp_path / "net.tflite", **options)
    convolution = 3 * 3 * 4 * 4 + 4
    count, nonzero = measure.parameters(file)
    assert convolution <= nonzero <= count <= convolution + 2 * 4 + 8
