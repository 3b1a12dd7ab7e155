"""Rounding for few bits: by hand, by brute force, and within a bound on accuracy."""

import itertools

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from keras import layers

from compression import export
from compression.export.archive import rate_distortion
from compression.export.archive.rounding import Rates, bits_of, rounded
from compression.quantization.sensitivity import Examples

pytestmark = pytest.mark.usefixtures("eagerly")

RNG = np.random.default_rng(5)
WEIGHTS = RNG.laplace(size=(20, 30)).astype("float32")
ONES = np.ones_like(WEIGHTS)


def classifier(inputs=8):
    """A linear net for three classes, and images that it mostly knows."""
    keras.utils.set_random_seed(1)
    net = keras.Sequential([keras.Input((inputs,)), layers.Dense(3)])
    images = RNG.normal(size=(400, inputs)).astype("float32")
    labels = np.asarray(net(images)).argmax(-1)
    labels[:40] = (labels[:40] + 1) % 3
    return net, [(images[:300], labels[:300]), (images[300:], labels[300:])]


def test_a_bit_for_nothing_leaves_nearest_multiples():
    found = rounded(WEIGHTS, ONES, 1e-12, 1e9)
    assert found.step <= np.sqrt(1e-3)
    np.testing.assert_allclose(found.values, WEIGHTS, rtol=0, atol=found.step * 0.501)
    mantissa, _ = np.frexp(found.step)
    assert mantissa * 32 == np.rint(mantissa * 32)  # a short number


def test_a_dearer_bit_costs_more_loss_and_fewer_bits():
    found = [rounded(WEIGHTS, ONES, price, 4.0) for price in (1e-4, 1e-3, 1e-2, 1e-1)]
    bits = [bits_of(each) for each in found]
    loss = [np.square(each.values - WEIGHTS).sum() for each in found]
    assert bits == sorted(bits, reverse=True) and len(set(bits)) == 4
    assert loss == sorted(loss)


def test_what_is_felt_is_rounded_finer():
    fisher = np.where(np.arange(30) < 15, 10.0, 0.1) * ONES
    found = rounded(WEIGHTS, fisher, 0.02, 4.0)
    error = np.square(found.values - WEIGHTS).mean(0)
    assert error[:15].mean() < error[15:].mean() / 2


def test_no_other_choice_of_a_weight_costs_less():
    """With the rates that the codes were chosen by, when those no longer change."""
    price, ratio = 0.05, 4.0
    found = rounded(WEIGHTS, ONES, price, ratio)
    rates = Rates(found.codes)

    def cost(codes):
        loss = np.square(codes * found.step - WEIGHTS) / 2
        return loss + price * rates.of(codes)

    best = np.min([cost(np.full(WEIGHTS.shape, c)) for c in range(-20, 21)], axis=0)
    assert cost(found.codes).sum() <= best.sum() * 1.02


def test_rates_are_those_of_a_table_of_counts():
    """Where rows and columns are alike: log2 of the share of each code, and a sign."""
    codes = np.array([[0, 1, 0, -1], [1, 0, -2, 0], [0, -1, 0, 1], [-2, 0, 1, 0]] * 64)
    bits = Rates(codes).of(codes)
    assert bits[codes == 0] == pytest.approx(1, abs=0.02)
    assert bits[abs(codes) == 1] == pytest.approx(1 - np.log2(0.75) + 1, abs=0.02)
    assert bits[abs(codes) == 2] == pytest.approx(1 - np.log2(0.25) + 1, abs=0.02)
    rows = np.zeros((64, 64), int)
    rows[:4] = 1
    bits = Rates(rows).of(rows)
    assert bits.sum() < 0.25 * 64 * 64 * 0.337  # bits an entry, were places unknown


