"""The variants of ablation: each differs from the base in what its name says."""

import dataclasses
from types import SimpleNamespace

import pytest

from experiments.data.augment import Augment
from experiments.overrides import smoke
from experiments.recipes.ablation import recipe
from experiments.runs.layout import RunFolder
from experiments.runs.run import run
from tests.experiments.recipes.some_stages import only

pytestmark = pytest.mark.usefixtures("eagerly")
RECIPE = recipe.RECIPE
BASE = RECIPE.stage("base")
SMALL = [stage for stage in RECIPE.stages if stage.start.name == "alexnet_small"]
CIFAR = SimpleNamespace(image_shape=(32, 32, 3), class_names=tuple("0123456789"))


def test_a_variant_differs_in_one_thing():
    """The net, the training or the images; the training of a tenfold rate in three."""
    for stage in SMALL[1:]:
        other = dataclasses.replace(stage, name="base")
        parts = {
            field.name
            for field in dataclasses.fields(stage)
            if getattr(other, field.name) != getattr(BASE, field.name)
        }
        assert len(parts) == 1, stage.name
        [part] = parts
        before, after = getattr(BASE, part), getattr(stage, part)
        if part == "start":
            before, after = before.options, after.options
        elif part == "augment":
            before, after = vars(RECIPE.augment), vars(after)
        else:
            before, after = vars(before), vars(after)
        changed = {key for key in after if after[key] != before.get(key)}
        several = {"no_augmentation": 2, "no_momentum_fast": 3}
        assert len(changed) == several.get(stage.name, 1), stage.name


def test_images_are_changed_as_the_names_say():
    images = {s.name: s.augment for s in SMALL if s.augment is not None}
    assert images == {
        "no_augmentation": Augment(flip=False),
        "crop": Augment(pad=4, flip=False),
        "flip": Augment(flip=True),
        "pca": Augment(pad=4, flip=True, pca_shift=0.1),
        "mixup": Augment(pad=4, flip=True, mixup=1.0),
    }


def test_a_tenfold_rate_keeps_the_length_and_the_decay_of_a_step():
    with_momentum = BASE.training
    without = RECIPE.stage("no_momentum_fast").training
    length = with_momentum.learning_rate / (1 - with_momentum.momentum)
    assert without.momentum == 0
    assert without.learning_rate == pytest.approx(length)
    decays = [t.learning_rate * t.weight_decay for t in (with_momentum, without)]
    assert decays[0] == pytest.approx(decays[1])


@pytest.mark.parametrize("stage", RECIPE.stages, ids=lambda stage: stage.name)
@pytest.mark.slow
def test_every_net_can_be_built(stage):
    model = stage.start.built(CIFAR)
    assert model.output_shape == (None, 10)
    shortcuts = [layer for layer in model.layers if layer.name.endswith("_add")]
    depths = {"residual20": 9, "residual56": 27}
    assert len(shortcuts) == depths.get(stage.name, 0)


@pytest.mark.slow
def test_a_short_run(tmp_path):
    """Of a variant of training and one of images, on few digits of 28 px."""
    names = ("base", "clipping", "mixup")
    short = only(smoke(RECIPE), names, data="digits")
    rows = RunFolder(
        run(dataclasses.replace(short, image_size=28), tmp_path / "run")
    ).read_rows()
    assert [row["stage"] for row in rows] == list(names)
    assert len({row["loss"] for row in rows}) == len(names), "two variants are one"


@pytest.mark.slow
@pytest.mark.usefixtures("traced")
def test_colours_and_depth_on_photographs(tmp_path, tfds_dir, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tfds_dir))
    short = only(smoke(RECIPE), ("pca", "plain20"), data="cifar10[cat,dog]")
    rows = RunFolder(run(short, tmp_path / "run")).read_rows()
    assert [row["stage"] for row in rows] == ["pca", "plain20"]
    assert rows[0]["top1"] > 0.55
