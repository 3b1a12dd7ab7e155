"""Integer files of nets with fake quantization: the same answers, to a code."""

import keras
import numpy as np
import pytest
from keras import layers

import architectures
from architectures.resnet import resnet_cifar
from compression import export
from compression.quantization import quantize_aware

RNG = np.random.default_rng(0)
CLASSES = 10


def interpreter(path):
    from ai_edge_litert.interpreter import Interpreter

    from compression.quiet import quiet

    with quiet():
        found = Interpreter(str(path))
        found.allocate_tensors()
    return found


def floats(path):
    """Names of the file's float32 tensors."""
    found = interpreter(path)
    return [t["name"] for t in found.get_tensor_details() if t["dtype"] == np.float32]


def codes_apart(path, model, images):
    """By how many codes of the file's output it and the model differ; both answers."""
    scale = interpreter(path).get_output_details()[0]["quantization"][0]
    got, wanted = export.load(path)(images), model.predict(images, verbose=0)
    return np.rint(np.abs(got - wanted) / scale), got.argmax(-1), wanted.argmax(-1)


def blobs(shape, count):
    """Images of ten classes that a net learns in a few steps."""
    patterns = np.random.default_rng(1).normal(size=(CLASSES, *shape))
    labels = RNG.integers(0, CLASSES, count)
    noise = RNG.normal(size=(count, *shape))
    return (patterns[labels] + 0.5 * noise).astype("float32"), labels


def every_kernel(last):
    """Each operator that a file may hold, in one net."""
    x = image = keras.Input((8, 8, 4), name="image")
    a = layers.Conv2D(4, 3, padding="same", groups=2, name="grouped")(x)
    a = layers.BatchNormalization(name="bn")(a)
    b = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=1)(x)
    b = layers.BatchNormalization(name="depthwise_bn")(b)
    x = layers.ReLU(name="relu")(layers.Add(name="add")([a, b]))
    c = layers.SeparableConv2D(4, 3, padding="same", depth_multiplier=2)(x)
    d = layers.Conv2D(2, 1, activation="relu6", name="reduce")(x)
    x = layers.Concatenate(name="concat")([c, d])
    x = layers.AveragePooling2D(2, name="average")(x)
    x = layers.BatchNormalization(name="alone")(x)
    x = layers.LeakyReLU(negative_slope=0.1)(x)
    x = layers.Conv2DTranspose(5, 2, strides=2, activation="tanh", name="up")(x)
    x = layers.MaxPooling2D(name="max")(layers.ZeroPadding2D(1)(x))
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D(name="gap")(x))
    x = layers.BatchNormalization(name="flat")(layers.Dense(6, name="fc")(x))
    return keras.Model(image, layers.Dense(3, activation=last, name="last")(x))


def shaken(model):
    """Batch norm as after training, its factors of both signs."""
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            n = layer.gamma.shape
            gamma, variance = RNG.choice([-1, 1], n), RNG.uniform(0.5, 2, n)
            numbers = [RNG.uniform(0.5, 2, n) * gamma, *RNG.normal(size=(2, *n))]
            layer.set_weights([*numbers, variance])
    return model


@pytest.mark.parametrize(
    ("bits", "method", "last"),
    [(8, "moving_average", "softmax"), (4, "lsq", None)],  # whose steps are coarse
)
@pytest.mark.slow
def test_all_is_integer_and_zeros_stay(bits, method, last, tmp_path):
    keras.utils.set_random_seed(0)
    images = RNG.normal(size=(64, 8, 8, 4)).astype("float32")
    model = shaken(every_kernel(last))
    kernel = model.get_layer("grouped").kernel
    mask = RNG.random(kernel.shape) < 0.5
    kernel.assign(np.asarray(kernel) * mask)
    quantized = quantize_aware(model, bits=bits, method=method, calibration=[images])
    path = export.litert(quantized, tmp_path / "net.tflite", precision="int8")
    assert not floats(path)
    apart, got, wanted = codes_apart(path, quantized, images)
    assert apart.max() <= 2
    found = interpreter(path)
    [stored] = [
        found.get_tensor(t["index"])
        for t in found.get_tensor_details()
        if tuple(t["shape"]) == (4, 3, 3, 2) and t["dtype"] == np.int8
    ]
    zeros = ~mask.transpose(3, 0, 1, 2)
    assert (stored[zeros] == 0).all()
    largest = 127 if bits == 8 else 7
    assert 0 < np.abs(stored.astype(int)).max() <= largest