@settings(max_examples=40)
@given(
    arrays.arrays(
        "float32",
        arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
        elements=st.floats(-8, 8, width=32) | st.just(0),
    ),
    st.sampled_from([1e-9, 1e-3, 1.0]),
)
def test_zeros_stay_and_shapes_too(weights, price):
    found = rounded(weights, np.ones(weights.shape), price, 4.0)
    assert found.codes.shape == weights.shape and found.codes.dtype == "int32"
    assert not found.values[weights == 0].any()
    assert np.isfinite(found.values).all()
    assert (found.values * weights >= 0).all()  # none changes its sign
    assert np.isfinite(bits_of(found))


def test_fisher_information_of_softmax_regression():
    """x^2 p (1 - p) for each weight: McCullagh & Nelder's, in the mean over images."""
    net, data = classifier(4)
    images = np.tile(data[0][0], (13, 1))[:3900]
    kernel, bias = rate_distortion.fisher(net, net.trainable_variables, images)
    shares = np.asarray(keras.ops.softmax(net(images)))
    spread = shares * (1 - shares)
    assert bias.mean() == pytest.approx(spread.mean(), rel=0.25)
    expected = np.einsum("ni,nk->ik", images**2, spread) / len(images)
    np.testing.assert_allclose(kernel, expected, rtol=0.8)
    assert kernel.mean() == pytest.approx(expected.mean(), rel=0.25)


def test_one_logit_has_fisher_information():
    net = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    images = RNG.normal(size=(640, 4)).astype("float32")
    _, bias = rate_distortion.fisher(net, net.trainable_variables, images)
    share = 1 / (1 + np.exp(-np.asarray(net(images))))
    assert bias[0] == pytest.approx((share * (1 - share)).mean(), rel=0.6)


