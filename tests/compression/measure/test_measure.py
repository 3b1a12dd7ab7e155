"""Counts worked by hand, counts that must agree between formats, scores, timing."""

import json
import math
import random
import time
import zipfile

import keras
import numpy as np
import pytest
from keras import layers

import architectures
from compression import export, measure
from tests.compression.small_nets import alexnet, shaken


def on_images(*stack, shape=(8, 8, 4)):
    return keras.Sequential([keras.Input(shape), *stack])


# --- MACs by hand ------------------------------------------------------------------


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
    attention = layers.MultiHeadAttention(2, 4, name="heads")
    sequence = keras.Input((5, 4))
    with pytest.raises(ValueError, match="MACs of layer 'heads'"):
        measure.macs(keras.Model(sequence, attention(sequence, sequence)))
    with pytest.raises(ValueError, match=r"operation .*\(Matmul\) are not known"):
        measure.macs(keras.Model(sequence, keras.ops.matmul(sequence, np.eye(4))))
    assert measure.macs(on_images(CountedMixing())) == 8 * 8 * 4 * 2
    assert measure.macs(on_images(Scaling())) == 0
    model = on_images(Mixing(name="mixer"), layers.Flatten())
    with pytest.warns(UserWarning, match="layer 'mixer'"):
        assert measure.profile(model, latency=False).macs is None


def test_open_sizes_and_models_without_a_graph():
    model = on_images(layers.Conv2D(2, 3, name="first"), shape=(None, None, 3))
    with pytest.raises(ValueError, match=r"'first' sees images of open size \(None"):
        measure.macs(model)
    with pytest.raises(ValueError, match="must be built and have one input"):
        measure.macs(keras.Sequential([layers.Dense(1)]))


# --- layer by layer ----------------------------------------------------------------


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
    assert [r.fed_by for r in rows] == [(), (0,), (1,), (2, 0)]


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
    assert [r.fed_by for r in rows] == [(), (0,), (1,), (2, 0), (3,)]


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
    assert all(at > before for at, row in enumerate(rows) for before in row.fed_by)


def test_layer_calls_need_a_graph():
    with pytest.raises(ValueError, match="functional or Sequential model, got Seq"):
        measure.layer_calls(keras.Sequential([layers.Dense(1)], name="open"))


# --- the same in every format ------------------------------------------------------


def test_resnet20_is_the_papers():
    model = architectures.build("resnet20")
    assert measure.parameters(model).count == 269_722
    # 19 convolutions and a dense layer: 432 * 1024 + 6 * 2304 * 1024
    # + (4608 + 5 * 9216) * 256 + (18432 + 5 * 36864) * 64 + 640.
    assert measure.macs(model) == 40_551_040


