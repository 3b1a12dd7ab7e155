"""Taps: by layer, by stage, inside models inside, and in the call that counts."""

import keras
import numpy as np
import pytest
from keras import layers

from compression.distillation.taps import stages, tap, tapped
from tests.compression.small_nets import shaken

IMAGES = np.random.default_rng(0).normal(size=(3, 8, 8, 2)).astype("float32")


def backbone(name="backbone"):
    image = keras.Input((8, 8, 2), name="image")
    relu = layers.ReLU(name="relu")  # shared by both stages
    x = relu(layers.Conv2D(3, 3, padding="same", name="conv1")(image))
    x = layers.MaxPooling2D(name="pool")(x)
    x = relu(layers.Conv2D(4, 3, padding="same", name="conv2")(x))
    return keras.Model(image, x, name=name)


def wrapped():
    """A model in a model, as transfer learning makes it."""
    inner = backbone()
    image = keras.Input((8, 8, 2), name="pixels")
    x = inner(layers.Rescaling(0.5, name="scale")(image))
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    head = layers.Dense(2, name="head")
    return shaken(keras.Model(image, head(x), name="wrapped"))


def run(model, images=IMAGES):
    return keras.tree.map_structure(np.array, model(images))


def test_taps_of_one_model_are_tensors_of_its_own():
    model = backbone()
    assert tap(model, "conv1") is model.get_layer("conv1").output
    assert tap(model, "output") is model.outputs[0]
    pool = model.get_layer("pool")
    assert tapped(model, {"a": ("pool", False)}).output["a"] is pool.output


def test_a_layer_called_several_times_is_tapped_at_its_last_call():
    model = backbone()
    model.get_layer("relu")(keras.Input((5,)))  # somebody else's, later
    assert tap(model, "relu") is model.outputs[0]
    assert tap(model, "relu", before_activation=True) is (
        model.get_layer("conv2").output
    )


@pytest.mark.parametrize("kind", [layers.ELU, layers.LeakyReLU, layers.PReLU])
def test_what_any_activation_layer_is_given_can_be_tapped(kind):
    image = keras.Input((6, 6, 1))
    maps = layers.Conv2D(2, 3, name="conv")(image)
    model = keras.Model(image, kind(name="active")(maps))
    assert tap(model, "active", before_activation=True) is maps


def test_a_stage_ends_at_the_call_that_ends_it():
    model = backbone()
    assert stages(model) == {"stage1": "relu", "stage2": "relu"}
    assert tap(model, "stage1") is model.get_layer("relu").output  # of its first call
    assert tap(model, "stage1", before_activation=True) is (
        model.get_layer("conv1").output
    )
    assert tap(model, "stage2") is model.outputs[0]


@pytest.mark.parametrize("name", ["conv2", "backbone/conv2"])
def test_layers_inside_a_model_inside_can_be_tapped(name):
    model = wrapped()
    inner = model.get_layer("backbone")
    made = keras.Model(model.inputs[0], tap(model, name))
    expected = keras.Model(inner.inputs[0], inner.get_layer("conv2").output)
    np.testing.assert_array_equal(run(made), run(expected, IMAGES / 2))
    assert {id(w) for w in made.weights} <= {id(w) for w in model.weights}


def test_stages_inside_a_model_inside():
    model = wrapped()
    assert stages(model) == {"stage1": "backbone/relu", "stage2": "backbone/relu"}
    made = tapped(
        model,
        {
            "logits": ("output", False),
            "one": ("stage1", False),
            "before": ("stage1", True),
            "embedding": ("embedding", False),
            "whole": ("backbone", False),
        },
    )
    got = run(made)
    inner = model.get_layer("backbone")
    parts = keras.Model(
        inner.inputs[0],
        [inner.get_layer("conv1").output, inner.get_layer("relu").output, inner.output],
    )
    before, one, whole = run(parts, IMAGES / 2)
    np.testing.assert_array_equal(got["before"], before)
    np.testing.assert_array_equal(got["one"], one)
    np.testing.assert_array_equal(got["whole"], whole)
    np.testing.assert_allclose(got["embedding"], whole.mean((1, 2)), rtol=1e-5)
    np.testing.assert_array_equal(got["logits"], run(model))
    # Each layer is there once, and it is the model's own.
    assert {id(w) for w in made.weights} == {id(w) for w in model.weights}
    assert "backbone" not in [layer.name for layer in made.layers]


def test_models_inside_stay_where_nothing_in_them_is_tapped():
    model = wrapped()
    made = tapped(model, {"whole": ("backbone", False), "gap": ("embedding", False)})
    assert model.get_layer("backbone") in made.layers
    np.testing.assert_array_equal(
        run(made)["whole"], run(model.get_layer("backbone"), IMAGES / 2)
    )


def test_the_last_layer_may_be_inside_a_model():
    inner = wrapped()
    image = keras.Input((8, 8, 2), name="outermost")
    model = keras.Model(image, inner(image), name="outer")
    np.testing.assert_array_equal(
        run(keras.Model(image, tap(model, "embedding"))),
        run(keras.Model(inner.inputs[0], inner.get_layer("gap").output)),
    )
    names = "stage1, stage2, embedding, output, outermost, wrapped, wrapped/scale"
    with pytest.raises(ValueError, match=f"'conv9'; choose from {names}"):
        tap(model, "conv9")


def test_what_cannot_be_tapped_is_named():
    image = keras.Input((2,))
    both = layers.Add(name="sum")([layers.Dense(2)(image), layers.Dense(2)(image)])
    with pytest.raises(ValueError, match="'sum', has 2 inputs, none of which"):
        tap(keras.Model(image, both), "embedding")
    with pytest.raises(ValueError, match="comes from 'pool', a MaxPooling2D: to tap"):
        tap(backbone(), "pool", before_activation=True)
