"""Graphs read against ones written down by hand; nets rebuilt, equal bit for bit."""

import inspect
import random
import sys

import keras
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from keras import layers, ops

import architectures
from compression import graph
from compression.graph import Source
from tests.compression.small_nets import shaken

RNG = np.random.default_rng(0)


def batch(model, number=2):
    """Images for a model, in the structure that it takes."""
    return keras.tree.map_structure(
        lambda x: RNG.normal(size=(number, *x.shape[1:])).astype("float32"),
        model.inputs[0] if isinstance(model, keras.Sequential) else model.input,
    )


def arrays(outputs):
    return keras.tree.map_structure(keras.ops.convert_to_numpy, outputs)


def assert_same_outputs(one, other, *, training=False):
    x = batch(one)
    before, after = (arrays(m(x, training=training)) for m in (one, other))
    keras.tree.assert_same_structure(before, after)
    keras.tree.map_structure(np.testing.assert_array_equal, before, after)


def assert_same_weights(one, other):
    assert [w.path for w in one.weights] == [w.path for w in other.weights]
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def assert_same_net(model, made):
    """Names, weights in their order, and all that a config says, apart from values."""
    assert made.name == model.name
    assert [x.name for x in made.inputs] == [x.name for x in model.inputs]
    assert [op.name for op in made.operations] == [op.name for op in model.operations]
    assert_same_weights(model, made)
    assert_same_outputs(model, made)


def names(calls):
    return [call.path for call in calls]


# --- reading -----------------------------------------------------------------------


def test_calls_and_consumers_by_hand():
    image = keras.Input((8, 8, 4), name="image")
    x = layers.Conv2D(4, 3, padding="same", name="conv")(image)
    y = layers.BatchNormalization(name="norm")(x)
    model = keras.Model(image, [layers.Add(name="add")([y, image]), x])
    read = graph.read(model)
    assert names(read.calls) == ["image", "conv", "norm", "add"]
    assert [call.producers for call in read.calls] == [(), (0,), (1,), (2, 0)]
    assert read.outputs == (Source(3), Source(1))
    assert read.consumers == {
        Source(0): ((1, 0), (3, 1)),
        Source(1): ((2, 0),),
        Source(2): ((3, 0),),
        Source(3): (),
    }
    assert read.calls[3].inputs == (y, image)
    assert read.calls[1].outputs == (x,)
    assert read.flattened == ()


def test_branches_come_one_after_the_other_as_they_are_joined():
    image = keras.Input((3,), name="image")
    left = layers.ReLU(name="left2")(layers.ReLU(name="left1")(image))
    right = layers.ReLU(name="right2")(layers.ReLU(name="right1")(image))
    model = keras.Model(image, layers.Add(name="add")([right, left]))
    assert names(graph.read(model).calls) == (
        ["image", "right1", "right2", "left1", "left2", "add"]
    )
    both = keras.Model(image, [left, right])
    assert names(graph.read(both).calls)[1:3] == ["left1", "left2"]


def test_one_tensor_twice_into_one_operation():
    image = keras.Input((3,), name="image")
    read = graph.read(keras.Model(image, ops.tanh(image * image)))
    assert [call.producers for call in read.calls] == [(), (0, 0), (1,)]
    assert read.consumers[Source(0)] == ((1, 0), (1, 1))


def two_stories(shared=True):
    """A model in a model in a model, called twice."""
    deep = keras.Sequential(
        [keras.Input((3,)), layers.Dense(3, name="deep")], name="cellar"
    )
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    x = layers.Add(name="add")([deep(a), b])
    inner = keras.Model([a, b], [x, layers.ReLU(name="relu")(x)], name="inner")
    image = keras.Input((3,), name="image")
    first, second = inner([image, image])
    _, second = inner([second, first])
    return keras.Model(image, layers.Dense(2, name="head")(second), name="outer")


