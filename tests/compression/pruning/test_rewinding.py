"""Lottery tickets: early weights, masks of the trained ones."""

import keras
import numpy as np
import pytest
from keras import layers

from compression.pruning import find_ticket, magnitude_masks

pytestmark = pytest.mark.usefixtures("eagerly")
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(8, 4)).astype("float32"), RNG.normal(size=(8, 2))


class Record:
    """Trains for four steps; keeps the weights before each step and at the end."""

    def __init__(self):
        keras.utils.set_random_seed(0)
        self.model = keras.Sequential(
            [keras.Input((4,)), layers.Dense(5, name="fc"), layers.Dense(2)]
        )
        self.trainings = []

    def __call__(self, callbacks):
        seen = []

        class Watch(keras.callbacks.Callback):
            def on_train_batch_begin(self, batch, logs=None):
                seen.append(self.model.get_weights())

        self.model.compile(keras.optimizers.SGD(0.1), "mse")
        callbacks = [*callbacks, Watch()]
        options = {"batch_size": 2, "shuffle": False, "verbose": 0}
        self.model.fit(X, Y, callbacks=callbacks, **options)
        self.trainings.append([*seen, self.model.get_weights()])


def masked(weights, masks):
    found = [w.copy() for w in weights]
    for i, mask in zip((0, 2), masks, strict=True):  # kernels, between biases
        found[i] *= mask
    return found


@pytest.mark.parametrize("rewind_to", [0, 2])
def test_each_round_trains_the_early_weights_under_a_new_mask(rewind_to):
    train = Record()
    options = {"final": 0.75, "rounds": 2, "rewind_to": rewind_to}
    assert find_ticket(train.model, train, **options) == [0.5, 0.75]
    dense, first, second = train.trainings
    early = dense[rewind_to]
    for sparsity, before, after in [(0.5, dense, first), (0.75, first, second)]:
        trained = [before[-1][i] for i in (0, 2)]
        expected = masked(early, magnitude_masks(trained, sparsity))
        for a, b in zip(after[0], expected, strict=True):
            np.testing.assert_array_equal(a, b)
        zeros = sum(int((after[-1][i] == 0).sum()) for i in (0, 2))
        assert zeros == round(sparsity * 30)
    assert all(v.constraint is None for v in train.model.trainable_variables)


def test_steps_that_run_together_are_counted_one_by_one():
    model = Record().model
    seen = []

    def train(callbacks):
        class Watch(keras.callbacks.Callback):
            def on_train_batch_begin(self, batch, logs=None):
                seen.append((batch, self.model.get_weights()))

        model.compile(keras.optimizers.SGD(0.1), "mse", steps_per_execution=2)
        options = {"batch_size": 2, "shuffle": False, "verbose": 0}
        model.fit(X, Y, callbacks=[*callbacks, Watch()], **options)

    find_ticket(model, train, final=0.5, rounds=1, rewind_to=2)
    (_, _), (batch, early), (_, start), _ = seen
    assert batch == 2
    np.testing.assert_array_equal(start[1], early[1])  # a bias: no mask on it
    with pytest.raises(ValueError, match="of 4 steps does not come to step 4"):
        find_ticket(model, train, final=0.5, rounds=1, rewind_to=4)


def test_a_ticket_in_a_pattern():
    train = Record()
    find_ticket(
        train.model, train, final=0.5, rounds=2, pattern="2:4", exempt=("last",)
    )
    kernel = train.model.layers[0].kernel.numpy()
    assert ((kernel != 0).sum(0) == 2).all()


def test_bad_settings():
    train = Record()
    for options, message in [
        ({"final": 1.0, "rounds": 2}, r"final must be in \(0, 1\), got 1.0"),
        ({"final": 0.5, "rounds": 0}, "rounds must be at least 1, got 0"),
        ({"final": 0.5, "rounds": 1, "rewind_to": -1}, "rewind_to must not be neg"),
        ({"final": 0.5, "rounds": 1, "exempt": ("*",)}, "no kernel to prune"),
        ({"final": 0.5, "rounds": 1, "pattern": "1:4"}, "sparsity of 0.75, got 0.5"),
    ]:
        with pytest.raises(ValueError, match=message):
            find_ticket(train.model, train, **options)
    assert not train.trainings
    with pytest.raises(ValueError, match="4 steps does not come to step 4"):
        find_ticket(train.model, train, final=0.5, rounds=1, rewind_to=4)