@pytest.mark.parametrize("max_drop", [0.0, 0.05])
@pytest.mark.slow
def test_the_bound_is_held_and_the_net_left_as_it_was(max_drop):
    net, data = classifier()
    before = net.get_weights()
    found = rate_distortion.coarsest(
        net, net.trainable_variables, data, max_drop=max_drop
    )
    for old, new in zip(before, net.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert found.images == 400 and found.exact_top1 == pytest.approx(0.9)
    net.set_weights([each.values for each in found.rounded])
    images, labels = (np.concatenate(each) for each in zip(*data, strict=True))
    top1 = np.mean(np.asarray(net(images)).argmax(-1) == labels)
    assert top1 == pytest.approx(found.top1)
    assert top1 >= found.exact_top1 - max_drop
    assert found.bits < 27 * 12


def test_weights_too_coarse_are_refused_after_few_images(monkeypatch):
    """What would flip first is asked first, and the answer is that of all images."""
    monkeypatch.setattr(rate_distortion, "ASKED", 50)
    net, data = classifier()
    examples = Examples.of(data, net)
    search = rate_distortion._Search(
        net, net.trainable_variables, examples, 0.02, print
    )
    asked, predict = [], net.predict_on_batch
    monkeypatch.setattr(
        net,
        "predict_on_batch",
        lambda images: asked.append(len(images)) or predict(images),
    )
    held = set()
    for price in np.geomspace(1e-8, 1, 16):
        trial, before = search._all(price, 16.0), len(asked)
        holds = search._holds(trial)
        wrong = np.asarray(net(examples.images)).argmax(-1) != examples.labels
        assert holds == (1 - wrong.mean() >= search.least)
        assert (sum(asked[before:]) == 400) >= holds
        held.add((holds, len(asked) - before))
    assert (True, 8) in held and min(held)[1] <= 2


def test_more_may_be_lost_fewer_bits_are_left(monkeypatch):
    monkeypatch.setattr(rate_distortion, "RATIOS", (16.0,))  # one does
    net, data = classifier()
    bits = [
        rate_distortion.coarsest(net, net.trainable_variables, data, max_drop=drop).bits
        for drop in (0.0, 0.02, 0.2)
    ]
    assert bits[0] > bits[1] > bits[2]


def test_settled_batch_norm_gives_the_same():
    keras.utils.set_random_seed(2)
    inner = keras.Sequential([keras.Input((6, 6, 4)), layers.BatchNormalization()])
    net = keras.Sequential([keras.Input((6, 6, 4)), inner, layers.BatchNormalization()])
    for variable in net.weights:
        variable.assign(RNG.uniform(0.3, 2, variable.shape))
    x = RNG.normal(size=(5, 6, 6, 4)).astype("float32")
    before = np.asarray(net(x))
    rate_distortion.settle_batch_norm(net)
    np.testing.assert_allclose(np.asarray(net(x)), before, rtol=0, atol=3e-6)
    for variable in net.non_trainable_variables:
        np.testing.assert_array_equal(variable, "variance" in variable.name)


@pytest.mark.parametrize("max_drop", [-0.1, 1.0, float("nan"), 50])
def test_bounds_that_are_none(max_drop):
    net, data = classifier()
    with pytest.raises(ValueError, match="max_drop is a fraction"):
        rate_distortion.coarsest(net, net.trainable_variables, data, max_drop=max_drop)


@pytest.mark.parametrize("max_drop", ["0.1", None, True])
def test_bounds_that_are_no_numbers(max_drop):
    net, data = classifier()
    with pytest.raises(ValueError, match="max_drop must be a number, got"):
        rate_distortion.coarsest(net, net.trainable_variables, data, max_drop=max_drop)


def test_what_is_no_model():
    with pytest.raises(ValueError, match="must be a keras.Model, got 'net.keras'"):
        rate_distortion.coarsen("net.keras", [], max_drop=0.1)


def test_a_net_without_float32_weights_is_refused():
    image = keras.Input((8,), dtype="float64")
    net = keras.Model(image, layers.Dense(3, dtype="float64")(image), name="double")
    _, data = classifier()
    with pytest.raises(ValueError, match="'double' has no float32 weights.*max_drop"):
        rate_distortion.coarsen(net, data, max_drop=0.1)


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.slow
def test_nets_as_training_leaves_them_are_archived(named, tmp_path):
    """Compiled with a loss, and one that names its output."""
    net, data = classifier()
    output = {"answer": net.outputs[0]} if named else net.outputs[0]
    net = keras.Model(net.inputs, output)
    net.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    path = tmp_path / "net.limbeck"
    export.archive(net, path, max_drop=0.5, data=iter(data))
    assert keras.tree.map_structure(lambda x: x.shape, net.output) == (
        keras.tree.map_structure(lambda x: x.shape, export.load_archive(path).output)
    )


def test_data_that_are_none():
    net, data = classifier()
    for wrong, match in (([], "no batches"), ([data[0][0]], "images, labels")):
        with pytest.raises(ValueError, match=match):
            rate_distortion.coarsest(net, net.trainable_variables, wrong, max_drop=0)
    probable = keras.Sequential([net, layers.Softmax()])
    with pytest.raises(ValueError, match="logits"):
        rate_distortion.coarsest(
            probable, probable.trainable_variables, data, max_drop=0
        )


def test_every_code_is_one_of_three():
    """Nearest, the next towards zero, or zero."""
    found = rounded(WEIGHTS, ONES, 0.05, 4.0)
    nearest = np.rint(WEIGHTS / found.step)
    for exact, code in itertools.islice(
        zip(nearest.flat, found.codes.flat, strict=True), 600
    ):
        assert code in (exact, exact - np.sign(exact), 0)


@pytest.mark.parametrize(("max_drop", "told"), [(0.2, False), (0.7, True)])
def test_a_bound_that_guesses_would_meet_is_told(max_drop, told, recwarn, tmp_path):
    net, data = classifier()
    export.archive(net, tmp_path / "net.limbeck", max_drop=max_drop, data=data)
    found = [str(each.message) for each in recwarn]
    assert any("gives every image the same answer" in text for text in found) == told