def test_models_inside_are_walked_or_kept():
    model = two_stories()
    read = graph.read(model)
    once = ["inner/cellar/deep", "inner/add", "inner/relu"]
    assert names(read.calls) == ["image", *once, *once, "head"]
    assert [call.producers for call in read.calls] == (
        [(), (0,), (1, 0), (2,), (3,), (4, 2), (5,), (6,)]
    )
    assert [entry.call.path for entry in read.flattened] == (
        ["inner/cellar", "inner", "inner/cellar", "inner"]
    )
    assert read.flattened[1].outputs == (Source(2), Source(3))
    kept = graph.read(model, flatten=False)
    assert names(kept.calls) == ["image", "inner", "inner", "head"]
    assert [call.sources for call in kept.calls] == (
        [(), (Source(0),) * 2, (Source(1, 1), Source(1, 0)), (Source(2, 1),)]
    )
    half = graph.read(model, flatten=lambda inner: inner.name == "inner")
    assert "inner/cellar" in names(half.calls)
    keys = [call.key for call in read.calls]
    assert len(set(keys)) == len(keys)
    assert {call.key for call in kept.calls} - set(keys) == {
        entry.call.key for entry in read.flattened if not entry.call.models
    }


def test_training_is_handed_down_to_flattened_layers():
    inner = keras.Sequential([keras.Input((3,)), layers.Dropout(0.5), layers.ReLU()])
    image = keras.Input((3,))
    frozen = keras.Model(image, inner(image, training=False))
    [_, dropout, relu] = graph.read(frozen).calls
    assert dropout.kwargs["training"] is False
    assert "training" not in relu.kwargs
    always = keras.Model(image, inner(image, training=True))
    x = np.ones((2, 3), "float32")
    for model in (always, graph.rebuild(always, flatten=True)):
        assert (arrays(model(x)) != x).any()
        np.testing.assert_array_equal(model(x, training=False), x)  # as Keras has it


def test_last_call_walks_into_models():
    assert graph.last_call(two_stories()).path == "head"
    image = keras.Input((3,))
    wrapped = keras.Model(image, two_stories()(image), name="wrapped")
    assert graph.last_call(wrapped).path == "outer/head"
    with pytest.raises(ValueError, match="'many' has 2 outputs, not one"):
        graph.last_call(keras.Model(image, [image, image], name="many"))


def test_all_layers_go_to_any_depth_and_shared_ones_come_once():
    found = [layer.name for layer in graph.all_layers(two_stories())]
    assert sorted(set(found)) == sorted(found)
    assert {"outer", "inner", "cellar", "deep", "add", "relu", "head"} <= set(found)
    pair = layers.Bidirectional(layers.LSTM(2, name="lstm"), name="pair")
    model = keras.Sequential([keras.Input((4, 3)), pair])
    assert {"forward_lstm", "lstm_cell"} <= {
        layer.name for layer in graph.all_layers(model)
    }


def test_later_calls_of_a_layer_do_not_matter():
    image = keras.Input((3,), name="image")
    dense = layers.Dense(3, name="dense")
    model = keras.Model(image, dense(dense(image)))
    dense(keras.Input((3,), name="another"))
    assert names(graph.read(model).calls) == ["image", "dense", "dense"]


@keras.saving.register_keras_serializable("limbeck_tests")
class Subclassed(keras.Model):
    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.dense = layers.Dense(units)

    def call(self, x):
        return self.dense(x)


class Doubling(keras.Model):
    """Functional, but computes something else than its graph."""

    def call(self, x):
        return 2 * super().call(x)


@pytest.mark.parametrize("reader", [graph.read, graph.all_layers])
def test_what_is_no_model_is_named(reader):
    for wrong in ("net.keras", None, [1]):
        with pytest.raises(ValueError, match=r"must be a keras\.Model, got"):
            reader(wrong)


def test_what_has_no_graph_is_named_or_one_call():
    message = r"built functional or Sequential model, got {} without a graph"
    for model in (keras.Sequential([layers.Dense(1)], name="s"), Subclassed(name="s")):
        said = message.format(f"{type(model).__name__} 's'")
        for function in (graph.read, graph.rebuild, graph.last_call):
            with pytest.raises(ValueError, match=said):
                function(model)
    image = keras.Input((3,), name="image")
    twice = Doubling(image, layers.Dense(3)(image), name="twice")
    opaque = Subclassed(name="opaque")
    model = keras.Model(image, opaque(twice(image)))
    assert names(graph.read(model).calls) == ["image", "twice", "opaque"]
    assert graph.has_graph(model) and not graph.has_graph(opaque)


