"""A rule: whatever is given to a public function, it works or names the argument.

Every argument of every public function and class gets what is none of it.
"""

import inspect

import keras
import numpy as np
import pytest
from keras import layers

from compression import distillation
from compression.distillation import (
    Distiller,
    Hints,
    MutualDistiller,
    Renormalise,
    SoftTargets,
    Views,
)
from tests.compression.distillation.losses.test_every_loss import OPTIONS

IMAGES = np.random.default_rng(0).normal(size=(6, 6, 6, 1)).astype("float32")
LOGITS = np.random.default_rng(1).normal(size=(6, 3)).astype("float32")
LABELS = np.arange(6) % 3
# Not arguments of ours: Keras checks names, and what only `from_config` passes.
NOT_OURS = {"name", "teacher_features"}


def net(name="net", width=4):
    image = keras.Input((6, 6, 1))
    x = layers.Conv2D(width, 3, activation="relu", name="conv")(image)
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    return keras.Model(image, layers.Dense(3, name="logits")(x), name=name)


def two_inputs():
    a, b = keras.Input((6, 6, 1)), keras.Input((6, 6, 1))
    x = layers.GlobalAveragePooling2D()(layers.Add()([a, b]))
    return keras.Model([a, b], layers.Dense(3)(x), name="two_inputs")


def two_outputs():
    image = keras.Input((6, 6, 1))
    x = layers.GlobalAveragePooling2D()(image)
    outputs = {"logits": layers.Dense(3)(x), "aux": layers.Dense(3)(x)}
    return keras.Model(image, outputs, name="two_outputs")


class Subclassed(keras.Model):
    def call(self, x):
        return x


WRONG = {
    "text": "x",
    "none": None,
    "three": 3,
    "minus one": -1,
    "nan": float("nan"),
    "true": True,
    "texts": ["a", "b"],
    "numbers": [1, 2],
    "empty": [],
    "dict": {"a": 1},
    "array": IMAGES,
    "two inputs": two_inputs(),
    "two outputs": two_outputs(),
    "subclassed": Subclassed(name="subclassed"),
    "class": SoftTargets,
}


def views(**options):
    given = {"batches": lambda view, first: [IMAGES[first:]], "images": 6, "key": "k"}
    return Views(**given | options)


def cached(tmp_path, **options):
    given = {"teacher": net(), "views": views(), "root": tmp_path, "log": lambda _: 0}
    with distillation.cached_outputs(**given | options) as outputs:
        return outputs


# Callable -> what it takes, all right.
RIGHT = {
    Distiller: lambda: {
        "student": net("s"),
        "teacher": net("t", 5),
        "losses": [SoftTargets(), Hints("conv", "conv")],
        "label_weight": 0.1,
        "label_loss": "sparse_categorical_crossentropy",
        "teacher_input": Renormalise((0.5, 0.5), (0.4, 0.2)),
    },
    MutualDistiller: lambda: {
        "students": [net("a"), net("b")],
        "weight": 1.0,
        "temperature": 1.0,
    },
    Renormalise: lambda: {"have": (0.5, 0.5), "want": (0.4, 0.2)},
    distillation.ensemble: lambda: {
        "teachers": [net("a"), net("b")],
        "weights": [1, 2],
        "average": "logits",
    },
    distillation.generations: lambda: {
        "teacher": net(),
        "students": [net()],
        "train": lambda student, teacher: None,
    },
    distillation.check_parts: lambda: {"losses": [SoftTargets()], "label_weight": 1},
    distillation.best_bias_shift: lambda: {
        "logits": LOGITS,
        "labels": LABELS,
        "classes": [0],
    },
    distillation.shift_bias: lambda: {"model": net(), "classes": [0], "shift": 0.5},
    distillation.soft_target_loss: lambda: {
        "teacher_logits": LOGITS,
        "student_logits": LOGITS,
        "temperature": 2.0,
    },
    distillation.stages: lambda: {"model": net()},
    distillation.tap: lambda: {"model": net(), "name": "conv"},
    distillation.teacher_features: lambda: {
        "loss": Hints("conv", "conv"),
        "teacher": net("t"),
        "student": net("s"),
    },
    distillation.teacher_outputs: lambda: {
        "teacher": net("t"),
        "student": net("s"),
        "features": (),
        "teacher_input": Renormalise((0.5, 0.5), (0.4, 0.2)),
    },
    distillation.teacher_logits: lambda: {"teacher": net(), "views": [[IMAGES]]},
} | {kind: lambda kind=kind: dict(OPTIONS[kind]) for kind in OPTIONS}
# What an error may speak of instead.
ALSO = {
    "teachers": ["teacher"],
    "teacher": ["layer"],
    "student": ["layer"],
    "model": ["layer or stage"],
    "name": ["layer or stage"],
    "before_activation": ["before an activation"],  # where there is none
    "have": ["images of"],
    "want": ["images of"],
    "images": ["image"],
    "count": ["views"],
}
CALLED = {"train", "batches"}  # a class may be, too, and complains of its own


def arguments(function):
    named = inspect.signature(function).parameters
    return [name for name in named if name not in NOT_OURS]


CASES = [(function, name) for function in RIGHT for name in arguments(function)]


def refused(call, *names):
    """Whether it was, by an error of ours that has one of the names in it."""
    try:
        result = call()
        if inspect.isgenerator(result):
            list(result)
    except ValueError as error:
        message = str(error)
        assert any(name in message for name in names), message
        return True
    return False


