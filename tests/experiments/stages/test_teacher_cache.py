"""A teacher's outputs for a run's images: its own, computed once for all runs."""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from compression.distillation import Distiller, SoftTargets
from compression.distillation.teacher_cache import chunks
from experiments.data import load
from experiments.data.augment import Augment
from experiments.data.pipeline import evaluation_batches, training_batches
from experiments.stages import teacher_cache as room

WHOLE = load("digits")
SIZE = 300
DATA = dataclasses.replace(
    WHOLE,
    train=dataclasses.replace(
        WHOLE.train,
        size=SIZE,
        images=WHOLE.train.images[:SIZE],
        labels=WHOLE.train.labels[:SIZE],
    ),
)
pytestmark = pytest.mark.usefixtures("eagerly")
EVERYTHING = Augment(pad=2, random_resized_crop=True, colour_jitter=0.3)


def net(name, seed):
    keras.utils.set_random_seed(seed)
    image = keras.Input(DATA.image_shape)
    x = layers.Conv2D(4, 3, activation="relu")(image)
    x = layers.BatchNormalization()(x)
    return keras.Model(image, layers.Dense(10)(layers.Flatten()(x)), name=name)


TEACHER, STUDENT = net("teacher", 1), net("student", 2)


def asked(root, *, teacher=TEACHER, data=DATA, seed=3, views=2, augment=EVERYTHING):
    return room.cached_teacher(
        teacher, data, views=views, seed=seed, augment=augment, root=root
    )


def losses(teacher, batches, temperature):
    distiller = Distiller(
        STUDENT, teacher=teacher, losses=[SoftTargets(temperature)], label_weight=0.1
    )
    distiller.compile()
    return [
        distiller.evaluate(*batch, verbose=0, return_dict=True) for batch in batches
    ]


@settings(max_examples=2)
@given(
    seed=st.integers(0, 2**31 - 1),
    views=st.integers(1, 3),
    augment=st.builds(
        Augment,
        pad=st.integers(0, 3),
        random_resized_crop=st.booleans(),
        colour_jitter=st.sampled_from([0.0, 0.4]),
    ),
    temperature=st.floats(0.5, 20),
)
@pytest.mark.slow
def test_cached_losses_are_the_teachers(
    tmp_path_factory, seed, views, augment, temperature
):
    """To the rounding of float16, on the same views, in training and validation."""
    kept = asked(
        tmp_path_factory.mktemp("root"), seed=seed, views=views, augment=augment
    )
    options = {"batch_size": 100, "seed": seed, "augment": augment, "first_epoch": 1}
    uncached = training_batches(DATA, views=views, **options)
    cached = training_batches(DATA, teacher_outputs=kept.train.outputs, **options)
    validation = {n: array[0] for n, array in kept.validation.outputs.items()}
    pairs = [
        (uncached.dataset.take(4), cached.dataset.take(4)),
        (
            evaluation_batches(DATA, "validation"),
            evaluation_batches(DATA, "validation", teacher_outputs=validation),
        ),
    ]
    for live, replayed in pairs:
        expected = losses(TEACHER, live, temperature)
        found = losses(None, replayed, temperature)
        assert len(found) == len(expected) > 0
        for one, other in zip(found, expected, strict=True):
            assert one == pytest.approx(other, rel=2e-3)


def test_a_student_learns_from_the_cache(tmp_path):
    kept = asked(tmp_path)
    student = keras.models.clone_model(STUDENT)
    distiller = Distiller(student, losses=[SoftTargets()], label_weight=0)
    distiller.compile(keras.optimizers.Adam(0.01))
    batches = training_batches(
        DATA,
        batch_size=100,
        seed=3,
        augment=EVERYTHING,
        teacher_outputs=kept.train.outputs,
    )
    validation = {n: array[0] for n, array in kept.validation.outputs.items()}
    history = distiller.fit(
        batches.dataset,
        steps_per_epoch=batches.steps_per_epoch,
        validation_data=evaluation_batches(
            DATA, "validation", teacher_outputs=validation
        ),
        epochs=6,
        verbose=0,
    ).history
    assert history["soft_targets"][-1] < 0.5 * history["soft_targets"][0]
    assert history["val_soft_targets"][-1] < history["val_soft_targets"][0]


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    root = tmp_path_factory.mktemp("filled")
    asked(root)
    return root