def test_calls_that_only_the_model_itself_can_handle_stay_whole():
    image, mask = keras.Input((4, 3)), keras.Input((4,), dtype="bool")
    inner = keras.Sequential([keras.Input((4, 3)), layers.LSTM(2, name="lstm")])
    masked = keras.Model([image, mask], inner(image, mask=mask))
    assert graph.read(masked).calls[-1].operation is inner
    flat = keras.Input((4,))
    column = keras.Sequential([keras.Input((4, 1)), layers.LSTM(2)])
    widened = keras.Model(flat, column(flat))
    assert graph.read(widened).calls[-1].operation is column
    for model in (masked, widened):
        made = graph.rebuild(model, flatten=True)
        x = [RNG.normal(size=(2, *t.shape[1:])).astype("float32") for t in model.inputs]
        x = [x[0], np.array([[1, 1, 0, 0], [1, 0, 0, 0]], bool)][: len(x)]
        x = x if len(x) > 1 else x[0]
        np.testing.assert_array_equal(arrays(made(x)), arrays(model(x)))


def test_a_very_long_chain_is_no_recursion():
    x = image = keras.Input((2,))
    for _ in range(100):
        x = layers.Activation("relu")(x)
    model = keras.Model(image, x)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 50)
    try:
        assert len(graph.read(model).calls) == 101
    finally:
        sys.setrecursionlimit(limit)


# --- rebuilding: nothing changes ---------------------------------------------------

SMALL = {
    "alexnet": {"input_shape": (67, 67, 3), "classes": 3},
    "alexnet_owt": {"input_shape": (63, 63, 3), "classes": 3},
    "alexnet_small": {"width": 0.125, "input_shape": (28, 28, 1)},
    "googlenet": {"input_shape": (79, 79, 3), "auxiliary": True, "classes": 3},
    "googlenet_bn": {"input_shape": (32, 32, 3)},
    "googlenet_cifar": {"input_shape": (8, 8, 3)},
    "mlp": {"input_shape": (5, 5, 1)},
    "zfnet": {"input_shape": (47, 47, 3), "classes": 3},
    "zfnet_small": {"width": 0.125, "input_shape": (28, 28, 1)},
    **{f"resnet{n}": {"input_shape": (8, 8, 3)} for n in (20, 32, 44, 56, 110)},
    **{f"resnet{n}": {"input_shape": (32, 32, 3)} for n in (18, 34, 50, 101, 152)},
    **{
        f"vgg{n}{kind}": {"input_shape": (32, 32, 3), "classes": 3}
        for n in (11, 13, 16, 19)
        for kind in ("", "_bn", "_cifar")
    },
}
QUICK = {
    "mlp", "lenet5", "lenet5_caffe", "alexnet_small", "vgg11_cifar", "resnet20",
    "googlenet_cifar",
}  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=() if n in QUICK else pytest.mark.slow)
        for n in architectures.names()
    ],
)
def test_every_net_of_the_catalogue_is_the_same_again(name, tmp_path):
    model = shaken(architectures.build(name, **SMALL.get(name, {})))
    config = model.get_config()
    copy = graph.rebuild(model)
    assert copy.get_config() == config == model.get_config()
    assert_same_net(model, copy)
    assert not {id(w) for w in model.weights} & {id(w) for w in copy.weights}
    shared = graph.rebuild(model, share=True)
    assert shared.outputs == model.outputs and shared.inputs == model.inputs
    assert [id(w) for w in shared.weights] == [id(w) for w in model.weights]
    if name in QUICK:
        copy.save(tmp_path / "net.keras")
        again = keras.models.load_model(tmp_path / "net.keras")
        assert_same_net(model, again)


SIDE = 4
OPERATIONS = {
    "plus": lambda x, y: x + y,
    "times": lambda x, y: 0.5 * x,
    "flip": lambda x, y: x[:, ::-1],
    "relu": lambda x, y: ops.relu(x),
    "split": lambda x, y: ops.concatenate(ops.split(x, 2, axis=-1)[::-1], axis=-1),
}