def test_every_public_function_is_tried():
    public = {getattr(distillation, name) for name in distillation.__all__}
    elsewhere = {
        distillation.Batch,  # holds what a distiller gives
        distillation.CachedOutputs,  # comes out of cached_outputs
        distillation.DistillationLoss,
        distillation.FeatureLoss,
        distillation.LogitLoss,
        distillation.Views,  # below
        distillation.cached_outputs,  # below
    }
    assert public - elsewhere == RIGHT.keys()


@pytest.mark.parametrize(
    ("function", "name"), CASES, ids=[f"{f.__name__}-{n}" for f, n in CASES]
)
def test_wrong_arguments_are_named(function, name):
    right = RIGHT[function]()
    times = sum(
        refused(lambda x=x: function(**right | {name: x}), name, *ALSO.get(name, []))
        for key, x in WRONG.items()
        if not (name in CALLED and key == "class")
    )
    assert times >= len(WRONG) // 2  # a check that refuses nothing is none


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize(
    "name", ["teacher", "views", "root", "budget", "float32", "log"]
)
def test_wrong_arguments_of_the_cache(name, wrong, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # "x" is a folder
    refused(lambda: cached(tmp_path, **{name: WRONG[wrong]}), name)


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("name", ["batches", "images", "count"])
def test_wrong_views(name, wrong, tmp_path):
    given = views(**{name: WRONG[wrong]})
    if name in CALLED and wrong == "class":
        return
    refused(lambda: cached(tmp_path, views=given), name, *ALSO.get(name, []))


@pytest.mark.parametrize("role", ["student", "teacher"])
def test_a_net_with_heads_is_refused_with_the_way_out(role):
    """As a GoogLeNet with auxiliary heads is."""
    nets = {"student": net("s"), "teacher": net("t")} | {role: two_outputs()}
    with pytest.raises(
        ValueError,
        match=rf"{role} 'two_outputs' must have one output.*\['aux', 'logits'\]: give "
        r"keras.Model\(model.input, model.output\['logits'\]\).*without_heads",
    ):
        Distiller(**nets, losses=[SoftTargets()], label_weight=1.0)
    model = nets[role]
    nets[role] = keras.Model(model.input, model.output["logits"], name="bare")
    Distiller(**nets, losses=[SoftTargets()], label_weight=1.0)


def test_one_loss_is_no_list():
    with pytest.raises(ValueError, match="got one SoftTargets: give losses="):
        Distiller(net(), teacher=net(), losses=SoftTargets(), label_weight=1.0)


def fit(*losses, labels=LABELS, images=IMAGES):
    made = Distiller(net("s"), teacher=net("t"), losses=losses, label_weight=1.0)
    made.compile("sgd", run_eagerly=True)
    made.fit(images, labels, batch_size=6, verbose=0)


MAPS = np.ones((6, 2, 2, 4), "float32")
# Losses that need labels, or take them, and what they compare.
WITH_LABELS = {
    distillation.DecoupledSoftTargets: ({}, [LOGITS], [LOGITS]),
    distillation.OwnDepth: ({"student": "conv"}, [], [MAPS, LOGITS, LOGITS]),
    distillation.ContrastiveRepresentation: (
        {"images": 6, "negatives": 4},
        [LOGITS],
        [LOGITS],
    ),
}
NO_CLASSES = {"one-hot": np.eye(3)[LABELS], "float": LABELS + 0.5}


@pytest.mark.parametrize("labels", NO_CLASSES)
@pytest.mark.parametrize("kind", WITH_LABELS)
def test_labels_that_are_no_classes(kind, labels):
    options, teacher, student = WITH_LABELS[kind]
    loss = kind(**options)
    loss.build([f.shape for f in teacher], [f.shape for f in student])
    batch = distillation.Batch(labels=NO_CLASSES[labels])
    teacher, student = (
        list(map(keras.ops.convert_to_tensor, side)) for side in (teacher, student)
    )
    with pytest.raises(ValueError, match=f"{loss.name} needs labels that are integer"):
        loss.per_example(teacher, student, batch)


@pytest.mark.parametrize("labels", NO_CLASSES)
def test_labels_that_are_no_classes_for_the_label_loss(labels):
    with pytest.raises(ValueError, match="label_loss needs labels that are integer"):
        fit(SoftTargets(), labels=NO_CLASSES[labels])


def test_the_way_out_of_labels_and_batches_is_named():
    with pytest.raises(ValueError, match=r"shape \(6, 3\).*labels.argmax\(-1\)"):
        fit(SoftTargets(), labels=np.eye(3, dtype="int32")[LABELS])
    with pytest.raises(ValueError, match=r"dtype float32: give labels.astype\('int32'"):
        fit(SoftTargets(), labels=LABELS.astype("float32"))
    with pytest.raises(ValueError, match=r"got the keys \['picture'\]: put the images"):
        fit(SoftTargets(), images={"picture": IMAGES})


def test_a_mutual_distiller_names_bad_labels_and_batches():
    made = MutualDistiller([net("a"), net("b")])
    made.compile("sgd", run_eagerly=True)
    for labels in (np.eye(3)[LABELS], LABELS + 0.5):
        with pytest.raises(ValueError, match="labels that are integer classes"):
            made.fit(IMAGES, labels, verbose=0)
    with pytest.raises(ValueError, match="needs the labels of the batch, got none"):
        made.fit(IMAGES, verbose=0)
    with pytest.raises(ValueError, match='"image"'):
        made.fit({"picture": IMAGES}, LABELS, verbose=0)


@pytest.mark.parametrize("wrong", ["x", None, 3, two_inputs(), Subclassed()])
@pytest.mark.parametrize("many", [MutualDistiller, distillation.ensemble])
def test_one_wrong_net_among_several_is_named(many, wrong):
    with pytest.raises(ValueError, match=r"students\[0\]|teachers\[0\]"):
        many([wrong, net()])
