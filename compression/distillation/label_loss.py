"""The loss of labels: a value for each example, from integer classes and logits."""

import keras
from keras import ops

# Of Keras's losses those that take integer labels, for nets of one logit and of more.
BINARY = {
    "binary_crossentropy": keras.losses.BinaryCrossentropy,
    "binary_focal_crossentropy": keras.losses.BinaryFocalCrossentropy,
}
SPARSE = {"sparse_categorical_crossentropy": keras.losses.SparseCategoricalCrossentropy}
FUNCTIONS = {getattr(keras.losses, name): name for name in (*BINARY, *SPARSE)}


def label_cross_entropy(labels, logits):
    """Cross-entropy, per example, in nats.

    Args:
        labels: (batch,) or (batch, 1) integer classes; 0 or 1 for one logit.
        logits: (batch, classes); (batch, 1) are the logits of class 1 against class 0.

    Returns:
        (batch,) float32.
    """
    logits = ops.cast(logits, "float32")
    if logits.shape[-1] == 1:
        logit = ops.reshape(logits, (-1,))
        label = ops.cast(ops.reshape(labels, (-1,)), "float32")
        return ops.softplus(logit) - label * logit
    labels = ops.cast(ops.reshape(labels, (-1,)), "int32")
    return keras.losses.sparse_categorical_crossentropy(
        labels, logits, from_logits=True
    )


def for_metrics(logits):
    """What Keras's metrics compare with labels: logits; of one logit the sigmoid.

    "accuracy" of one number counts what is above one half.
    """
    return ops.sigmoid(logits) if logits.shape[-1] == 1 else logits


def takes_classes(label_loss: keras.losses.Loss) -> bool:
    """Whether it is one of Keras's own; a stranger's may take other labels."""
    return isinstance(label_loss, (*BINARY.values(), *SPARSE.values()))


def checked_label_loss(given, classes: int) -> keras.losses.Loss:
    """The `label_loss` of a distiller, as a loss of integer labels and logits.

    Args:
        given: a Keras loss; the name or function of one of Keras's cross-entropies,
            which then takes logits; None for the cross-entropy that fits.
        classes: of the net; 1: one logit.

    Raises:
        ValueError: it cannot be used with such labels and logits.
    """
    fitting = BINARY if classes == 1 else SPARSE
    [advice, *_] = (
        f"label_loss=keras.losses.{kind.__name__}(from_logits=True)"
        for kind in fitting.values()
    )
    kinds = tuple(fitting.values())
    if given is None:
        return kinds[0](from_logits=True, name="label_loss")
    name = given
    if callable(given):
        name = next((n for function, n in FUNCTIONS.items() if function is given), None)
    if isinstance(name, str):
        if name not in fitting:
            raise ValueError(
                f"label_loss={name!r} is no loss of integer labels and {classes} "
                f"logits: give {advice}"
            )
        return fitting[name](from_logits=True, name="label_loss")
    if not isinstance(given, keras.losses.Loss):
        raise ValueError(
            f"label_loss must be a keras.losses.Loss object with a `call` that gives a "
            f"value for each example, got {given!r}: give {advice}"
        )
    kind = type(given)
    if kind.call is keras.losses.Loss.call:
        raise ValueError(f"label_loss {kind.__name__} has no `call`: give {advice}")
    if kind.__module__.startswith("keras.") and not isinstance(given, kinds):
        raise ValueError(
            f"label_loss {kind.__name__} does not compare integer labels with "
            f"{classes} logits: give {advice}, with labels that are classes and not "
            "one-hot"
        )
    if given.get_config().get("from_logits") is False:
        raise ValueError(
            f"label_loss {kind.__name__} has from_logits=False, but the student gives "
            f"logits: give label_loss={kind.__name__}(from_logits=True)"
        )
    return given