@st.composite
def recipes(draw, depth=0):
    """A list of steps: what is done to which of the tensors so far."""
    kinds = [
        "conv", "norm", "dropout", "again", "add", "concatenate", "frozen dropout",
        *OPERATIONS,
    ]  # fmt: skip
    if depth < 2:
        inside = recipes(depth=depth + 1)
        kinds += ["model", "sequential", "called before", "inference model"]
    steps = []
    for _ in range(draw(st.integers(1, 7 - 2 * depth))):
        kind = draw(st.sampled_from(kinds))
        which = draw(st.tuples(st.integers(0, 50), st.integers(0, 50)))
        inner = draw(inside) if "model" in kind else None
        steps.append((kind, which, inner))
    inputs = draw(st.integers(1, 2))
    outputs = draw(st.lists(st.integers(0, 50), min_size=1, max_size=3))
    structure = draw(st.sampled_from(["one", "list", "dict"]))
    return steps, inputs, outputs, structure


class Maker:
    """Makes a model of a recipe; names are counted, so that none comes twice."""

    def __init__(self):
        self.count = 0

    def name(self, kind):
        self.count += 1
        return f"{kind.replace(' ', '_')}{self.count}"

    def model(self, recipe):
        steps, inputs, outputs, structure = recipe
        images = [
            keras.Input((SIDE, SIDE, 2), name=self.name("image")) for _ in range(inputs)
        ]
        pool, shared, called = list(images), [], []
        for kind, (a, b), inner in steps:
            x, y = pool[a % len(pool)], pool[b % len(pool)]
            pool += self.step(kind, x, y, b, inner, shared, called)
        ends = [pool[-1], *(pool[i % len(pool)] for i in outputs)]
        if structure == "one":
            made = ends[0]
        elif structure == "list":
            made = ends
        else:
            made = {f"z{-i}": end for i, end in enumerate(ends)}
        return keras.Model(
            images[0] if inputs == 1 else images, made, name=self.name("net")
        )

    def step(self, kind, x, y, number, inner, shared, called):  # noqa: PLR0913
        if kind in OPERATIONS:
            return [OPERATIONS[kind](x, y)]
        if kind == "again" and shared:
            return [shared[number % len(shared)](x)]
        if kind == "called before" and called:
            return self.call(called[number % len(called)], x, y)
        if kind in ("model", "inference model"):
            called.append(self.model(inner))
            options = {"training": False} if kind == "inference model" else {}
            return self.call(called[-1], x, y, **options)
        if kind == "sequential":
            called.append(self.sequential())
            return [called[-1](x)]
        name = self.name(kind)
        if kind == "add":
            return [layers.Add(name=name)([x, y])]
        if kind == "concatenate":
            both = layers.Concatenate(name=name)([x, y])
            return [layers.Conv2D(2, 1, name=self.name("squeeze"))(both)]
        if kind == "frozen dropout":
            return [layers.Dropout(0.3, name=name)(x, training=False)]
        shared.append(
            {
                "norm": layers.BatchNormalization(name=name),
                "dropout": layers.Dropout(0.5, name=name),
            }.get(kind, layers.Conv2D(2, 3, padding="same", name=name))
        )
        return [shared[-1](x)]

    def sequential(self):
        return keras.Sequential(
            [
                keras.Input((SIDE, SIDE, 2)),
                layers.Conv2D(2, 3, padding="same", name=self.name("conv")),
                layers.BatchNormalization(name=self.name("norm")),
            ],
            name=self.name("sequential"),
        )

    def call(self, model, x, y, **options):
        outputs = model(x if len(model.inputs) == 1 else [x, y], **options)
        return keras.tree.flatten(outputs)


