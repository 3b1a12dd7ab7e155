"""Copies of a net, whose variables are their own."""

import keras

from compression.graph import all_layers


def copied(model: keras.Model) -> keras.Model:
    """The same net with the same weights; not compiled."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    derive_state(copy)
    return copy


def fresh(model: keras.Model) -> keras.Model:
    """The same net with new initial weights; what was read from data stays."""
    copy = keras.models.clone_model(model)
    for layer, new in zip(all_layers(model), all_layers(copy), strict=True):
        if hasattr(layer, "finalize_state"):
            new.set_weights(layer.get_weights())
    derive_state(copy)
    return copy


def derive_state(model: keras.Model) -> None:
    """Let layers follow weights that were set: `Normalization` computes by more."""
    for layer in all_layers(model):
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()
