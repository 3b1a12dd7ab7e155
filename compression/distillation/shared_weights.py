"""Weights that two nets share: training the one must not change the other."""

import keras

from compression.graph import all_layers

MOST = 5  # names in a message


def require_apart(
    student: keras.Model, other: keras.Model, role: str = "teacher"
) -> None:
    """Check that training `student` leaves `other` as it is.

    Shared weights are fine where all layers of the student that hold them are frozen;
    then a batch normalisation's statistics stay, too.

    Args:
        student: a net that is trained.
        other: a net that is not, or not by the student's losses.
        role: what the other is, for the message.

    Raises:
        ValueError: they share weights that may change.
    """
    theirs = {id(weight) for weight in other.weights}
    shared = [
        layer.name
        for layer in all_layers(student)
        if layer.trainable and any(id(weight) in theirs for weight in _own(layer))
    ]
    if shared:
        more = f" and {len(shared) - MOST} more" * (len(shared) > MOST)
        raise ValueError(
            f"student {student.name!r} shares the weights of its layers "
            f"{shared[:MOST]}{more} with the {role} {other.name!r}, which training "
            f"would change: give the {role} weights of its own (copy = "
            "compression.copies.copied(net)), or freeze these layers "
            "(layer.trainable = False)"
        )


def _own(layer):
    """The weights of `layer` that no layer inside it holds."""
    inside = {
        id(weight)
        for inner in all_layers(layer)
        if inner is not layer
        for weight in inner.weights
    }
    return [weight for weight in layer.weights if id(weight) not in inside]
