"""Nets with fake quantization: where it stands, how they train, what is refused."""

import keras
import numpy as np
import pytest
from keras import layers

from architectures.layers import LocalResponseNormalization, ZeroPaddedShortcut
from compression import as_logits, logits, measure, pruning
from compression.distillation import Distiller, SoftTargets
from compression.graph import read
from compression.quantization import is_quantized, quantize_aware
from compression.quantization.fake_quantize import fake_quantize_weights
from compression.quantization.ranges import ActivationRange, ClippedRange, StepRange
from compression.quantization.twins import (
    ChannelwiseBatchNormalization,
    FreezingBatchNormalization,
)
from tests.compression.small_nets import on_images

pytestmark = pytest.mark.usefixtures("eagerly")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 8, 8, 4)).astype("float32")
Y = RNG.integers(0, 3, 32)
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def every_kind():
    """Two branches, a sum, a concatenation, each kind of kernel, batch norm alone."""
    x = image = keras.Input((8, 8, 4), name="image")
    a = layers.Conv2D(4, 3, padding="same", groups=2, name="grouped")(x)
    a = layers.BatchNormalization(name="grouped_bn", momentum=0.5)(a)
    b = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.Add(name="add")([a, b])
    x = layers.ReLU(name="add_relu")(x)
    c = layers.SeparableConv2D(4, 3, padding="same", name="separable")(x)
    d = layers.Conv2D(2, 1, activation="relu", name="reduce")(x)
    x = layers.Concatenate(name="concat")([c, d])
    x = layers.AveragePooling2D(2, name="average")(x)
    x = LocalResponseNormalization(name="lrn")(x)
    x = layers.BatchNormalization(name="alone", momentum=0.5)(x)
    x = layers.Conv2DTranspose(5, 2, strides=2, activation="tanh", name="up")(x)
    x = layers.MaxPooling2D(name="max")(x)
    x = ZeroPaddedShortcut(8, stride=2, name="shortcut")(x)
    x = layers.Dropout(0.2, name="drop")(layers.GlobalAveragePooling2D(name="gap")(x))
    return keras.Model(image, layers.Dense(3, name="logits")(x), name="net")


def small(**options):
    x = image = keras.Input((8, 8, 4), name="image")
    x = layers.Conv2D(6, 3, use_bias=False, name="conv", **options)(x)
    x = layers.BatchNormalization(name="bn", momentum=0.5)(x)
    x = layers.ReLU(name="relu")(x)
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    return keras.Model(image, layers.Dense(3, name="logits")(x), name="small")


def fitted(model, epochs=1, callbacks=(), **options):
    model.compile(keras.optimizers.SGD(0.05), LOSS, **options)
    model.fit(X, Y, batch_size=8, epochs=epochs, verbose=0, callbacks=list(callbacks))
    return model


def ranges(model):
    """Names of the calls whose output is rounded."""
    graph = read(model)
    return [
        graph.calls[call.producers[0]].operation.name
        for call in graph.calls
        if isinstance(call.operation, ActivationRange)
    ]


def test_ranges_stand_where_kernels_end():
    quantized = quantize_aware(every_kind())
    # Not after what is fused (grouped, add), is only concatenated (pointwise, reduce),
    # or keeps a range (max, shortcut, drop); before and after an activation of its own.
    assert ranges(quantized) == [
        *("image", "grouped_bn", "depthwise", "add_relu", "separable", "concat"),
        *("average", "lrn"),
        *("alone", "up", "up_activation", "gap", "logits"),
    ]
    assert is_quantized(quantized)
    assert not is_quantized(every_kind())
    calls = read(quantized).calls
    shared = [call for call in calls if call.operation.name == "concat_range"]
    assert [call.kwargs for call in shared] == [{}, {"observe": False}]  # of average
    assert isinstance(quantized.get_layer("alone"), ChannelwiseBatchNormalization)
    assert type(quantized.get_layer("grouped_bn")) is FreezingBatchNormalization


