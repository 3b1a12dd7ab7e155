"""Saliencies by hand, or beside plain numpy."""

import keras
import numpy as np
import pytest
from keras import layers

from compression.distillation import Distiller, SoftTargets
from compression.pruning import (
    ConstantSparsity,
    Fisher,
    Grasp,
    Movement,
    PolynomialDecay,
    Prune,
    Random,
    Snip,
    Taylor,
    Wanda,
    magnitude,
)
from compression.pruning.saliency import zeros_first

pytestmark = pytest.mark.usefixtures("eagerly")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 3)).astype("float32")
Y = RNG.normal(size=(6, 2)).astype("float32")
BATCHES = [(X[:4], Y[:4]), (X[4:], Y[4:])]


def squared(y, outputs):
    """|y - o|^2 / 2 of each example."""
    return keras.ops.sum(keras.ops.square(outputs - y), -1) / 2


def linear():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(2, use_bias=False, name="fc")]
    )
    return model, model.layers[0].kernel.numpy()


def gradient(x, y, w):
    """Of the mean over the examples."""
    return x.T @ (x @ w - y) / len(x)


def scores(saliency, model=None):
    model = model or linear()[0]
    return saliency(model, [v for v in model.trainable_variables if v.name != "bias"])


@pytest.mark.backends
def test_gradient_saliencies_of_a_linear_net():
    model, w = linear()
    each = [gradient(x, y, w) for x, y in BATCHES]
    mean = sum(each) / 2
    hessian = sum(x.T @ x / len(x) for x, _ in BATCHES) / 2
    single = [gradient(X[i : i + 1], Y[i : i + 1], w) for i in range(6)]
    sizes = np.abs(mean * w)
    expected = {
        Taylor: sum(np.abs(g * w) for g in each) / 2,
        Snip: sizes / sizes.sum(),
        Grasp: w * (hessian @ mean),
        Fisher: sum(g**2 for g in single) / 6 * w**2 / 2,
    }
    for kind, value in expected.items():
        [found] = scores(kind(BATCHES, squared), model)
        np.testing.assert_allclose(found, value, rtol=1e-4, atol=1e-6)


def test_grasp_points_where_the_gradient_norm_falls():
    """Its negative is half the change of |gradient|^2 as w goes, to first order."""
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(4, "tanh"), layers.Dense(2)]
    )
    batch = [(X, Y)]
    kernels = [v for v in model.trainable_variables if v.name == "kernel"]

    def squared_norm():
        found = Snip(batch, squared).mean_gradients(model, kernels)
        return sum(float(keras.ops.sum(g * g)) for g in found)

    found = scores(Grasp(batch, squared), model)
    before = [k.numpy() for k in kernels]
    step = 1e-2
    for k, w in zip(kernels, before, strict=True):
        k.assign(w * (1 + step))
    above = squared_norm()
    for k, w in zip(kernels, before, strict=True):
        k.assign(w * (1 - step))
    slope = (above - squared_norm()) / (2 * step)
    assert sum(s.sum() for s in found) == pytest.approx(slope / 2, rel=1e-2)


def test_the_compiled_loss_is_the_default_and_nothing_moves():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(4),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Dense(3),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    batches = [(X, np.arange(6) % 3)]
    model.compile("sgd", loss)
    before = [v.numpy() for v in [*model.variables, *model.metrics_variables]]
    found = scores(Taylor(lambda: batches), model)
    for a, b in zip(found, scores(Taylor(batches, loss), model), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)
    after = [*model.variables, *model.metrics_variables]
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b.numpy())


def test_a_distiller_gives_its_own_loss():
    student, teacher = (
        keras.Sequential([keras.Input((3,)), layers.Dense(3, name="fc")])
        for _ in range(2)
    )
    distiller = Distiller(
        student, teacher=teacher, losses=[SoftTargets()], label_weight=0.0
    )
    distiller.compile("sgd")
    batches = [(X, np.arange(6) % 3)]
    prune = Prune(ConstantSparsity(1 / 3), saliency=Taylor(batches))
    distiller.fit(*batches[0], callbacks=[prune], verbose=0)
    assert (student.layers[0].kernel.numpy() == 0).sum() == 3
    student.set_weights(teacher.get_weights())  # nothing to learn: no gradient
    [found] = Taylor(batches)(distiller, [student.layers[0].kernel])
    np.testing.assert_allclose(found, 0, atol=1e-6)


def test_magnitude_and_chance():
    model, w = linear()
    np.testing.assert_array_equal(scores(magnitude, model)[0], np.abs(w))
    np.testing.assert_array_equal(scores(Random(1))[0], scores(Random(1))[0])
    assert (scores(Random(1))[0] != scores(Random(2))[0]).all()


@pytest.mark.backends
def test_wanda_of_a_dense_layer_by_hand():
    model, w = linear()
    x = np.array([[3.0, 1.0, 0.0], [4.0, 1.0, 2.0]], "float32")
    norms = np.array([5.0, np.sqrt(2.0), 2.0])
    for batches in ([x], [(x[:1], None), (x[1:], None)]):
        [found] = scores(Wanda(batches), model)
        np.testing.assert_allclose(found, np.abs(w) * norms[:, None], rtol=1e-5)


