"""Every kind of stage can be read back from a record by its name."""

import importlib
import pkgutil

import experiments.stages
from experiments.stages.base import Stage
from experiments.stages.kinds import KINDS
from experiments.stages.tfmot import Tfmot
from experiments.stages.training_stage import TrainingStage

SHARED = {TrainingStage, Tfmot}  # what kinds have in common


def test_all_are_listed():
    for module in pkgutil.iter_modules(experiments.stages.__path__):
        importlib.import_module(f"experiments.stages.{module.name}")
    found, level = set(), {Stage}
    while level:
        level = {kind for each in level for kind in each.__subclasses__()}
        found |= {k for k in level if k.__module__.startswith("experiments.")}
    assert {*KINDS.values()} == found - SHARED
    assert [*KINDS] == [kind.__name__ for kind in KINDS.values()]
