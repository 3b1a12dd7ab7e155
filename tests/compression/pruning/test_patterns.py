"""Patterns: units by hand, exact counts, every kind of layer."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers

from compression.pruning import ConstantSparsity, PolynomialDecay, Prune, Taylor
from compression.pruning.masks import masks
from compression.pruning.patterns import Block, Kernel, OfM, matrix, pattern

DENSE = np.array(
    [[1.0, 8.0], [2.0, 7.0], [3.0, 6.0], [4.0, 5.0], [0.1, 0.1]]  # 5 inputs, 2 outputs
)


def test_names():
    assert pattern("2:4") == OfM(2, 4)
    assert pattern("block(1, 4)") == pattern("block(1,4)") == Block(1, 4)
    assert pattern("kernel") == Kernel()
    for name in ("element", "1:16", "block(8, 2)", "kernel"):
        assert str(pattern(name)) == name
    for name in ("4:2", "4:4", "0:4"):
        with pytest.raises(ValueError, match=f"pattern {name} keeps .* 0 < n < m"):
            pattern(name)
    with pytest.raises(ValueError, match=r"block\(0, 4\) has no weights"):
        pattern("block(0, 4)")
    with pytest.raises(ValueError, match=r"no pattern called 'blocks'; choose from el"):
        pattern("blocks")


def test_two_of_four_by_hand():
    """The fifth input is left over and stays, small as it is."""
    [mask] = masks([DENSE], 0.5, pattern=OfM(2, 4))
    np.testing.assert_array_equal(mask.T, [[0, 0, 1, 1, 1], [1, 1, 0, 0, 1]])
    # Half the groups: that of the first column, whose least two are smaller.
    [mask] = masks([DENSE], 0.25, pattern=OfM(2, 4))
    np.testing.assert_array_equal(mask.T, [[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]])


def test_blocks_by_hand():
    """Means: 4.5, 4.5, 0.1 of blocks of 4, 4 and 2 weights."""
    [mask] = masks([DENSE], 0.2, pattern=Block(2, 2))
    np.testing.assert_array_equal(mask[:, 0], [1, 1, 1, 1, 0])
    [mask] = masks([DENSE], 0.6, pattern=Block(2, 2))  # 6 weights; of equals the first
    np.testing.assert_array_equal(mask[:, 1], [0, 0, 1, 1, 0])
    [mask] = masks([DENSE], 0.35, pattern=Block(2, 2))  # 3.5: 2 are nearer than 6
    assert (mask == 0).sum() == 2
    [mask] = masks([DENSE], 0.99, pattern=Block(2, 2))
    assert (mask == 0).sum() == 6  # one unit stays
    [mask] = masks([DENSE], 0.99, pattern=Block(2, 2), floor=None)
    assert (mask == 0).sum() == 10


def test_kernels_by_hand():
    weights = np.ones((3, 3, 2, 4))
    weights[:, :, 1, 2] = 0.5
    weights[0, 0, 0, 0] = 0.1  # on its own this is no reason
    [mask] = masks([weights], 1 / 8, pattern=Kernel())
    expected = np.ones((3, 3, 2, 4))
    expected[:, :, 1, 2] = 0
    np.testing.assert_array_equal(mask, expected)


def test_global_scope_compares_units_of_all_kernels():
    low, high = np.full((4, 4), 1.0), np.full((4, 8), 2.0)
    found = masks([low, high], 0.25, pattern=Block(4, 1))
    assert [(m == 0).sum() for m in found] == [12, 0]  # the floor keeps one column
    found = masks([low, high], 0.25, pattern=Block(4, 1), scope="layer")
    assert [(m == 0).sum() for m in found] == [4, 8]


SHAPES = st.sampled_from([(8, 6), (5, 7, 3), (3, 3, 4, 5), (2, 2, 9, 4)])


@given(
    shape=SHAPES,
    fraction=st.floats(0, 1),
    n=st.integers(1, 3),
    scope=st.sampled_from(["layer", "global"]),
    seed=st.integers(0, 9),
)
def test_n_of_m_is_kept_in_so_many_groups(shape, fraction, n, scope, seed):
    scores = np.random.default_rng(seed).integers(0, 5, shape).astype(float)
    mask = masks([scores], fraction * (1 - n / 4), pattern=OfM(n, 4), scope=scope)[0]
    rows = mask.reshape(-1, shape[-1])
    whole = len(rows) // 4
    ones = rows[: whole * 4].reshape(whole, 4, -1).sum(1)
    assert np.isin(ones, [n, 4]).all()
    assert rows[whole * 4 :].all()
    assert abs((ones == n).sum() - fraction * ones.size) <= 0.5 + 1e-3


@given(
    shape=SHAPES,
    sparsity=st.floats(0, 0.99),
    sides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    seed=st.integers(0, 9),
)
def test_blocks_are_whole_and_as_many_as_asked(shape, sparsity, sides, seed):
    scores = np.random.default_rng(seed).integers(0, 5, shape).astype(float)
    [mask] = masks([scores], sparsity, pattern=Block(*sides), scope="layer")
    rows = mask.reshape(-1, shape[-1])
    blocks = [
        rows[i : i + sides[0], j : j + sides[1]]
        for i in range(0, rows.shape[0], sides[0])
        for j in range(0, rows.shape[1], sides[1])
    ]
    assert all(len(np.unique(block)) == 1 for block in blocks)
    largest = sides[0] * sides[1]
    asked = min(round(sparsity * mask.size), mask.size - min(b.size for b in blocks))
    assert abs((mask == 0).sum() - asked) <= largest
    assert mask.any()


def test_the_matrix_of_each_kind_of_kernel():
    """Where the output channels are is a column's number."""
    depthwise = matrix((2, 1, 3, 2), (-2, -1))  # 2 positions; 6 outputs
    np.testing.assert_array_equal(depthwise, np.arange(12).reshape(2, 6))
    transposed = matrix((1, 2, 3, 2), (-2,))  # (height, width, outputs, inputs)
    np.testing.assert_array_equal(transposed[:, 0], [0, 1, 6, 7])
    assert matrix((3, 3, 4, 8)).shape == (36, 8)