@pytest.mark.parametrize("method", ["moving_average", "lsq", "pact"])
@pytest.mark.slow
def test_a_trained_net_changes_little_and_learns(method, tmp_path):
    keras.utils.set_random_seed(0)
    model = fitted(every_kind(), epochs=2)
    before = model.get_weights()
    quantized = quantize_aware(model, method=method, calibration=[X])
    wanted = model(X)
    error = np.abs(np.asarray(quantized(X)) - wanted).max()
    bound = 0.4 if method == "lsq" else 0.05  # LSQ's first steps are not its last
    assert 0 < error < bound * np.abs(wanted).max()
    fitted(quantized)
    for was, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)  # the net itself stays as it is
    learnt = {type(each) for each in quantized.layers}
    assert (StepRange in learnt) == (method == "lsq")
    assert (ClippedRange in learnt) == (method == "pact")
    quantized.save(tmp_path / "net.keras")
    again = keras.models.load_model(tmp_path / "net.keras")
    np.testing.assert_array_equal(again(X), quantized(X))
    for variables in (quantized.trainable_variables, again.trainable_variables):
        steps = [v for v in variables if v.name in ("step", "steps", "clip")]
        assert bool(steps) == (method != "moving_average")


def test_counts_stay_those_of_the_net():
    model = every_kind()
    quantized = quantize_aware(model)
    assert measure.macs(quantized) == measure.macs(model)
    shapes = [v.shape for v in model.trainable_variables]
    assert [v.shape for v in quantized.trainable_variables] == shapes


@pytest.mark.backends
def test_a_step_of_training_moves_ranges_statistics_and_steps():
    quantized = quantize_aware(small(), method="lsq", calibration=[X], freeze_after=1)
    before = {v.path: np.asarray(v) for v in quantized.weights}
    fitted(quantized)
    for variable in quantized.weights:
        moved = np.asarray(variable) != before[variable.path]
        assert moved.any(), variable.path


def test_a_range_is_the_moving_average_of_batches():
    quantized = quantize_aware(small(), momentum=0.75)
    layer = quantized.get_layer("image_range")
    assert np.abs(np.asarray(quantized(X))).max() < 1e-4  # no range yet
    for batch in (X[:8], X[8:16] * 2, -np.abs(X[:8])):
        quantized(batch, training=True)
    lows = [X[:8].min(), (X[8:16] * 2).min(), -np.abs(X[:8]).max()]
    highs = [X[:8].max(), (X[8:16] * 2).max(), 0.0]
    for end, values in ((layer.low, lows), (layer.high, highs)):
        expected = 0.75 * (0.75 * values[0] + 0.25 * values[1]) + 0.25 * values[2]
        assert float(end) == pytest.approx(expected, rel=1e-5)
    before = float(layer.low)
    quantized(X * 9)
    assert float(layer.low) == before


def test_batch_norm_folds_into_the_codes():
    """gamma / sigma times a kernel: its scale changes and its codes do not."""
    conv = RNG.normal(size=(3, 3, 4, 6)).astype("float32")
    gamma = RNG.uniform(-2, 2, 6).astype("float32")
    mean, beta = RNG.normal(size=(2, 6)).astype("float32")
    variance = RNG.uniform(0.5, 2, 6).astype("float32")
    norm = FreezingBatchNormalization(epsilon=1e-3, freeze_after=3)
    norm.build((None, 6, 6, 6))
    norm.set_weights([gamma, beta, mean, variance, np.int32(0)])
    factor = gamma / np.sqrt(variance + 1e-3)
    apart = norm(keras.ops.conv(X, fake_quantize_weights(conv, channels=1)))
    folded = fake_quantize_weights(conv * factor, channels=1)
    folded = keras.ops.conv(X, folded) + (beta - mean * factor)
    scale = np.abs(np.asarray(folded)).max()
    np.testing.assert_allclose(apart, folded, rtol=0, atol=1e-6 * scale)