@pytest.mark.parametrize(
    ("name", "batch_norm_channels"),
    [("alexnet", 144), pytest.param("resnet20", 688, marks=pytest.mark.slow)],
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


@pytest.mark.parametrize(
    "stack",
    [
        [layers.DepthwiseConv2D(3, depth_multiplier=2), layers.ReLU()],
        [layers.SeparableConv2D(6, 3, strides=2)],
        [layers.Conv2D(6, 3, groups=2)],
        [layers.Conv2DTranspose(6, 3, strides=2)],
        [layers.Dense(5), layers.ReLU(), layers.Dense(3)],
        [layers.Reshape((64, 4)), layers.Conv1D(6, 5)],
    ],
    ids=lambda stack: stack[0].name,
)
def test_files_count_every_kind_of_layer(stack, tmp_path):
    model = shaken(on_images(*stack, layers.Flatten(), layers.Dense(2)))
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
    for weights in ("float32", "float16", "int8"):
        folder = export.saved_model(model, tmp_path / "net", weights=weights)
        assert measure.parameters(folder) == expected
    for precision in ("float32", "float16", "dynamic", "int8", "int16x8"):
        file = export.litert(
            model, tmp_path / "net.tflite", precision=precision, calibration=[x]
        )
        assert measure.parameters(file) == expected


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


def test_what_a_file_hides_is_refused(tmp_path):
    image = keras.Input((6, 4))
    model = keras.Model(image, layers.Dot(axes=2)([image, image]))
    file = export.litert(model, tmp_path / "net.tflite")
    with pytest.raises(ValueError, match="operator BATCH_MATMUL in .*net.tflite"):
        measure.macs(file)
    folder = export.saved_model(model, tmp_path / "net")
    with pytest.raises(ValueError, match="operator (BatchMatMul|Einsum).* in .*net"):
        measure.macs(folder)


# --- bytes -------------------------------------------------------------------------


def test_sizes_of_files_and_folders(tmp_path):
    folder = tmp_path / "net"
    (folder / "variables").mkdir(parents=True)
    (folder / "a").write_bytes(bytes(1000))
    (folder / "variables" / "b").write_bytes(random.Random(0).randbytes(500))
    assert measure.size(folder) == 1500
    assert measure.size(folder / "a") == 1000
    assert measure.zipped_size(folder / "a") < 150
    assert 500 < measure.zipped_size(folder) < 850
    before = measure.zipped_size(folder)
    time.sleep(0.01)
    (folder / "a").touch()
    assert measure.zipped_size(folder) == before


def test_a_model_weighs_its_file_without_the_optimizer(tmp_path):
    model = on_images(layers.Flatten(), layers.Dense(10))
    state = random.getstate()
    bare = measure.profile(model, latency=False)
    assert random.getstate() == state
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(np.zeros((2, 8, 8, 4)), np.zeros(2), verbose=0)
    trained = measure.profile(model, latency=False)
    assert abs(trained.bytes - bare.bytes) < 200
    path = tmp_path / "net.keras"
    model.save(path)
    assert measure.profile(path, latency=False).bytes == path.stat().st_size
    assert path.stat().st_size > trained.bytes + 2 * 4 * 2560
    assert zipfile.is_zipfile(path)


# --- scores ------------------------------------------------------------------------

LOGITS = np.array(
    [
        [0.0, math.log(3.0), -50.0, -50.0, -50.0, -50.0],  # (1/4, 3/4)
        [2.0, 2.0, 1.0, 1.0, 1.0, 1.0],  # equal: the first counts
        [5.0, 4.0, 3.0, 2.0, 1.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    ]
)


def test_scores_by_hand():
    assert measure.accuracy(LOGITS, np.array([1, 0, 1, 5])) == 0.5
    assert measure.accuracy(LOGITS, np.array([1, 1, 0, 0])) == 0.75
    assert measure.accuracy(LOGITS, np.array([[1], [1], [0], [0]])) == 0.75
    assert measure.top_accuracy(LOGITS, np.array([0, 1, 5, 5]), k=2) == 0.5
    assert measure.top_accuracy(LOGITS, np.array([0, 1, 5, 5]), k=5) == 0.5
    assert measure.top_accuracy(LOGITS, np.array([0, 1, 5, 5]), k=6) == 1.0
    assert measure.cross_entropy(LOGITS[:1], np.array([0])) == pytest.approx(
        math.log(4.0)
    )
    two = measure.cross_entropy(LOGITS[[0, 3]], np.array([1, 2]))
    assert two == pytest.approx((math.log(4 / 3) + math.log(6.0)) / 2)
    assert measure.cross_entropy(np.array([[1e4, 0.0]]), np.array([1])) == 1e4
    wrong = measure.errors_by_class(LOGITS, np.array([1, 0, 1, 5]))
    assert wrong.tolist() == [0, 1, 0, 0, 0, 1]  # the third and the fourth image
    assert measure.agreement(LOGITS, LOGITS[[0, 1, 2, 2]]) == 1.0
    assert measure.agreement(LOGITS, LOGITS[[1, 1, 2, 0]]) == 0.5


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (LOGITS, [0, 1, 2], r"got \(4, 6\) and \(3,\)"),
        (LOGITS[:0], [], r"got \(0, 6\) and \(0,\)"),
        (LOGITS, [0.0, 1.0, 2.0, 3.0], "integer classes, got float64"),
        (LOGITS, [0, 1, 2, 6], "labels must be 0 to 5, got 0 to 6"),
        (LOGITS, [0, 1, 2, -1], "labels must be 0 to 5, got -1 to 2"),
        (LOGITS, np.eye(4, 6), r"got \(4, 6\) and \(4, 6\)"),
    ],
)
def test_labels_are_checked(logits, labels, message):
    with pytest.raises(ValueError, match=message):
        measure.cross_entropy(logits, np.array(labels))


def test_shapes_of_scores_are_checked():
    with pytest.raises(ValueError, match=r"same images, got \(4, 6\) and \(3, 6\)"):
        measure.agreement(LOGITS, LOGITS[:3])
    with pytest.raises(ValueError, match="k must be positive, got 0"):
        measure.top_accuracy(LOGITS, np.zeros(4, int), k=0)
    with pytest.raises(ValueError, match="no images to run"):
        measure.logits(on_images(layers.Flatten()), [])


# --- profiles ----------------------------------------------------------------------