def every_kind():
    """Depthwise, separable, grouped, transposed, shared, one- and two-dimensional."""
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 4))
    x = layers.DepthwiseConv2D(2, depth_multiplier=2, name="depthwise")(image)
    x = layers.SeparableConv2D(8, 2, name="separable")(x)
    x = layers.Conv2D(8, 2, groups=2, name="grouped")(x)
    x = layers.Conv2DTranspose(8, 2, name="transposed")(x)
    shared = layers.Conv2D(8, 1, name="shared")
    x = shared(shared(x))
    x = layers.Reshape((36, 8))(x)
    x = layers.Conv1D(4, 4, strides=4, name="line")(x)
    x = layers.Dense(8, name="fc")(layers.Flatten()(x))
    return keras.Model(image, layers.Dense(4, name="logits")(x))


IMAGES = np.random.default_rng(0).normal(size=(8, 8, 8, 4)).astype("float32")
LABELS = np.arange(8) % 4


def pruned(name, sparsity, jit_compile=False, **options):
    model = every_kind()
    model.compile(
        keras.optimizers.SGD(0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=jit_compile,
    )
    options = {"select": lambda kernel: True} | options  # depthwise ones, too
    prune = Prune(ConstantSparsity(sparsity), pattern=name, **options)
    history = model.fit(IMAGES, LABELS, batch_size=4, callbacks=[prune], verbose=0)
    held = [keras.ops.convert_to_numpy(v) for v in prune.variables]
    return {v.path: w for v, w in zip(prune.variables, held, strict=True)}, history


@pytest.mark.usefixtures("eagerly")
def test_every_kind_of_layer_keeps_two_of_four():
    found, history = pruned("2:4", 0.5)
    assert len(found) == 9
    for path, w in found.items():
        if "depthwise" in path:
            rows = w.reshape(4, -1)
        elif "transposed" in path:
            rows = np.swapaxes(w, -1, -2).reshape(-1, 8)
        else:
            rows = w.reshape(-1, w.shape[-1])
        groups = rows.reshape(-1, 4, rows.shape[-1])
        assert ((groups != 0).sum(1) == 2).all(), path
    assert history.history["sparsity"] == [0.5]


@pytest.mark.usefixtures("eagerly")
def test_whole_kernels_of_every_kind_of_layer():
    found, _ = pruned("kernel", 0.5, scope="layer")
    assert not {"fc/kernel", "logits/kernel"} & set(found)
    for path, w in found.items():
        windows = w.reshape(-1, w.shape[-2] * w.shape[-1])
        zero = (windows == 0).all(0)
        assert zero.sum() == zero.size // 2, path
        assert (windows[:, ~zero] != 0).all(), path


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize(
    ("name", "sparsity"),
    [pytest.param("1:4", 0.75, marks=pytest.mark.slow), ("block(2, 2)", 0.5)],
)
def test_a_pattern_where_xla_compiles(name, sparsity):
    found, _ = pruned(name, sparsity, jit_compile=True)
    size = sum(w.size for w in found.values())
    assert sum((w == 0).sum() for w in found.values()) == sparsity * size


def test_the_schedule_is_that_of_the_pattern():
    for name, final in [("2:4", 0.8), ("2:4", 0.4), ("1:3", 0.66)]:
        with pytest.raises(ValueError, match=f"pattern {name} has a sparsity of"):
            Prune(ConstantSparsity(final), pattern=name)
    Prune(PolynomialDecay(0.666667, 0, 4), pattern="1:3")
    with pytest.raises(ValueError, match="sparsity of 0.5, got 0.75"):
        Prune(ConstantSparsity(0.5), pattern="2:4", targets={"fc": 0.75})
    with pytest.raises(ValueError, match="sparsity of 0.5, got 0.6"):
        masks([DENSE], 0.6, pattern=OfM(2, 4))


@pytest.mark.usefixtures("eagerly")
def test_kernels_that_are_too_small():
    with pytest.raises(ValueError, match=r"block\(8, 8\): depthwise/kernel is 4 x 8"):
        pruned("block(8, 8)", 0.5)
    with pytest.raises(ValueError, match="depthwise/kernel is 4 x 8.*no 16 inputs"):
        pruned("8:16", 0.5)


ON_JAX = keras.backend.backend() == "jax"


@pytest.mark.skipif(ON_JAX, reason="Keras saves JAX's masks with the optimizer")
@pytest.mark.parametrize("name", ["2:4", "block(1, 4)"])
@pytest.mark.usefixtures("eagerly")
def test_a_reload_in_mid_schedule_goes_on_with_the_same_units(name, tmp_path):
    schedule = PolynomialDecay(0.5, begin=0, end=3, frequency=1)

    class Keep(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 0:
                self.model.save(tmp_path / "half.keras")

    def fit(model, *callbacks, **options):
        prune = Prune(schedule, pattern=name, exempt=("last",))
        options |= {"batch_size": 4, "epochs": 2, "shuffle": False, "verbose": 0}
        model.fit(IMAGES, LABELS, callbacks=[prune, *callbacks], **options)
        return model

    keras.utils.set_random_seed(0)
    whole = keras.Sequential(
        [
            keras.Input((8, 8, 4)),
            layers.Conv2D(8, 3, strides=2, name="conv"),
            layers.Flatten(),
            layers.Dense(4, name="fc"),
            layers.Dense(4, name="logits"),
        ]
    )
    whole.compile(
        keras.optimizers.SGD(0.01, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    fit(whole, Keep())
    half = keras.saving.load_model(tmp_path / "half.keras")
    assert sum(int((w == 0).sum()) for w in half.get_weights() if w.ndim > 1) > 0
    fit(half, initial_epoch=1)
    for a, b in zip(whole.get_weights(), half.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("averaged", [True, False])
@pytest.mark.usefixtures("eagerly")
def test_a_pattern_with_averages_and_with_half_precision(averaged):
    """The saliency's gradients are taken in float16 as well."""
    image = keras.Input((4, 4, 2))
    policy = "float32" if averaged else "mixed_float16"
    x = layers.Conv2D(8, 2, name="conv", dtype=policy)(image)
    x = layers.Flatten()(x)
    model = keras.Model(image, layers.Dense(4, name="fc", dtype=policy)(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    data = (IMAGES[:, :4, :4, :2], LABELS)
    model.compile(keras.optimizers.SGD(0.01, use_ema=averaged), loss)
    prune = Prune(ConstantSparsity(0.5), pattern="2:4", saliency=Taylor([data]))
    model.fit(*data, batch_size=4, callbacks=[prune], verbose=0)
    for variable in prune.variables:
        rows = keras.ops.convert_to_numpy(variable).reshape(-1, variable.shape[-1])
        assert ((rows.reshape(-1, 4, rows.shape[1]) != 0).sum(1) == 2).all()