def test_batch_norm_follows_batches_until_it_is_frozen():
    options = {"momentum": 0.5, "epsilon": 1e-3}
    norm = FreezingBatchNormalization(freeze_after=2, **options)
    never = FreezingBatchNormalization(**options)
    plain = layers.BatchNormalization(**options)
    for step in range(2):
        batch = X[8 * step : 8 * step + 8] * (step + 1) + step
        expected = plain(batch, training=True)
        for each in (norm, never):
            np.testing.assert_allclose(each(batch, training=True), expected, atol=2e-6)
            np.testing.assert_allclose(
                each.moving_variance, plain.moving_variance, rtol=1e-5
            )
    moved = [np.asarray(plain.moving_mean), np.asarray(plain.moving_variance)]
    frozen = norm(X * 5, training=True)
    np.testing.assert_allclose(frozen, plain(X * 5, training=False), atol=1e-5)
    np.testing.assert_allclose(norm.moving_mean, moved[0], rtol=1e-5)
    np.testing.assert_allclose(norm.moving_variance, moved[1], rtol=1e-5)
    alone = ChannelwiseBatchNormalization(**options)
    flat, plain = X[:, 0, 0], layers.BatchNormalization(**options)
    for training in (True, False):
        np.testing.assert_allclose(
            alone(flat, training=training), plain(flat, training=training), atol=2e-6
        )


def test_it_trains_with_a_teacher_and_under_masks():
    teacher = small()
    student = quantize_aware(small())
    distiller = Distiller(
        student, teacher=teacher, losses=[SoftTargets(4.0, 0.9)], label_weight=0.1
    )
    schedule = pruning.ConstantSparsity(0.5)
    distiller.compile(keras.optimizers.SGD(0.05))
    distiller.fit(X, Y, verbose=0, callbacks=[pruning.Prune(schedule)])
    zeros = [np.mean(np.asarray(v) == 0) for v in student.weights if v.name == "kernel"]
    assert np.average(zeros, weights=[216, 18]) == pytest.approx(0.5, abs=0.01)
    fitted(student, callbacks=[pruning.KeepZeros()])
    kernel = np.asarray(student.get_layer("conv").kernel)
    assert np.mean(kernel == 0) == pytest.approx(zeros[0])
    rounded = np.asarray(fake_quantize_weights(kernel, channels=1))
    assert (rounded[kernel == 0] == 0).all()


@pytest.mark.usefixtures("traced")
def test_it_trains_under_xla():
    keras.utils.set_random_seed(0)
    models = [quantize_aware(small(), method="lsq", calibration=[X]) for _ in "ab"]
    models[1].set_weights(models[0].get_weights())
    for model, jit in zip(models, (False, True), strict=True):
        model.compile(keras.optimizers.SGD(0.05), LOSS, jit_compile=jit)
        model.fit(X, Y, batch_size=16, verbose=0, shuffle=False)
    for a, b in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_it_ends_in_what_its_net_ends_in():
    """Also before it has ranges, when numbers next to zero come out."""
    image = keras.Input((4,), name="image")
    model = keras.Model(image, layers.Dense(3, activation="softmax")(image))
    assert logits.ending(quantize_aware(small())).kind == "linear"
    quantized = quantize_aware(model, calibration=[X[:, 0, 0]])
    assert logits.ending(quantized).kind == "softmax"
    values = as_logits(quantized)(X[:, 0, 0])
    probabilities = keras.ops.softmax(values)
    np.testing.assert_allclose(probabilities, quantized(X[:, 0, 0]), atol=0.003)


