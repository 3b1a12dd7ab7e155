"""A teacher's copy with batch norm in its kernels, and half the digits."""

import keras
import numpy as np
import pytest
from keras import layers

from compression.distillation import Distiller, Hints, SoftTargets
from compression.distillation.fused import fused

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.normal(size=(16, 8, 8, 3)).astype("float32")
LABELS = RANDOM.integers(0, 4, 16)


def net(name="teacher", width=8):
    """Two convolutions with batch norm that has seen images, and an add."""
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(width, 3, padding="same", use_bias=False, name="first")(image)
    x = first = layers.BatchNormalization(name="first_norm")(x)
    x = layers.ReLU(name="first_relu")(x)
    x = layers.Conv2D(width, 3, padding="same", name="second")(x)
    x = layers.BatchNormalization(name="second_norm")(x)
    x = layers.Add(name="add")([x, first])
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    made = keras.Model(image, layers.Dense(4, name="logits")(x), name=name)
    for norm in (made.get_layer("first_norm"), made.get_layer("second_norm")):
        for scale in (norm.gamma, norm.moving_variance):
            scale.assign(RANDOM.uniform(0.5, 2.0, width))
        norm.moving_mean.assign(RANDOM.normal(size=width))
        norm.beta.assign(RANDOM.normal(size=width))
    return made


TEACHER, STUDENT = net(), net("student", width=4).get_weights()


def answers(model):
    return keras.ops.convert_to_numpy(model(IMAGES, training=False))


@pytest.mark.backends
def test_outputs_stay_and_batch_norm_goes():
    model = net()
    before = [w.copy() for w in model.get_weights()]
    made = fused(model)
    assert not [x for x in made.layers if isinstance(x, layers.BatchNormalization)]
    np.testing.assert_allclose(answers(made), answers(model), rtol=1e-5, atol=1e-6)
    made.get_layer("logits").kernel.assign(np.zeros((8, 4)))
    for own, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(own, now)


@pytest.mark.parametrize(("dtype", "most"), [("bfloat16", 2e-2), ("float16", 2e-3)])
def test_half_the_digits_round_every_tensor_but_the_logits(dtype, most):
    model = net()
    made, exact = fused(model, dtype), answers(model)
    assert made.get_layer("second").compute_dtype == dtype
    assert made.get_layer("second").kernel.dtype == "float32"
    assert answers(made).dtype == np.float32
    off = abs(answers(made) - exact).max() / abs(exact).max()
    assert 0 < off < most


def test_an_adapted_normalization_keeps_what_it_learned():
    image = keras.Input((8, 8, 3))
    scaled = layers.Normalization(name="scaled")
    scaled.adapt(IMAGES * 3 + 1)
    x = layers.Flatten()(layers.Conv2D(4, 3)(scaled(image)))
    model = keras.Model(image, layers.Dense(4)(x))
    exact = answers(model)
    assert (
        abs(answers(fused(model, "bfloat16")) - exact).max() < 0.03 * abs(exact).max()
    )


def test_what_is_refused():
    with pytest.raises(ValueError, match="dtype must be one of .* got 'int8'"):
        fused(net(), "int8")
    with pytest.raises(ValueError, match="teacher_dtype must .* 'half'"):
        Distiller(
            net("student"), teacher=net(), losses=[SoftTargets(2.0)],
            label_weight=0.1, teacher_dtype="half",
        )  # fmt: skip


# What folding would swallow is tapped: the convolution, its batch norm, a stage.
@pytest.mark.parametrize("layer", ["first", "first_norm", "second_norm", "stage1"])
def test_tapped_tensors_stay_what_they_are(layer):
    teacher = net()

    def distiller(dtype):
        hints = Hints(layer, "first", weight=1.0, name="hints")
        return Distiller(
            net("student", width=4), teacher=teacher, losses=[hints, SoftTargets(2.0)],
            label_weight=0.1, teacher_dtype=dtype,
        )  # fmt: skip

    exact, made = distiller(None), distiller("float32")
    assert made.teacher_keys == exact.teacher_keys
    outputs, expected = made.teacher_outputs(IMAGES), exact.teacher_outputs(IMAGES)
    for key in expected:
        np.testing.assert_allclose(outputs[key], expected[key], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "jit_compile", [False, pytest.param(True, marks=pytest.mark.backends)]
)
def test_a_student_learns_nearly_the_same(jit_compile):
    """The first losses: from the same student, by the teacher and by its copy."""
    losses = []
    for dtype in (None, "float32", "bfloat16"):
        student = net("student", width=4)
        student.set_weights(STUDENT)
        made = Distiller(
            student, teacher=TEACHER, losses=[SoftTargets(2.0)],
            label_weight=0.1, teacher_dtype=dtype,
        )  # fmt: skip
        made.compile("sgd", jit_compile=jit_compile)
        history = made.fit(IMAGES, LABELS, batch_size=16, verbose=0).history
        losses.append(history["loss"][0])
    exact, folded, half = losses
    assert folded == pytest.approx(exact, rel=1e-5)
    assert half == pytest.approx(exact, rel=2e-2) and half != exact
