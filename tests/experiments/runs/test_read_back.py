"""A recipe, read back from its record, is the same recipe."""

import dataclasses
import json

import pytest

from experiments import overrides, recipes
from experiments.data.augment import Augment
from experiments.recipe import Recipe
from experiments.runs import order
from experiments.runs.layout import RunFolder
from experiments.runs.read_back import read_back
from experiments.stages.application import Application
from experiments.stages.base import Export
from experiments.stages.file import File
from experiments.stages.load import Load
from experiments.stages.net import Net
from experiments.stages.pretrain import Pretrain
from experiments.stages.tasks import Autoencoder, Rotation, SimCLR
from experiments.stages.train import Train
from experiments.training.settings import Training

TRAINING = Training(epochs=2, learning_rate=1)


def record_of(recipe):
    return json.loads(json.dumps(recipe.as_dict()))


def recipes_of(name):
    module = recipes.recipe_module(name)
    return [each for each in vars(module).values() if isinstance(each, Recipe)]


def as_text(recipe):
    """All that it is; of options, whoever takes a tuple takes a list as well."""
    return repr(recipe).replace("[", "(").replace("]", ")").replace(",)", ")")


@pytest.mark.parametrize("name", recipes.EXPERIMENTS)
def test_every_experiment(name):
    for recipe in recipes_of(name):
        for each in (recipe, overrides.smoke(recipe)):
            again = read_back(record_of(each), files={}, source="it")
            assert as_text(again) == as_text(each)


def test_every_kind_of_start_and_of_task(tmp_path):
    path = tmp_path / "net.keras"
    path.write_bytes(b"any")
    file, nets = File(str(path)), Net("mlp", {"widths": (8, 4)}, weights="published")
    recipe = Recipe(
        name="all",
        data="digits",
        augment=Augment(pad=2),
        normalisation=((0.1,), (0.3,)),
        stages=(
            Load("file", file, exports=(Export("litert", "float16"),)),
            Train("keras", Application("MobileNetV2", {"alpha": 0.35}), TRAINING),
            Train("again", "keras", TRAINING, augment=Augment(), labels=0.5),
            *(
                Pretrain(task.kind, nets, TRAINING, task=task)
                for task in (Rotation(), SimCLR(temperature=0.1), Autoencoder())
            ),
        ),
    )
    files = {file.sha256: str(path)}
    assert read_back(record_of(recipe), files=files, source="it") == recipe
    with pytest.raises(ValueError, match="where net.keras lies.*with --prepare"):
        read_back(record_of(recipe), files={}, source="it")
    path.write_bytes(b"other")
    with pytest.raises(ValueError, match="net.keras has changed since the run began"):
        read_back(record_of(recipe), files=files, source="it")
    path.unlink()
    with pytest.raises(FileNotFoundError, match="no model file"):
        read_back(record_of(recipe), files=files, source="it")


def altered(**changes):
    record = record_of(Recipe("r", "digits", (Train("a", Net("lenet5"), TRAINING),)))
    for path, value in changes.items():
        *outer, last = path.split("__")
        at = record
        for key in outer:
            at = at[int(key)] if key.isdecimal() else at[key]
        at[last] = value
    return record


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (altered(stages__0__kind="Trian"), "kind 'Trian'.*did you mean Train.*program"),
        (altered(stages__0__kind="os.system"), "kind 'os.system', which is not"),
        (altered(stages__0__new=1), "recipe.json: Train has no setting new"),
        (altered(stages__0__training=None), "training cannot be None"),
        (altered(stages__0__training__epochs=0), "recipe.json: .*epochs"),
        (altered(stages__0__exports=7), "recipe.json: exports cannot be 7"),
        (altered(stages__0__start__name="lenet"), "recipe.json: .*'lenet'"),
        (altered(stages__0__start=7), "recipe.json: start cannot be 7"),
        (altered(stages=[]), "recipe.json: the recipe 'r' has no stages"),
        (altered(colour="red"), "recipe.json: Recipe has no setting colour"),
    ],
)
def test_what_is_not_of_this_version_is_refused(record, words):
    with pytest.raises(ValueError, match=words):
        read_back(record, files={}, source="recipe.json")


def test_an_order_of_before_has_the_seeds_and_command_that_can_be_found(tmp_path):
    [recipe] = recipes_of("demo")
    folder = RunFolder(tmp_path)
    with pytest.raises(FileNotFoundError, match="is not a run folder; --prepare makes"):
        order.read(folder)
    folder.recipe.write_text(json.dumps(recipe.as_dict()))
    names = [stage.name for stage in recipe.stages]
    assert order.read(folder) == order.Order(recipe, (0,), names, "")
    folder.stage("teacher", 3).path.mkdir(parents=True)
    folder.stage("teacher", 1).path.mkdir(parents=True)
    folder.environment.write_text(json.dumps({"command": "limbeck demo"}))
    assert order.read(folder) == order.Order(recipe, (1, 3), names, "limbeck demo")
    made = order.made(recipe, (0, 1), ["teacher"], "limbeck demo --seeds 2")
    folder.order.write_text(json.dumps(made))
    asked = order.Order(recipe, (0, 1), ["teacher"], "limbeck demo --seeds 2")
    assert order.read(folder) == asked
    file = tmp_path / "net.keras"
    file.touch()
    starts = dataclasses.replace(recipe, stages=(Load("given", File(str(file))),))
    [where] = order.made(starts, (0,), ["given"], "")["files"].values()
    assert where == str(file)


def test_images_are_found_from_another_working_folder(tmp_path, monkeypatch):
    [recipe] = recipes_of("demo")
    stages = (dataclasses.replace(recipe.stages[0], data="npz:all.npz", exports=()),)
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    (here / "my photos").mkdir(parents=True)
    (here / "all.npz").touch()
    elsewhere.mkdir()
    monkeypatch.chdir(here)
    for name in ("folder:my photos", "folder:./my photos[cat,dog]", "digits"):
        asked = dataclasses.replace(recipe, data=name, stages=stages)
        folder = RunFolder(tmp_path)
        folder.recipe.write_text(json.dumps(asked.as_dict()))
        made = order.made(asked, (0,), ["teacher"], "")
        folder.order.write_text(json.dumps(made))
        assert order.read(folder).recipe == asked
        monkeypatch.chdir(elsewhere)
        found = order.read(folder).recipe
        where = f"folder:{here}/my photos"
        assert found.data == name.replace("folder:", "").replace("./", "").replace(
            "my photos", where
        )
        assert found.stages[0].data == f"npz:{here}/all.npz"
        monkeypatch.chdir(here)
