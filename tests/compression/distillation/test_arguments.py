"""What is given by mistake: an error that names the argument and the way out."""

import keras
import numpy as np
import pytest
from keras import layers

from compression.distillation import (
    ContrastiveRepresentation,
    DecoupledSoftTargets,
    Distiller,
    MutualDistiller,
    OwnDepth,
    Renormalise,
    SoftTargets,
    best_bias_shift,
    cached_outputs,
    ensemble,
    generations,
    shift_bias,
    stages,
    tap,
    teacher_logits,
)

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(8, 6, 6, 1)).astype("float32")
LABELS = RNG.integers(0, 3, 8)


def net(name="net", **options):
    image = keras.Input((6, 6, 1))
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(image)
    x = layers.Flatten()(x)
    return keras.Model(image, layers.Dense(3, name="logits")(x), name=name)


def two_inputs():
    a, b = keras.Input((6, 6, 1)), keras.Input((6, 6, 1))
    x = layers.Flatten()(layers.Add()([a, b]))
    return keras.Model([a, b], layers.Dense(3)(x), name="two_inputs")


def two_outputs():
    image = keras.Input((6, 6, 1))
    x = layers.Flatten()(image)
    outputs = {"logits": layers.Dense(3)(x), "aux": layers.Dense(3)(x)}
    return keras.Model(image, outputs, name="two_outputs")


class Subclassed(keras.Model):
    def call(self, x):
        return x


WRONG = {
    "text": lambda: "x",
    "none": lambda: None,
    "number": lambda: 3,
    "list": lambda: ["a", "b"],
    "two inputs": two_inputs,
    "two outputs": two_outputs,
    "no graph": Subclassed,
}
# argument -> call with something wrong for it
ARGUMENTS = {
    "student": lambda x: Distiller(
        x, teacher=net(), losses=[SoftTargets()], label_weight=1
    ),
    "teacher": lambda x: Distiller(
        net(), teacher=x, losses=[SoftTargets()], label_weight=1
    ),
    "students": lambda x: MutualDistiller([x, net()]),
    "teachers": lambda x: ensemble([x, net()]),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("argument", ARGUMENTS)
def test_what_is_no_net(argument, wrong):
    if (argument, wrong) == ("teacher", "none"):
        return  # the batches may carry its outputs
    with pytest.raises(ValueError, match=argument.removesuffix("s")):
        ARGUMENTS[argument](WRONG[wrong]())


@pytest.mark.parametrize("wrong", ["text", "none", "number"])
@pytest.mark.parametrize(
    ("argument", "call"),
    [
        ("losses", lambda x: Distiller(net(), losses=x or 3, label_weight=1.0)),
        ("students", MutualDistiller),
        ("teachers", ensemble),
        ("students", lambda x: list(generations(net(), x, print))),
        ("teacher", lambda x: generations(x, [net()], print)),
        ("teacher", lambda x: teacher_logits(x, [[IMAGES]])),
        ("views", lambda x: teacher_logits(net(), x)),
        ("views", lambda x: cached_outputs(net(), x, root="there")),
        ("model", lambda x: tap(x, "conv")),
        ("model", stages),
        ("model", lambda x: shift_bias(x, [0], 0.1)),
        ("logits", lambda x: best_bias_shift(x, LABELS, [0])),
        ("have", lambda x: Renormalise(x, (0.5, 0.5))),
    ],
)  # fmt: skip
def test_what_is_none_of_it(argument, call, wrong):
    with pytest.raises(ValueError, match=argument):
        call(WRONG[wrong]())


def test_a_loss_that_is_no_list():
    with pytest.raises(ValueError, match=r"losses must be a list, got one SoftTargets"):
        Distiller(net(), teacher=net(), losses=SoftTargets(), label_weight=1.0)


@pytest.mark.parametrize("kind", [SoftTargets, DecoupledSoftTargets])
@pytest.mark.parametrize("temperature", ["4", None, float("nan"), True])
def test_temperatures_that_are_no_numbers(kind, temperature):
    with pytest.raises(ValueError, match="temperature"):
        kind(temperature)


def made(*losses, **options):
    model = Distiller(net("s"), teacher=net("t"), losses=losses, label_weight=1.0)
    model.compile("sgd", run_eagerly=True)
    return model


@pytest.mark.parametrize(
    "loss",
    [
        SoftTargets(),
        DecoupledSoftTargets(),
        OwnDepth("conv"),
        ContrastiveRepresentation("conv", "conv", images=8, negatives=4),
    ],
    ids=lambda loss: loss.name,
)
def test_one_hot_labels_are_refused_with_the_way_out(loss):
    images = {"image": IMAGES, "index": np.arange(8)}
    with pytest.raises(ValueError, match=r"integer classes.*argmax\(-1\)"):
        made(loss).fit(images, np.eye(3)[LABELS], batch_size=8, verbose=0)


def test_a_batch_without_images_is_refused():
    with pytest.raises(ValueError, match="image"):
        made(SoftTargets()).fit({"picture": IMAGES}, LABELS, verbose=0)


def test_there_is_no_label_loss_without_labels():
    model = Distiller(
        net("s"), teacher=net("t"), losses=[SoftTargets()], label_weight=0.0
    )
    model.compile("sgd")
    history = model.fit(IMAGES, verbose=0).history
    assert history.keys() == {"loss", "soft_targets"}