# Not shrunk: a model takes long to make, and what fails is short enough to read.
@settings(max_examples=30, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(recipes())
def test_any_graph_is_the_same_again(recipe):
    model = shaken(Maker().model(recipe))
    weights = {w.path: w for w in model.weights}
    before = {path: np.array(w) for path, w in weights.items()}
    sequential = any(isinstance(x, keras.Sequential) for x in graph.all_layers(model))
    copy = graph.rebuild(model)
    assert_same_net(model, copy)
    if not sequential:  # one inside is functional in the copy
        assert copy.get_config() == model.get_config()
    assert not {id(w) for w in model.weights} & {id(w) for w in copy.weights}

    flat = graph.rebuild(model, flatten=True)
    assert not any(isinstance(layer, keras.Model) for layer in flat.layers)
    # Of an inner model's branches only those remain that the outputs need.
    values = {tuple(path.split("/")[-2:]): value for path, value in before.items()}
    for w in flat.weights:
        np.testing.assert_array_equal(w, values[tuple(w.path.split("/")[-2:])])
    assert_same_outputs(model, flat)
    for shared in (
        graph.rebuild(model, share=True),
        graph.rebuild(model, share=True, flatten=True),
    ):
        assert {id(w) for w in shared.weights} <= {id(w) for w in weights.values()}
        assert_same_outputs(model, shared)

    again = keras.Model.from_config(flat.get_config())
    again.set_weights(flat.get_weights())
    assert_same_outputs(flat, again)
    # In training dropout draws alike, and moving averages move alike.
    assert_same_outputs(model, copy, training=True)
    for w in copy.weights:
        assert (np.array(w) == np.array(weights[w.path])).all()
        if not w.path.endswith(("moving_mean", "moving_variance")):
            assert (np.array(w) == before[w.path]).all()


def test_a_sequential_keeps_its_weights_and_their_names():
    model = shaken(
        keras.Sequential(
            [keras.Input((4, 4, 2)), layers.Conv2D(3, 3), layers.Flatten()], name="s"
        )
    )
    made = graph.rebuild(model)
    assert_same_weights(model, made)
    assert_same_outputs(model, made)
    assert graph.rebuild(model, share=True).outputs == model.outputs


def test_structures_of_inputs_and_outputs():
    left = keras.Input((3,), name="left")
    right = keras.Input((3,), name="right", dtype="int32")
    idle = keras.Input((2,), name="idle")
    x = layers.Dense(3, name="dense")(left) + ops.cast(right, "float32")
    model = keras.Model(
        {"right": right, "left": left, "idle": idle},
        {"b": x, "a": [layers.ReLU(name="relu")(x), left]},
    )
    for flatten in (False, True):
        made = graph.rebuild(model, flatten=flatten)
        assert made.get_config() == model.get_config()
        assert made.input["right"].dtype == "int32"
        assert list(made.output) == ["b", "a"]
        assert_same_outputs(model, made)
        assert_same_outputs(model, graph.rebuild(model, share=True, flatten=flatten))
    one = keras.Model([left], [layers.Dense(2)(left)])
    assert isinstance(graph.rebuild(one).output, list)


def test_masks_and_keyword_tensors():
    words = keras.Input((5,), dtype="int32", name="words")
    x = layers.Embedding(7, 4, mask_zero=True, name="embedding")(words)
    y = layers.MultiHeadAttention(2, 3, name="heads")(x, value=x, use_causal_mask=True)
    states = layers.LSTM(4, return_state=True, name="first")(y)
    z = layers.LSTM(4, name="second")(x, initial_state=states[1:])
    inner = keras.Model(words, z, name="inner")
    outer = keras.Input((5,), dtype="int32", name="sentence")
    for model in (
        inner,
        keras.Model(outer, layers.Dense(2, name="head")(inner(outer))),
    ):
        shaken(model)
        x = np.array([[1, 2, 3, 0, 0], [4, 0, 0, 0, 0]])
        for options in ({}, {"flatten": True}, {"flatten": True, "share": True}):
            made = graph.rebuild(model, **options)
            np.testing.assert_array_equal(arrays(made(x)), arrays(model(x)))


def test_dtypes_are_kept_also_at_the_doors_of_models():
    """Bytes become floats at a model's door, before a sum that they overflow."""
    pixels = keras.Input((3,), name="pixels")
    halved = layers.Dense(2, dtype="mixed_float16", name="half")((pixels + 9) / 99)
    inner = keras.Model(pixels, halved, name="inner")
    inner.dtype_policy = "mixed_float16"
    image = keras.Input((3,), dtype="uint8", name="image")
    model = shaken(keras.Model(image, ops.exp(inner(image)), name="outer"))
    x = np.array([[1, 3, 255], [7, 8, 9]], "uint8")
    for options in ({}, {"flatten": True}, {"flatten": True, "share": True}):
        made = graph.rebuild(model, **options)
        assert made.outputs[0].dtype == "float16"
        assert made.get_layer("half" if options else "inner").dtype_policy.name == (
            "mixed_float16"
        )
        np.testing.assert_array_equal(arrays(made(x)), arrays(model(x)))


def test_what_is_frozen_stays_frozen():
    model = two_stories()
    model.get_layer("inner").trainable = False
    model.get_layer("inner").get_layer("cellar").trainable = True
    model.trainable = False
    model.get_layer("head").trainable = True
    flags = {layer.name: layer.trainable for layer in graph.all_layers(model)}
    made = graph.rebuild(model)
    assert {layer.name: layer.trainable for layer in graph.all_layers(made)} == flags
    assert {layer.name: layer.trainable for layer in graph.all_layers(model)} == flags
    assert set(flags.values()) == {True, False}


def test_layers_with_state_of_their_own_are_copied():
    image = keras.Input((3,), name="image")
    norm = layers.Normalization(name="norm")
    norm.adapt(RNG.normal(5.0, 2.0, size=(50, 3)))
    x = layers.Lambda(
        lambda x: ops.square(x) + RNG.bit_generator.state["state"]["inc"] % 2
    )
    opaque = Subclassed(name="opaque")
    model = shaken(
        keras.Model(image, opaque(x(layers.LSTM(2)(ops.stack([image] * 2, 1)))))
    )
    assert_same_outputs(model, graph.rebuild(model))
    scaled = keras.Model(image, norm(image))
    assert_same_outputs(scaled, graph.rebuild(scaled))
    assert abs(arrays(scaled(np.full((1, 3), 5.0)))).max() < 1


def test_the_random_state_stays():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2), layers.Dropout(0.5)])
    before = random.getstate()
    graph.rebuild(model)
    assert random.getstate() == before