def test_profile_of_a_model_and_its_files(tmp_path):
    model = alexnet()
    generator = np.random.default_rng(0)
    images = generator.normal(size=(24, 28, 28, 1)).astype(np.float32)
    logits = model.predict(images, verbose=0)
    labels = logits.argmax(axis=1)
    labels[:6] = (labels[:6] + 1) % 10
    batches = [(images[:10], labels[:10]), (images[10:], labels[10:])]
    np.testing.assert_allclose(measure.logits(model, batches), logits, atol=1e-5)
    np.testing.assert_allclose(measure.logits(model, [images]), logits, atol=1e-5)

    file = export.litert(
        model, tmp_path / "net.tflite", precision="int8", calibration=batches
    )
    folder = export.saved_model(model, tmp_path / "net")
    for kind, subject in {
        "keras": model,
        "litert": file,
        "saved_model": folder,
    }.items():
        # An iterator: the images can be had once only.
        got = measure.profile(subject, iter(batches), reference=model)
        assert got.kind == kind
        assert got.examples == 24
        own = measure.logits(subject, [images])
        assert got.top1 == np.mean(own.argmax(axis=1) == labels)
        assert got.loss == pytest.approx(measure.cross_entropy(own, labels))
        assert got.agreement == np.mean(own.argmax(1) == logits.argmax(1))
        wrong = own.argmax(1) != labels
        assert got.errors == wrong.sum() == round((1 - got.top1) * 24)
        assert got.errors_by_class == [(labels[wrong] == c).sum() for c in range(10)]
        assert got.top1 <= got.top5 <= 1
        assert 0 < got.latency_low_ms <= got.latency_ms <= got.latency_high_ms
        assert json.loads(json.dumps(got.as_row())) == got.as_row()
        if kind != "litert":
            assert (got.top1, got.agreement) == (0.75, 1.0)
        if kind != "keras":
            assert got.bytes == measure.size(subject)
    by_logits = measure.profile(file, batches, reference=logits, latency=False)
    by_file = measure.profile(model, batches, reference=file, latency=False)
    assert by_logits.agreement == by_file.agreement
    assert by_logits.latency_ms is None


def test_profile_without_data():
    got = measure.profile(on_images(layers.Flatten(), layers.Dense(3)), latency=False)
    assert (got.parameters, got.macs) == (256 * 3 + 3, 256 * 3)
    assert {got.top1, got.top5, got.loss, got.agreement, got.examples} == {None}
    assert {got.latency_ms, got.latency_low_ms, got.latency_high_ms} == {None}


def test_five_classes_have_no_top5():
    model = on_images(layers.Flatten(), layers.Dense(5))
    data = [(np.zeros((2, 8, 8, 4)), np.zeros((2, 1), int))]
    got = measure.profile(model, data, latency=False)
    assert (got.top1, got.top5) == (1.0, None)


def test_profile_checks_its_data():
    model = on_images(layers.Flatten())
    with pytest.raises(ValueError, match="reference needs data"):
        measure.profile(model, reference=model)
    with pytest.raises(ValueError, match=r"batches \(images, labels\)"):
        measure.profile(model, [np.zeros((2, 8, 8, 4))], latency=False)
    with pytest.raises(ValueError, match="data holds no batches"):
        measure.profile(model, [], latency=False)
    with pytest.raises(FileNotFoundError, match="no model at"):
        measure.profile("nowhere.tflite")


# --- latency -----------------------------------------------------------------------


def sleeping(milliseconds, order=None, name=""):
    def run(images):
        if order is not None:
            order.append(name)
        time.sleep(milliseconds / 1000)
        return np.zeros((len(images), 2), np.float32)

    return export.Runner("keras", None, (4, 4, 1), None, run)


def test_latencies_are_those_of_the_calls_and_interleaved():
    order = []
    named = {
        "slow": sleeping(6, order, "slow"),
        "quick": sleeping(2, order, "quick"),
    }
    got = measure.latencies(named, rounds=3)
    assert list(got) == ["slow", "quick"]
    assert got["slow"].low_ms >= 6
    assert got["quick"].low_ms >= 2
    assert got["quick"].median_ms < got["slow"].median_ms
    for latency in got.values():
        assert latency.low_ms <= latency.median_ms <= latency.high_ms
        assert latency.calls == 15
    bursts = order[10:]  # after the warm-up
    assert bursts == (["slow"] * 5 + ["quick"] * 5) * 3


def test_latency_stops_by_itself():
    got = measure.latencies({"": sleeping(1)})[""]
    assert got.calls >= 50
    got = measure.latencies({"": sleeping(100)})[""]
    assert 5 <= got.calls <= 20
    with pytest.raises(ValueError, match="rounds must be positive, got 0"):
        measure.latencies({"": sleeping(1)}, rounds=0)
