"""What a cut keeps besides the outputs, and what it refuses."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import layers

from compression import pruning
from compression.pruning.channels.plan import FORMAT
from tests.compression.small_nets import on_images, shaken


def net():
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(6, 3, padding="same", name="a", kernel_regularizer="l2")(image)
    x = layers.BatchNormalization(name="norm")(x)
    y = layers.Conv2D(6, 3, padding="same", name="b", dtype="mixed_bfloat16")(x)
    x = layers.GlobalAveragePooling2D()(layers.Add(name="sum")([x, y]))
    return shaken(keras.Model(image, layers.Dense(2, name="logits")(x), name="net"))


PLAN = pruning.ChannelPlan("net", {"a": 6, "b": 6}, {"a": (0, 2, 5), "b": (0, 2, 5)})


@pytest.mark.backends
def test_weights_are_cut_by_hand():
    model = net()
    smaller = pruning.remove_channels(model, PLAN)
    kept = [0, 2, 5]
    a, b, norm = (model.get_layer(name) for name in ("a", "b", "norm"))
    for name, wanted in (
        ("a", [np.array(a.kernel)[..., kept], np.array(a.bias)[kept]]),
        ("b", [np.array(b.kernel)[:, :, kept][..., kept], np.array(b.bias)[kept]]),
        ("norm", [np.array(w)[kept] for w in norm.weights]),
        ("logits", [np.array(model.get_layer("logits").kernel)[kept]]),
    ):
        for got, value in zip(smaller.get_layer(name).weights, wanted, strict=False):
            np.testing.assert_array_equal(got, value)


def test_options_policies_and_flags_are_kept():
    model = net()
    model.get_layer("norm").trainable = False
    smaller = pruning.remove_channels(model, PLAN)
    assert smaller.name == "net" and not smaller.compiled
    for layer in model.layers:
        twin = smaller.get_layer(layer.name)
        config = layer.get_config() | {"filters": 3} if "filters" in dir(layer) else {}
        assert twin.trainable == layer.trainable
        assert twin.dtype_policy == layer.dtype_policy
        if config:
            assert twin.get_config() == config
    shared = {id(w) for w in model.weights} & {id(w) for w in smaller.weights}
    assert not shared


def test_initial_values_given_one_by_one(tmp_path):
    """They have the shape of the whole layer: nothing is begun with them again."""
    constant = keras.initializers.Constant
    image = keras.Input((6, 6, 2))
    x = layers.Conv2D(
        4,
        3,
        kernel_initializer=constant(np.arange(72.0).reshape(3, 3, 2, 4)),
        bias_initializer=constant([1.0, 2.0, 3.0, 4.0]),
        name="a",
    )(image)
    x = layers.BatchNormalization(gamma_initializer=constant(0.5), name="norm")(x)
    model = keras.Model(image, layers.Conv2D(2, 4, name="logits")(x))
    plan = pruning.ChannelPlan("net", {"a": 4}, {"a": (1, 3)})
    smaller = pruning.remove_channels(model, plan)
    np.testing.assert_array_equal(smaller.get_layer("a").bias, [2.0, 4.0])
    assert smaller.get_layer("norm").gamma_initializer.value == 0.5
    smaller.save(tmp_path / "net.keras")
    again = keras.saving.load_model(tmp_path / "net.keras")
    np.testing.assert_array_equal(
        again.get_layer("a").kernel, model.get_layer("a").kernel[..., 1::2]
    )


def test_a_smaller_net_trains_is_saved_and_is_made_again_from_its_plan(tmp_path):
    smaller = pruning.remove_channels(net(), PLAN)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    smaller.compile("sgd", loss, jit_compile=True)
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(8, 8, 8, 3)), generator.integers(0, 2, 8)
    smaller.train_on_batch(x, y)
    smaller.save(tmp_path / "smaller.keras")
    again = keras.models.load_model(tmp_path / "smaller.keras")
    smaller.save_weights(tmp_path / "smaller.weights.h5")
    PLAN.save(tmp_path / "plan.json")
    planned = pruning.remove_channels(net(), pruning.load_plan(tmp_path / "plan.json"))
    planned.load_weights(tmp_path / "smaller.weights.h5")
    for other in (again, planned):
        np.testing.assert_array_equal(other(x), smaller(x))


def test_a_plan_that_keeps_everything_is_a_copy():
    model = net()
    whole = replace(PLAN, kept={"a": range(6), "b": range(6)})
    copy = pruning.remove_channels(model, whole)
    for old, new in zip(model.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        ({"a": (0, 1), "b": (0, 2)}, "keeps channel 1 of 'a' and removes channel 1 of "
         r"'b', which are tied by sum \(Add\)"),
        ({"a": (0, 1)}, "leaves out 'b', which is tied to it by two calls|leaves out "
         r"'b', which is tied to it by sum \(Add\)"),
        ({"a": (), "b": ()}, "keeps no channel of 'a'"),
        ({"a": (0, 6), "b": (0, 6)}, "from 0 to 5, rising"),
        ({"a": (1, 0), "b": (0, 1)}, "from 0 to 5, rising"),
        ({"c": (0,)}, "for another net .'net'.: 'net' has no layer 'c'"),
        ({"norm": (0,)}, "has no layer 'norm' that makes channels"),
        ({"logits": (0,)}, "channel 1 of 'logits', which has to stay: output logits"),
    ],
)  # fmt: skip
def test_plans_that_cannot_be_carried_out(kept, message):
    channels = {"logits": 2} | dict.fromkeys("abc", 6) | {"norm": 6}
    with pytest.raises(ValueError, match=message):
        pruning.remove_channels(net(), pruning.ChannelPlan("net", channels, kept))


def test_a_plan_for_wider_layers_is_for_another_net():
    with pytest.raises(ValueError, match="'a' of 'net' makes 6 channels, not 7"):
        pruning.remove_channels(net(), replace(PLAN, channels={"a": 7, "b": 6}))


def test_files_that_are_no_plans(tmp_path):
    with pytest.raises(FileNotFoundError):
        pruning.load_plan(tmp_path / "none.json")
    unfinished = {"format": FORMAT, "net": "n", "layers": {"a": 3}}
    for text in ("", "[1]", "{}", '{"format": "other"}', json.dumps(unfinished)):
        (tmp_path / "plan.json").write_text(text)
        with pytest.raises(ValueError, match="plan.json is not a channel plan"):
            pruning.load_plan(tmp_path / "plan.json")


def test_a_saved_plan_is_a_line_for_each_layer(tmp_path):
    PLAN.save(tmp_path / "plan.json")
    lines = (tmp_path / "plan.json").read_text().splitlines()
    assert '    "a": {"channels": 6, "kept": [0, 2, 5]},' in lines
    assert pruning.load_plan(tmp_path / "plan.json") == PLAN


def test_a_sequential_becomes_a_functional_net():
    model = on_images(layers.Conv2D(4, 3, name="a"), layers.Flatten(), layers.Dense(2))
    plan = pruning.ChannelPlan("s", {"a": 4}, {"a": (1,)})
    smaller = pruning.remove_channels(shaken(model), plan)
    assert smaller.get_layer("a").filters == 1
    assert smaller.count_params() == 9 * 4 + 1 + 36 * 2 + 2


@pytest.mark.parametrize("kind", [layers.Dropout, layers.AlphaDropout])
def test_a_noise_shape_that_counts_channels_is_cut(kind):
    image = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, name="a")(image)
    x = kind(0.5, noise_shape=(None, 1, 1, 4), name="drop")(x)
    model = keras.Model(image, layers.Conv2D(2, 4, name="logits")(x))
    plan = pruning.ChannelPlan("net", {"a": 4}, {"a": (1, 3)})
    smaller = pruning.remove_channels(model, plan)
    assert tuple(smaller.get_layer("drop").noise_shape) == (None, 1, 1, 2)
    smaller(np.ones((1, 6, 6, 2)), training=True)