# --- rebuilding: something changes -------------------------------------------------


@keras.saving.register_keras_serializable("limbeck_tests")
class Rounded(layers.Layer):
    """Like fake quantization: a layer with a variable, put in by somebody."""

    def build(self, shape):
        self.scale = self.add_weight(name="scale", initializer="ones")

    def call(self, x):
        rounded = ops.round(x / self.scale) * self.scale
        return x + ops.stop_gradient(rounded - x)


@keras.saving.register_keras_serializable("limbeck_tests")
class DoubleDense(layers.Dense):
    def call(self, x, training=None):
        return 2 * super().call(x)


def small():
    image = keras.Input((3,), name="image")
    dense = layers.Dense(3, name="dense")
    x = layers.ReLU(name="relu")(dense(dense(image)))
    return shaken(keras.Model(image, layers.Dense(2, name="head")(x) + 1.0, name="net"))


def dense_becomes(make):
    return lambda call: make(call) if call.operation.name == "dense" else None


def test_a_replaced_layer_takes_over_the_weights_in_all_its_calls():
    model = small()
    asked = []

    def twice(call):
        asked.append(call.path)
        if call.operation.name == "dense":
            return DoubleDense(3, name="dense")
        return None

    made = graph.rebuild(model, twice)
    assert asked[:-1] == ["image", "dense", "relu", "head"]
    assert asked[-1].startswith("add")
    assert_same_weights(model, made)
    x = batch(model)
    kernel, bias, head, head_bias = model.get_weights()
    y = 2 * (2 * (x @ kernel + bias) @ kernel + bias)
    expected = np.maximum(y, 0) @ head + head_bias + 1
    np.testing.assert_allclose(arrays(made(x)), expected, rtol=1e-5)
    assert len(graph.read(made).calls) == len(graph.read(model).calls)