def test_models_inside_and_shared_layers():
    shared = layers.Dense(4, activation="relu", name="shared")
    inner = keras.Sequential([keras.Input((4,)), shared, shared], name="inner")
    image = keras.Input((4,), name="image")
    model = keras.Model(image, layers.Dense(3, name="logits")(inner(image)))
    quantized = quantize_aware(model, calibration=[X[:, 0, 0]])
    assert len(ranges(quantized)) == 4
    error = np.asarray(quantized(X[:, 0, 0])) - np.asarray(model(X[:, 0, 0]))
    assert np.abs(error).max() < 0.1


def test_skipped_layers_stay_as_they_are():
    quantized = quantize_aware(small(), skip=("conv",))
    assert type(quantized.get_layer("conv")) is layers.Conv2D
    assert type(quantized.get_layer("bn")) is layers.BatchNormalization
    assert ranges(quantized)[0] == "image"
    assert quantized.get_layer("relu_range_float") is not None


class Odd(layers.Layer):
    def call(self, x):
        return x * 2


def with_layer(layer):
    image = keras.Input((8, 8, 4))
    return keras.Model(image, layer(layers.Conv2D(2, 1)(image)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bits": 2}, "bits must be 8 or 4, got 2"),
        ({"method": "luck"}, "no method called 'luck'; choose from moving_average"),
        ({"method": "lsq"}, "method 'lsq' needs calibration"),
        ({"freeze_after": -1}, "freeze_after must not be negative, got -1"),
        ({"momentum": 1.0}, r"momentum must be in \[0, 1\), got 1.0"),
        ({"skip": ("con",)}, "skip: no layer is called 'con'; there are image, conv"),
        ({"calibration": [X[:, :4]]}, "calibration must be batches of images"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        quantize_aware(small(), **options)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Odd(name="odd"), r"'odd' \(Odd\) has no integer kernel.*skip=\('odd',\)"),
        (layers.Activation("elu", name="g"), r"'g' \(activation 'elu'\) has no int"),
        (layers.ReLU(threshold=1.0, name="r"), r"'r' \(ReLU\) has no integer kernel"),
    ],
)
def test_layers_without_an_integer_kernel_are_named(layer, message):
    model = with_layer(layer)
    with pytest.raises(ValueError, match=message):
        quantize_aware(model)
    assert is_quantized(quantize_aware(model, skip=layer.name))


def test_all_layers_without_an_integer_kernel_are_named_at_once():
    image = keras.Input((4, 8))
    x = layers.LayerNormalization(name="norm1")(image)
    x = layers.MultiHeadAttention(2, 4, name="heads")(x, x)
    x = layers.Dense(8)(
        layers.ELU(name="elu")(layers.LayerNormalization(name="norm2")(x))
    )
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(x)))
    with pytest.raises(ValueError, match="'elu'|norm2") as found:
        quantize_aware(model)
    message = str(found.value)
    assert message.startswith(
        "'norm1' (LayerNormalization), 'heads' (MultiHeadAttention), 'norm2' "
        "(LayerNormalization) and 1 more have no integer kernel: replace them, or "
        "leave them in float32 with skip=('norm1', 'heads', 'norm2', 'elu');"
    )
    skip = ("norm1", "heads", "norm2", "elu")
    assert is_quantized(quantize_aware(model, skip=skip))
    with pytest.raises(ValueError, match=r"^'elu' \(ELU\) has no integer kernel"):
        quantize_aware(model, skip=skip[:3])


def test_batch_norm_alone_is_of_the_last_axis_whatever_keras_is_set_to():
    model = on_images(layers.BatchNormalization(name="alone"), layers.Flatten())
    wanted = quantize_aware(model, calibration=[X])(X)
    keras.config.set_image_data_format("channels_first")
    try:
        found = quantize_aware(model, calibration=[X])(X)
    finally:
        keras.config.set_image_data_format("channels_last")
    np.testing.assert_array_equal(found, wanted)


class Scaled(layers.Conv2D):
    def convolution_op(self, inputs, kernel):
        return super().convolution_op(inputs, 5 * kernel)