def test_a_mean_over_patches_is_integer(tmp_path):
    """As vision transformers and MLP-mixers have it in front of their head."""
    image = keras.Input((8, 8, 3))
    x = layers.Reshape((16, 6))(layers.Conv2D(6, 2, 2, activation="relu")(image))
    x = layers.Dense(5, activation="gelu")(x)
    model = keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))
    images = RNG.normal(size=(64, 8, 8, 3)).astype("float32")
    quantized = quantize_aware(model, calibration=[images])
    path = export.litert(quantized, tmp_path / "net.tflite", precision="int8")
    assert not floats(path)
    assert codes_apart(path, quantized, images)[0].max() <= 2


def elementwise():
    """Layers that have an operator, or one for each of their parts, side by side."""
    image = keras.Input((8, 8, 4), name="image")
    x = layers.Rescaling(2.0, offset=-0.5)(image)
    numbers = {"mean": [0.1, 0.2, 0, 0], "variance": [1, 2, 3, 0.5]}
    after = [
        layers.Conv2D(4, 1, activation="silu")(x),
        layers.Conv2D(4, 1, activation="hard_sigmoid")(x),
        layers.Activation("hard_silu")(x),
        layers.Activation("gelu")(x),
        layers.PReLU(shared_axes=(1, 2), alpha_initializer="random_uniform")(x),
        layers.Normalization(**numbers)(x),
        layers.Normalization(**numbers, invert=True)(x),
        layers.Rescaling(0.3)(x),
    ]
    return keras.Model(image, layers.Concatenate()(after), name="net")


def operations():
    """What `x + y` and its like make of tensors, one after the other."""
    image = keras.Input((8, 8, 4), name="image")
    x = (image / 2.0 - 0.5) * 3.0
    x = keras.ops.relu(x[..., :4] + layers.Conv2D(4, 3, padding="same")(x))
    x = keras.ops.silu(keras.ops.transpose(x, (0, 2, 1, 3)))
    x = layers.Dense(3)(keras.ops.mean(layers.Conv2D(4, 3)(x), axis=(1, 2)))
    gates = [keras.ops.sigmoid(x), keras.ops.hard_sigmoid(x)]
    x = keras.ops.concatenate([*gates, 1.0 - x], axis=-1)
    return keras.Model(image, x, name="net")


def resizing():
    """What augments does nothing in inference; what resizes keeps the range."""
    stack = [
        keras.Input((8, 8, 4), name="image"),
        layers.RandomFlip("horizontal"),
        layers.RandomRotation(0.1),
        layers.Resizing(6, 6),
        layers.CenterCrop(5, 5),
        layers.UpSampling2D(2, interpolation="bilinear"),
        layers.Conv2D(4, 3),
        layers.GlobalAveragePooling2D(),
    ]
    return keras.Sequential(stack)


@pytest.mark.parametrize(
    "net",
    [elementwise, operations, pytest.param(resizing, marks=pytest.mark.slow)],
)
def test_activations_scaling_and_operations_are_integer(net, tmp_path):
    keras.utils.set_random_seed(0)
    images = np.random.default_rng(0).normal(size=(64, 8, 8, 4)).astype("float32")
    model = net()
    quantized = quantize_aware(model, calibration=[images])
    wanted = model.predict(images, verbose=0)
    error = np.abs(quantized.predict(images, verbose=0) - wanted).max()
    assert error < 0.05 * np.abs(wanted).max()
    path = export.litert(quantized, tmp_path / "net.tflite", precision="int8")
    assert not floats(path)
    apart, _, _ = codes_apart(path, quantized, images)
    assert (
        apart.max() <= 2 and (apart <= 1).mean() > 0.98
    )  # what is joined rounds twice


def test_skipped_layers_are_float_and_the_others_are_not(tmp_path):
    image = keras.Input((6, 6, 2), name="image")
    x = layers.Conv2D(3, 3, activation="relu", name="first")(image)
    x = layers.Conv2D(4, 3, activation="gelu", name="middle")(x)
    x = layers.Flatten(name="flatten")(x)
    model = keras.Model(image, layers.Dense(2, name="logits")(x), name="net")
    images = RNG.normal(size=(40, 6, 6, 2)).astype("float32")
    quantized = quantize_aware(model, skip=("middle",), calibration=[images])
    path = export.litert(quantized, tmp_path / "net.tflite", precision="int8")
    found = interpreter(path)
    kernels = {
        tuple(t["shape"]): t["dtype"]
        for t in found.get_tensor_details()
        if tuple(t["shape"]) in [(3, 3, 3, 2), (4, 3, 3, 3), (2, 16)]
    }
    assert kernels == {
        (3, 3, 3, 2): np.int8,
        (4, 3, 3, 3): np.float32,
        (2, 16): np.int8,
    }
    assert codes_apart(path, quantized, images)[0].max() <= 1