def test_a_built_layer_keeps_its_own_weights_and_may_have_other_channels():
    model = small()

    def narrower(call):
        if call.path not in ("relu", "head"):
            return LEFT if call.path == "dense" else None
        if call.path == "relu":
            return layers.ReLU(name="relu", max_value=1.0)
        head = layers.Dense(2, name="head")
        head.build((None, 3))
        head.set_weights([np.ones((3, 2)), np.zeros(2)])
        return head

    LEFT = graph.LEFT_OUT
    made = graph.rebuild(model, narrower)
    assert names(graph.read(made).calls)[:-1] == ["image", "relu", "head"]
    x = np.array([[-1.0, 0.5, 3.0]], "float32")
    np.testing.assert_allclose(arrays(made(x)), [[2.5, 2.5]])


def test_other_shapes_than_the_weights_have_are_refused():
    with pytest.raises(
        ValueError, match=r"'kernel' of 'head': it is \(3, 2\), not \(3, 4"
    ):
        graph.rebuild(
            small(),
            lambda c: layers.Dense(4, name="head") if c.path == "head" else None,
        )


def test_layers_are_put_in_after_and_before_tensors():
    model = small()
    made = graph.rebuild(
        model,
        after=lambda call: Rounded(name="rounded") if call.path == "relu" else None,
        before=lambda call, i: (
            layers.Rescaling(0.5, name="half") if call.path == "head" else None
        ),
    )
    assert names(graph.read(made).calls)[:-1] == (
        ["image", "dense", "dense", "relu", "rounded", "half", "head"]
    )
    x = batch(model)
    kernel, bias, head, head_bias = model.get_weights()
    y = np.maximum((x @ kernel + bias) @ kernel + bias, 0)
    expected = 0.5 * np.round(y) @ head + head_bias + 1
    np.testing.assert_allclose(arrays(made(x)), expected, rtol=1e-5)
    # After the input and the output, too; a model inside is asked in its own calls.
    nested = keras.Model(image := keras.Input((3,), name="pixels"), model(image))
    asked = []

    def everywhere(call):
        asked.append(call.path)
        return layers.Activation("linear")

    assert_same_outputs(nested, graph.rebuild(nested, after=everywhere))
    assert asked[-2:] == ["pixels", "net"] and "head" in asked
    flat = graph.rebuild(nested, after=everywhere, flatten=True)
    assert_same_outputs(nested, flat)
    assert asked[-1].startswith("net/add")


def test_another_input_is_another_image_size():
    image = keras.Input((8, 8, 2), name="image")
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(3, 3)(image))
    model = shaken(keras.Model(image, x))
    made = graph.rebuild(
        model,
        lambda call: (
            layers.InputLayer((12, 12, 2), name="image")
            if call.path == "image"
            else None
        ),
    )
    assert made.input_shape == (None, 12, 12, 2)
    assert_same_weights(model, made)


def test_other_outputs():
    model = two_stories()
    read = graph.read(model)
    wanted = {"early": Source(3), "late": [Source(6)], "end": read.outputs[0]}
    made = graph.rebuild(model, share=True, flatten=True, outputs=wanted)
    x = batch(model)
    got = made(x)
    inner = model.get_layer("inner")
    first, second = inner([x, x])
    np.testing.assert_array_equal(got["early"], second)
    np.testing.assert_array_equal(got["late"][0], inner([second, first])[1])
    np.testing.assert_array_equal(got["end"], model(x))


def test_only_what_changes_is_called_again_when_layers_are_shared():
    model = small()
    calls = {op.name: len(op._inbound_nodes) for op in model.operations}
    made = graph.rebuild(
        model,
        share=True,
        after=lambda call: Rounded(name="rounded") if call.path == "relu" else None,
    )
    grown = {
        op.name for op in model.operations if len(op._inbound_nodes) > calls[op.name]
    }
    assert grown == {"head", model.operations[-1].name}
    made.get_layer("dense").bias.assign([5.0, 5.0, 5.0])
    np.testing.assert_array_equal(model.get_layer("dense").bias, [5.0] * 3)
    wrapped = keras.Model(image := keras.Input((3,)), model(image))
    assert graph.rebuild(wrapped, share=True).layers[-1] is model