class Tripled(layers.Dense):
    @property
    def kernel(self):
        return 3 * self._kernel


@pytest.mark.parametrize("layer", [Scaled(6, 1, name="own"), Tripled(6, name="own")])
def test_layers_that_use_their_kernel_in_another_way_have_no_twin(layer):
    """The twin would compute as the class of Keras that they extend."""
    model = on_images(layer, layers.Flatten(), layers.Dense(3))
    with pytest.raises(ValueError, match=r"'own' \(\w+\) has no integer kernel.*skip"):
        quantize_aware(model)
    images = np.ones((2, 8, 8, 4), "float32")
    ours = quantize_aware(model, skip="own", calibration=[images])
    np.testing.assert_allclose(ours(images), model(images), rtol=0.3, atol=0.1)


def test_a_layer_with_an_option_of_its_own_has_its_base_twin():
    class Named(layers.Dense):
        def __init__(self, *args, purpose="none", **options):
            super().__init__(*args, **options)
            self.purpose = purpose

        def get_config(self):
            return super().get_config() | {"purpose": self.purpose}

    class NamedNorm(layers.BatchNormalization):
        def get_config(self):
            return super().get_config() | {"purpose": "norm"}

        @classmethod
        def from_config(cls, config):
            return cls(**{k: v for k, v in config.items() if k != "purpose"})

    own = Named(3, purpose="logits", name="own")
    model = on_images(layers.Conv2D(4, 3), NamedNorm(), layers.Flatten(), own)
    images = np.ones((2, 8, 8, 4), "float32")
    ours = quantize_aware(model, calibration=[images])
    assert ours.get_layer("own").bits == 8
    np.testing.assert_allclose(ours(images), model(images), atol=0.1)


def test_skip_takes_the_names_that_messages_give():
    """Of a layer that was taken apart, its part; of one name inside and outside, both
    by themselves."""
    inner = on_images(
        layers.Conv2D(4, 3, activation="elu", name="conv"),
        layers.Conv2D(4, 1, name="last"),
    )
    image = keras.Input((8, 8, 4))
    x = layers.Conv2D(2, 1, name="last")(inner(image))
    model = keras.Model(image, layers.Flatten()(x))
    with pytest.raises(ValueError, match=r"skip=\('conv_activation',\)"):
        quantize_aware(model)
    quantized = quantize_aware(model, skip="conv_activation")
    names = {layer.name for layer in quantized.layers if hasattr(layer, "bits")}
    inside = next(name for name in names if name not in ("conv", "last"))
    assert names == {"conv", "last", inside}
    for skip in ("last", inside):
        found = quantize_aware(model, skip=("conv_activation", skip))
        left = {layer.name for layer in found.layers if hasattr(layer, "bits")}
        assert left == names - {skip}
    with pytest.raises(ValueError, match=f"no layer is called 'no'; .*{inside}"):
        quantize_aware(model, skip="no")


def test_nets_that_cannot_be_quantized_are_refused():
    model = small()
    with pytest.raises(ValueError, match="'small' is quantized already"):
        quantize_aware(quantize_aware(model))
    model.get_layer("logits").kernel.assign(np.full((6, 3), np.nan))
    with pytest.raises(ValueError, match="logits/kernel of 'small' is not finite"):
        quantize_aware(model)

    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ValueError, match="without a graph"):
        quantize_aware(Own())


def test_a_net_with_a_layer_left_in_float_is_saved(tmp_path):
    image = keras.Input((8, 8, 4))
    x = layers.Conv2D(2, 3)(layers.Rescaling(1 / 255)(image))
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(x)))
    net = quantize_aware(model, skip=("rescaling*",), calibration=[255 * X])
    net.save(tmp_path / "net.keras")
    again = keras.saving.load_model(tmp_path / "net.keras")
    np.testing.assert_array_equal(again(255 * X), net(255 * X))