def test_a_net_without_ranges_is_not_exported(tmp_path):
    model = quantize_aware(keras.Sequential([keras.Input((3,)), layers.Dense(2)]))
    with pytest.raises(ValueError, match=r"has no ranges yet .*: train it, or make"):
        export.litert(model, tmp_path / "net.tflite", precision="int8")
    assert not list(tmp_path.iterdir())


NETS = {
    "lenet5": ({}, (28, 28, 1)),
    "alexnet_small": ({"width": 0.125}, (32, 32, 3)),
    "resnet8": ({"width": 0.5}, (32, 32, 3)),
    "vgg11_cifar": ({"width": 0.125}, (32, 32, 3)),
    "googlenet_cifar": ({"width": 0.125}, (16, 16, 3)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETS)
def test_nets_of_the_catalogue(name, tmp_path):
    """Kernels round once more than the net, so in depth a few logits are two apart."""
    keras.utils.set_random_seed(0)
    options, shape = NETS[name]
    if name == "resnet8":  # resnet20's plan
        model = resnet_cifar(8, input_shape=shape, **options)
    else:
        model = architectures.build(name, input_shape=shape, classes=10, **options)
    images, labels = blobs(shape, 512)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def fit(net, rate, epochs):
        net.compile(keras.optimizers.Adam(rate), loss)
        net.fit(images, labels, batch_size=32, epochs=epochs, verbose=0)

    fit(model, 2e-3, 12)
    quantized = quantize_aware(model, calibration=[images[:256]], freeze_after=8)
    fit(quantized, 5e-4, 2)
    path = export.litert(quantized, tmp_path / "net.tflite", precision="int8")
    assert not floats(path)
    apart, got, wanted = codes_apart(path, quantized, images)
    assert (wanted == labels).mean() > 0.9
    assert (got == wanted).mean() >= 0.995
    assert (apart <= 1).mean() >= (0.85 if name == "googlenet_cifar" else 0.98)
    assert apart.max() <= (8 if name == "googlenet_cifar" else 2)


def test_the_converter_need_not_find_the_ranges_of_kernels():
    """It finds none of a kernel of more than 128 MiB, such as AlexNet's fc6."""
    from compression.export.serving import Serving

    model = quantize_aware(every_kernel("softmax"))
    serving = Serving(model, weights="float32", batch=1)
    graph = serving.serve.get_concrete_function().graph
    kernels = [op for op in graph.get_operations() if "kernel_quantizer" in op.name]
    assert not [op.name for op in kernels if op.type in {"Abs", "Max"}]
    rounded = [op for op in kernels if op.type.startswith("FakeQuant")]
    assert len(rounded) > 5
    for op in rounded:
        found = [end.op for end in op.inputs[1:]]
        while found:
            before = found.pop()
            assert before.type not in {"ReadVariableOp", "Placeholder"}
            found += [end.op for end in before.inputs]
    image = RNG.normal(size=(1, 8, 8, 4)).astype("float32")
    [given] = serving.serve(image).values()
    wanted = model(image, training=False)
    np.testing.assert_allclose(given, wanted, atol=1e-6)
    quantizers = [getattr(x, "kernel_quantizer", None) for x in model.layers]
    assert all(getattr(q, "known", None) is None for q in quantizers)


@pytest.mark.slow
def test_a_dense_layer_of_more_than_128_mib(tmp_path):
    image = keras.Input((8300,), name="image")
    x = layers.Dense(4096, activation="relu", name="fc6")(image)
    model = keras.Model(image, layers.Dense(10, name="logits")(x))
    images = RNG.uniform(size=(8, 8300)).astype("float32")
    options = {"calibration_method": "minmax", "precision": "int8"}
    path = tmp_path / "wide.tflite"
    export.litert(model, path, calibration=[images], **options)
    scale = interpreter(path).get_output_details()[0]["quantization"][0]
    apart = np.abs(export.load(path)(images) - model.predict(images, verbose=0))
    assert apart.max() < 4 * scale


def test_weights_too_wide_for_integer_kernels_are_named(tmp_path):
    x = image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="first")(x)
    x = layers.Conv2D(4, 3, activation="relu", name="wild")(x)
    net = keras.Model(image, layers.Dense(2)(layers.Flatten()(x)))
    images = RNG.normal(size=(16, 8, 8, 3)).astype("float32")
    quantized = quantize_aware(net, calibration=[images])
    wild = next(w for w in quantized.weights if w.path.endswith("wild/kernel"))
    wild.assign(1e7 * wild)  # far beyond what its range of outputs was calibrated to
    with pytest.raises(RuntimeError, match="wild/kernel is .*did training diverge"):
        export.litert(quantized, tmp_path / "net.tflite", precision="int8")
    assert not list(tmp_path.iterdir())
