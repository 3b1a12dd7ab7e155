"""What Keras compiles with XLA wherever there is a GPU: all that trains here.

TensorFlow raises where XLA has no kernel for an operation. Several losses share one
distiller: a compilation takes seconds.
"""

import keras
import numpy as np
import pytest
from keras import layers

from compression import distillation
from compression.distillation import (
    Distiller,
    Hints,
    KnowledgeReview,
    MutualDistiller,
    SoftTargets,
)
from compression.pruning import ConstantSparsity, Prune
from tests.compression.distillation.losses.test_every_loss import OPTIONS

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(6, 8, 8, 1)).astype("float32")
LABELS = RNG.integers(0, 3, 6)
ORDER = sorted(OPTIONS, key=lambda kind: kind.__name__)
GROUPS = [ORDER[i::2] for i in range(2)]


def net(name, names, *, width=4, size=8, seed=0):
    """Its activations have these two names."""
    keras.utils.set_random_seed(seed)
    x = image = keras.Input((size, size, 1), name="image")
    for at, activation in enumerate(names):
        x = layers.Conv2D(width * (at + 1), 3, padding="same", name=f"conv{at}")(x)
        x = layers.ReLU(name=activation)(x)
    x = layers.AveragePooling2D(2, name="pool")(x)
    x = layers.Flatten(name="fc")(x)
    return keras.Model(image, layers.Dense(3, name="logits")(x), name=name)


def teacher(**options):
    return net("teacher", "ab", width=6, seed=1, **options)


def trained_once(model, inputs=IMAGES, **options):
    """The logs of one step that XLA compiles."""
    model.compile(keras.optimizers.SGD(0.01), metrics=["accuracy"], jit_compile=True)
    history = model.fit(inputs, LABELS, batch_size=6, verbose=0, **options).history
    assert model.jit_compile is True  # Keras turns it off where it finds a reason
    assert all(np.isfinite(values).all() for values in history.values()), history
    return history


def made(kind):
    options = dict(OPTIONS[kind])
    if kind is distillation.ContrastiveRepresentation:
        options |= {"teacher": ["fc"]}
    if kind is distillation.OwnDepth:
        options |= {"student": ["c", "d"]}
    return kind(**options)


@pytest.mark.parametrize(
    "kinds", GROUPS, ids=lambda kinds: "-".join(kind.__name__ for kind in kinds)
)
@pytest.mark.slow
def test_every_loss(kinds):
    student = net("student", "cd")
    losses = [made(kind) for kind in kinds]
    model = Distiller(student, teacher=teacher(), losses=losses, label_weight=1.0)
    inputs = {"image": IMAGES, "index": np.arange(6)}
    assert {loss.name for loss in losses} <= trained_once(model, inputs).keys()


def test_a_teacher_of_another_size_and_maps_that_grow_by_halves():
    """The teacher's images and the review's maps are resized; Prune masks weights."""
    student = net("student", "cd")
    losses = [SoftTargets(), Hints("a", "c"), KnowledgeReview(["a", "fc"], ["c", "fc"])]
    model = Distiller(
        student, teacher=teacher(size=12), losses=losses, label_weight=1.0
    )
    prune = Prune(ConstantSparsity(0.5), scope="layer")
    logs = trained_once(model, callbacks=[prune])
    assert logs["sparsity"] == [0.5]
    kernel = student.get_layer("conv1").get_weights()[0]
    assert (kernel == 0).mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.slow
def test_mutual_learning():
    trained_once(MutualDistiller([net("s0", "cd"), net("s1", "cd", seed=2)]))