def test_a_later_run_computes_nothing(filled, capsys):
    again = asked(filled, teacher=keras.models.Model.from_config(TEACHER.get_config()))
    assert again.about["computed"] > 0  # the same net, other weights
    again = asked(filled)
    assert again.about["computed"] == 0
    assert again.about["reused"] == 2 * SIZE + DATA.validation.size
    printed = capsys.readouterr().out
    assert "teacher cache: 2 views x 300 images, teacher_logits 10: 12.1 kB" in printed


def other_pixels():
    images = DATA.train.images.copy()
    images[-1, 0, 0] ^= 1
    return dataclasses.replace(
        DATA, train=dataclasses.replace(DATA.train, images=images)
    )


@pytest.mark.parametrize(
    "options",
    [
        {"seed": 4},
        {"augment": Augment(pad=2)},
        {"views": 1},
        {"data": other_pixels()},
        {"data": dataclasses.replace(DATA, mean=(0.25,))},
        {"data": dataclasses.replace(DATA, flips=True)},
    ],
    ids=["seed", "augment", "views", "pixels", "mean", "flips"],
)
@pytest.mark.slow
def test_other_views_are_computed(filled, options):
    kept = asked(filled, **options).train
    assert kept.computed == kept.outputs["teacher_logits"][..., 0].size
    assert kept.reused == 0


def test_other_versions_of_the_views_are_computed(filled, monkeypatch):
    monkeypatch.setattr(room.pipeline, "VIEWS_VERSION", 99)
    assert asked(filled).about["reused"] == 0


def test_interrupted_in_the_second_view(filled, tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_IMAGES", 100)
    views = room.pipeline.view_batches

    def interrupted(*args, view, **options):
        if view == 1:
            raise KeyboardInterrupt
        return views(*args, view=view, **options)

    with monkeypatch.context() as patch:
        patch.setattr(room.pipeline, "view_batches", interrupted)
        with pytest.raises(KeyboardInterrupt):
            asked(tmp_path)
    kept = asked(tmp_path)
    assert (kept.train.computed, kept.train.reused) == (SIZE, SIZE)
    np.testing.assert_allclose(
        kept.train.outputs["teacher_logits"],
        asked(filled).train.outputs["teacher_logits"],
        rtol=2e-3,
        atol=1e-3,
    )


def test_changes_that_are_off_are_no_part_of_a_key():
    """Caches from before there was a setting are found again, with it off."""
    before = {"pad": 2, "random_resized_crop": False, "flip": None}
    before |= {"colour_jitter": 0.0, "pca_shift": 0.0}
    assert room._changes(Augment(pad=2)) == before
    assert room._changes(Augment(pad=2, cutout=3)) == before | {"cutout": 3}


def test_a_cache_without_a_place_names_the_way_out(monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("LIMBECK_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(OSError, match="in ~/.cache, .* LIMBECK_CACHE or XDG_CACHE"):
        room.default_root()


def test_where_and_how_much(monkeypatch, tmp_path):
    monkeypatch.setenv("LIMBECK_CACHE", str(tmp_path / "mine"))
    assert room.default_root() == tmp_path / "mine"
    monkeypatch.setenv("LIMBECK_CACHE", "~/mine")
    assert room.default_root() == Path.home() / "mine"
    monkeypatch.setenv("LIMBECK_CACHE", "")  # as if it were not there
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert room.default_root() == tmp_path / "limbeck" / "teachers"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert room.default_root() == tmp_path / "home/.cache/limbeck/teachers"
    monkeypatch.setenv("LIMBECK_CACHE", "~nobody-of-this-name/mine")
    with pytest.raises(OSError, match="in ~nobody-of-this.*, .*: set LIMBECK_CACHE"):
        room.default_root()
    monkeypatch.setenv("LIMBECK_CACHE_GB", "0.000001")
    with pytest.raises(ValueError, match="its budget in .* is 1 kB"):
        asked(tmp_path)
    for wrong in ("many", "-1", "nan", "inf"):
        monkeypatch.setenv("LIMBECK_CACHE_GB", wrong)
        with pytest.raises(ValueError, match="LIMBECK_CACHE_GB must be a number of"):
            asked(tmp_path)


@pytest.mark.parametrize("kind", ["a file above it", "read-only"])
def test_a_folder_that_cannot_be_written_is_named(tmp_path, kind):
    root = Path("/proc/limbeck/teachers")  # read-only for everyone, root as well
    if kind == "a file above it":
        (tmp_path / "file").write_text("")
        root = tmp_path / "file" / "teachers"
    with pytest.raises(OSError, match=rf"cannot be kept in {root} .*set LIMBECK_CACHE"):
        asked(root)