def test_equal_names_make_way_in_a_copy_and_are_refused_when_shared():
    def part(name):
        image = keras.Input((3,), name="image")
        return keras.Model(image, layers.Dense(3, name="dense")(image), name=name)

    one, other = part("one"), part("other")
    image = keras.Input((3,), name="image")
    x = layers.Dense(3, name="dense")(other(one(one(image))))
    model = shaken(keras.Model(image, x, name="both"))
    flat = graph.rebuild(model, flatten=True)
    assert [layer.name for layer in flat.layers] == (
        ["image", "one_dense", "other_dense", "dense"]
    )
    assert_same_outputs(model, flat)
    with pytest.raises(ValueError, match="'both' would have two layers called 'dense'"):
        graph.rebuild(model, flatten=True, share=True)
    half = graph.rebuild(model, flatten=lambda m: m is one, after=lambda call: None)
    assert [layer.name for layer in half.layers] == (
        ["image", "one_dense", "other", "dense"]
    )


class Forgetful(layers.Layer):
    def __init__(self, units):
        super().__init__(name="forgetful")
        self.units = np.array(units)

    def call(self, x):
        return x


class Other(layers.Layer):
    def build(self, shape):
        self.made = [self.add_weight(shape=()) for _ in range(self.wanted)]

    def call(self, x):
        return x

    wanted = 1


def gelu(x):
    """Not Keras's: its name alone says nothing."""
    return x * ops.sigmoid(1.702 * x)


class NamesOnly(layers.Layer):
    """Takes its function by name."""

    known = {"tripled": lambda x: 3 * x}

    def __init__(self, activation, **options):
        super().__init__(**options)
        self.word, self.activation = activation, self.known[activation]

    def call(self, x):
        return self.activation(x)

    def get_config(self):
        return super().get_config() | {"activation": self.word}


@pytest.mark.filterwarnings("ignore:.*is a Python lambda")
@pytest.mark.filterwarnings("ignore:The object being serialized")
def test_functions_among_the_options_stay_the_very_same():
    """A config has their names: of nobody's function, or of another."""
    x = image = keras.Input((4, 4, 2))
    x = layers.Conv2D(3, 1, activation=gelu, kernel_regularizer=ops.sum)(x)
    x = layers.Activation(lambda x: ops.tanh(2 * x))(x)
    x = NamesOnly("tripled")(x)
    model = shaken(keras.Model(image, layers.LSTM(3, activation=gelu)(x[:, 0])))
    made = graph.rebuild(model)
    assert made.layers[1].activation is gelu
    assert made.layers[1].kernel_regularizer is ops.sum
    assert_same_outputs(model, made)


def test_what_cannot_be_copied_is_named():
    image = keras.Input((3,))
    model = keras.Model(image, Forgetful([1, 2])(image))
    with pytest.raises(ValueError, match=r"'forgetful' \(Forgetful\) cannot be copied"):
        graph.rebuild(model)
    assert graph.rebuild(model, share=True).outputs == model.outputs
    other = Other(name="other")
    other.wanted = 2
    model = keras.Model(image, other(image))
    with pytest.raises(ValueError, match=r"'other' \(Other\).*has other weights"):
        graph.rebuild(model)
    with pytest.raises(ValueError, match="has 2 inputs and 1 outputs: only a layer"):
        graph.rebuild(
            keras.Model(image, layers.Add()([image, image])),
            lambda call: graph.LEFT_OUT if call.sources else None,
        )


def test_a_rebuilt_net_trains_and_leaves_the_original_alone(tmp_path):
    inner = architectures.build("alexnet_small", width=0.125, input_shape=(28, 28, 1))
    image = keras.Input((28, 28, 1), name="image")
    model = shaken(keras.Model(image, Rounded(name="rounded")(inner(image))))
    before = model.get_weights()
    made = graph.rebuild(model, flatten=True)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    made.compile(keras.optimizers.SGD(0.1), loss)
    made.fit(RNG.normal(size=(8, 28, 28, 1)), RNG.integers(0, 10, 8), verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(before, made.get_weights(), strict=True))
    made.save(tmp_path / "net.keras")
    again = keras.models.load_model(tmp_path / "net.keras")
    assert_same_weights(made, again)
    assert_same_outputs(made, again)
