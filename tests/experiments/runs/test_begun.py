"""A checkpoint is used by the stage that wrote it, and by no other."""

import dataclasses
import zipfile

from experiments.recipe import Recipe
from experiments.runs.begun import begin
from experiments.runs.layout import StageFolder
from experiments.stages.distill import Distill
from experiments.stages.net import Net
from experiments.stages.teaching import Teaching
from experiments.stages.train import Train
from experiments.training.settings import Training

TRAINING = Training(epochs=2)
DISTILL = Distill("distill", Net("mlp"), TRAINING, Teaching("teacher"))
RECIPE = Recipe("small", "digits", (Train("teacher", Net("mlp"), TRAINING), DISTILL))


def teacher(path, weights):
    """A folder with a model file; only its content counts here."""
    path.mkdir(exist_ok=True)
    with zipfile.ZipFile(path / "model.keras", "w") as archive:
        archive.writestr("model.weights.h5", weights)
    return {"teacher": StageFolder(path)}


def begun(folder, stage, inputs):
    """Whether a checkpoint that was there is still there when the stage begins."""
    folder.path.mkdir(exist_ok=True)
    folder.checkpoint().write_bytes(b"of an epoch")
    stages = (RECIPE.stages[0], stage)
    begin(folder, stage, dataclasses.replace(RECIPE, stages=stages), inputs)
    return folder.checkpoint().exists()


def test_a_checkpoint_is_kept_only_for_the_same_settings_and_inputs(tmp_path, capsys):
    folder = StageFolder(tmp_path / "distill.partial")
    inputs = teacher(tmp_path / "teacher", b"good")
    assert not begun(folder, DISTILL, inputs)  # of whom, nobody knows
    assert begun(folder, DISTILL, inputs)
    assert capsys.readouterr().out == ""

    retrained = teacher(tmp_path / "teacher", b"better")
    assert not begun(folder, DISTILL, retrained)
    assert "begun with another teacher than there is now" in capsys.readouterr().out
    assert begun(folder, DISTILL, retrained)

    warmer = dataclasses.replace(DISTILL, teaching=Teaching("teacher", temperature=8.0))
    assert not begun(folder, warmer, retrained)
    assert "temperature: 4.0 there, 8.0 asked for" in capsys.readouterr().out
    assert begun(folder, warmer, retrained)
