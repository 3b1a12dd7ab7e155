"""A problem for which a net is too large: one of its inputs decides."""

import keras
import numpy as np
from keras import layers

from compression.pruning import plain_net

STEPS = 150


def learnt_on_one_input(method, **options):
    """The plain net of what `method` makes, trained with XLA; its accuracy."""
    keras.utils.set_random_seed(1)
    x = np.random.default_rng(1).normal(size=(256, 8)).astype("float32")
    y = (x[:, 0] > 0).astype(int)
    model = keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(8, activation="relu", name="fc"),
            layers.Dense(2, name="logits"),
        ]
    )
    learning = method(model, **options)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    learning.compile(keras.optimizers.Adam(0.05), loss, jit_compile=True)
    again = np.tile(x, (STEPS, 1)), np.tile(y, STEPS)
    learning.fit(*again, batch_size=256, shuffle=False, verbose=0)
    plain = plain_net(learning)
    return plain, np.mean(np.asarray(plain(x)).argmax(1) == y)
