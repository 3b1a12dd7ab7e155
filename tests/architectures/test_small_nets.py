"""ResNet-20 and alexnet_small: counts, sizes, gradients, bad input."""

import keras
import numpy as np
import pytest

import architectures
from architectures.layers import ZeroPaddedShortcut


def trainable(model):
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


def test_resnet20_has_the_counted_weights():
    # conv1 432; stage 1: 6 x 2304; stage 2: 4608 + 5 x 9216; stage 3: 18432 + 5 x
    # 36864; batch norm 2 x (7 x 16 + 6 x 32 + 6 x 64); logits 650.
    by_hand = 432 + 6 * 2304 + 4608 + 5 * 9216 + 18432 + 5 * 36864 + 2 * 688 + 650
    assert by_hand == 269_722
    assert trainable(architectures.build("resnet20")) == by_hand
    assert architectures.card("resnet20").parameters == by_hand


@pytest.mark.parametrize(("side", "sizes"), [(32, (32, 16, 8)), (28, (28, 14, 7))])
def test_resnet20_halves_the_image_at_stages_2_and_3(side, sizes):
    model = architectures.build("resnet20", input_shape=(side, side, 3))
    for stage, size in enumerate(sizes, start=1):
        out = model.get_layer(f"stage{stage}_block3_out").output
        assert out.shape[1:] == (size, size, 16 * 2 ** (stage - 1))


def test_zero_padded_shortcut_by_hand():
    image = np.arange(16, dtype="float32").reshape(1, 4, 4, 1)
    out = keras.ops.convert_to_numpy(ZeroPaddedShortcut(4, stride=2)(image))
    assert out.shape == (1, 2, 2, 4)
    np.testing.assert_array_equal(out[0, ..., 1], [[0, 2], [8, 10]])
    assert not out[..., [0, 2, 3]].any()


def test_zero_padded_shortcut_refuses_to_drop_channels():
    with pytest.raises(ValueError, match="8 go in, 4 should come out"):
        ZeroPaddedShortcut(4)(np.zeros((1, 4, 4, 8), "float32"))


@pytest.mark.parametrize(("side", "pooled"), [(28, 2), (32, 3), (64, 7)])
def test_alexnet_small_pools_as_the_plan_says(side, pooled):
    model = architectures.build(
        "alexnet_small", input_shape=(side, side, 1), width=0.125
    )
    assert model.get_layer("pool5").output.shape[1:] == (pooled, pooled, 32)


def test_alexnet_small_has_the_counted_weights():
    model = architectures.build(
        "alexnet_small", input_shape=(28, 28, 1), width=0.125, batch_norm=False
    )
    convolutions = 25 * 8 + 8 + 25 * 8 * 24 + 24 + 9 * (24 * 48 + 48 * 32 + 32 * 32)
    convolutions += 48 + 32 + 32
    dense = 128 * 128 + 128 + 128 * 128 + 128 + 128 * 10 + 10
    assert model.count_params() == convolutions + dense


@pytest.mark.parametrize("name", architectures.names())
def test_every_weight_gets_a_gradient(name):
    import tensorflow as tf

    model = architectures.build(name, input_shape=(32, 32, 3), classes=3)
    images = np.random.default_rng(0).normal(size=(4, 32, 32, 3)).astype("float32")
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(model(images, training=True)))
    for weight, grad in zip(
        model.trainable_variables,
        tape.gradient(loss, model.trainable_variables),
        strict=True,
    ):
        assert grad is not None, weight.path
        assert np.abs(grad).max() > 0, weight.path


@pytest.mark.parametrize("name", architectures.names())
def test_save_and_reload(name, tmp_path):
    model = architectures.build(name)
    images = np.random.default_rng(0).normal(size=(3, 32, 32, 3)).astype("float32")
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(
        model.predict(images, verbose=0), again.predict(images, verbose=0)
    )


def test_unknown_net_is_named_with_the_valid_ones():
    with pytest.raises(ValueError, match="no net called 'resnet21'.*alexnet_small"):
        architectures.build("resnet21")


def test_images_of_the_wrong_size_are_refused():
    with pytest.raises(ValueError, match="28 to 64 px"):
        architectures.build("alexnet_small", input_shape=(8, 8, 1))
    with pytest.raises(ValueError, match="width must be positive, got 0"):
        architectures.build("alexnet_small", width=0)
    with pytest.raises(ValueError, match="at least 8 px"):
        architectures.build("resnet20", input_shape=(4, 4, 1))