def test_wanda_of_every_kind_of_layer():
    """The norm that meets a weight is that of its input channel."""
    keras.utils.set_random_seed(0)
    image = keras.Input((5, 5, 4))
    x = layers.DepthwiseConv2D(2, depth_multiplier=2, name="depthwise")(image)
    inner = keras.Sequential(
        [keras.Input((4, 4, 8)), layers.Conv2D(6, 2, groups=2, name="grouped")]
    )
    x = inner(x)
    x = layers.Conv2DTranspose(3, 2, name="transposed")(x)
    x = layers.SeparableConv2D(2, 1, use_bias=False, name="separable")(x)
    model = keras.Model(image, x)
    images = RNG.normal(size=(2, 5, 5, 4)).astype("float32")
    between = model.get_layer("depthwise")(images)
    after = inner(between)
    wide = model.get_layer("transposed")(after)
    separable = model.get_layer("separable")
    scaled = wide * separable.depthwise_kernel.value[0, 0, :, 0]

    def norm(x):
        return np.sqrt((np.asarray(x) ** 2).sum((0, 1, 2)))

    group = norm(between).reshape(2, 4).T  # (channel in, group)
    expected = {
        "depthwise": norm(images)[:, None],
        "grouped": np.repeat(group, 3, 1),
        "transposed": norm(after),
        "depthwise_kernel": norm(wide)[:, None],
        "pointwise_kernel": norm(scaled)[:, None],
    }
    kernels = [v for v in model.trainable_variables if v.name.endswith("kernel")]
    found = Wanda([images])(model, kernels)
    for kernel, score in zip(kernels, found, strict=True):
        layer, name = kernel.path.split("/")[-2:]
        norms = expected[name if layer == "separable" else layer]
        np.testing.assert_allclose(score, np.abs(kernel.numpy()) * norms, rtol=1e-4)
    assert "call" not in vars(separable)


def test_movement_is_the_sum_of_weight_times_gradient():
    model, w = linear()
    model.compile(keras.optimizers.SGD(0.1), squared)
    movement = Movement()
    prune = Prune(PolynomialDecay(0.5, 0, 3, frequency=3), saliency=movement)
    data = (np.tile(X, (3, 1)), np.tile(Y, (3, 1)))  # three steps of the same batch
    with pytest.warns(UserWarning, match="mid-schedule"):
        model.fit(*data, batch_size=6, shuffle=False, callbacks=[prune], verbose=0)
    expected = np.zeros_like(w)
    for _ in range(3):
        expected -= 0.1 * w * gradient(X, Y, w)
        w = w - 0.1 * gradient(X, Y, w)
    np.testing.assert_allclose(movement.scores[0].numpy(), expected, rtol=1e-3)
    np.testing.assert_allclose(model.layers[0].kernel.numpy(), w, rtol=1e-4)


def test_movement_is_not_asked_before_anything_has_moved():
    with pytest.raises(ValueError, match="nothing has moved yet: let the schedule"):
        Prune(ConstantSparsity(0.5), saliency="movement")
    prune = Prune(ConstantSparsity(0.5, begin=2), saliency="movement")
    with pytest.raises(ValueError, match="nothing has moved yet"):
        prune.cut(linear()[0], 0.5)


def test_zeros_come_first_and_the_order_stays():
    scores = np.array([-2.0, 0.0, 3.0, -5.0, 0.0])
    weights = np.array([1.0, 1.0, 0.0, 1.0, 0.0])
    moved = zeros_first(scores, weights, -5.0)
    assert moved[2] == moved[4] == 0
    assert 0 < moved[3] < moved[0] < moved[1]
    plain = np.array([0.5, 0.0, 2.0], "float32")
    np.testing.assert_array_equal(zeros_first(plain, plain, 0.0), plain)


@pytest.mark.parametrize("kind", [Snip, Random])
def test_masks_nest_through_a_schedule(kind):
    """What went never comes back, though the scores are new ones each time."""
    model = linear()[0]
    model.compile("sgd", squared)
    saliency = Random() if kind is Random else kind(BATCHES, squared)
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            prune.sync()
            seen.append(model.layers[0].kernel.numpy() == 0)

    prune = Prune(PolynomialDecay(0.5, 0, 2, frequency=1), saliency=saliency)
    model.fit(X, Y, batch_size=2, callbacks=[prune, Watch()], verbose=0)
    assert seen[-1].sum() == 3 and seen[1].sum() > 0
    assert all((a <= b).all() for a, b in zip(seen, seen[1:], strict=False))


def test_bad_saliencies():
    schedule = ConstantSparsity(0.5)
    with pytest.raises(ValueError, match=r"'taylor' needs data: give saliency=prun"):
        Prune(schedule, saliency="taylor")
    with pytest.raises(ValueError, match="no saliency called 'l1'; choose from mag"):
        Prune(schedule, saliency="l1")
    with pytest.raises(ValueError, match="no batch came to the saliency"):
        scores(Taylor(iter([]), squared))
    with pytest.raises(ValueError, match="nothing came in to .*fc/kernel: no batch"):
        scores(Wanda([]))
    for wrong, message in [
        (lambda model, kernels: [np.ones(2)], r"scores of shape \(2,\) for .*\(3, 2\)"),
        (lambda model, kernels: [np.full((3, 2), np.nan)], "are not all finite"),
    ]:
        model, w = linear()
        model.compile("sgd", squared)
        with pytest.raises(ValueError, match=message):
            model.fit(X, Y, callbacks=[Prune(schedule, saliency=wrong)], verbose=0)
        np.testing.assert_array_equal(model.layers[0].kernel.numpy(), w)


@pytest.mark.parametrize("loss", [None, keras.losses.CategoricalCrossentropy()])
def test_labels_that_the_loss_cannot_take_are_named(loss):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    wrong = np.eye(3) if loss is None else np.zeros((3, 2))
    saliency = Taylor([(np.ones((3, 4), "float32"), wrong)], loss)
    with pytest.raises(ValueError, match=r"labels \(3, [23]\) beside outputs \(3, 3\)"):
        saliency(model, model.trainable_variables[:1])
