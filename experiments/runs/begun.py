"""What a stage was begun with, kept beside its checkpoint until it is finished.

A stage that is not finished may be asked for with other settings, and the model that
it reads may be another one by then: a checkpoint of before would not be of this stage.
"""

import json
import shutil
from collections.abc import Mapping

from compression.atomic import remove_leftovers
from experiments.files import write_json
from experiments.recipe import Recipe
from experiments.runs.fingerprints import of_model
from experiments.runs.former import upgraded_stage
from experiments.runs.identity import differences
from experiments.runs.layout import StageFolder
from experiments.stages.base import Stage


def begin(
    folder: StageFolder,
    stage: Stage,
    recipe: Recipe,
    inputs: Mapping[str, StageFolder],
) -> dict[str, str]:
    """Makes the folder that a stage works in, or keeps one that the stage has begun.

    What was begun otherwise is given up, with a line that says why.

    Args:
        folder: where the stage works until it is finished.
        stage: of `recipe`.
        recipe: that is run.
        inputs: the folders of the stages that it reads, by name.

    Returns:
        The fingerprints of the models that it reads, by the stage's name.
    """
    begun = {
        "settings": recipe.as_dict()["stages"][recipe.stages.index(stage)],
        "read": {name: of_model(source.model) for name, source in inputs.items()},
    }
    begun = json.loads(json.dumps(begun))
    if folder.begun.is_file():
        there = folder.read_begun()
        there["settings"] = upgraded_stage(there["settings"])
        if there == begun:
            remove_leftovers(folder.path)  # of a writer that was killed
            return begun["read"]
        if folder.checkpoints():
            print(f"  begun {_otherwise(there, begun)}: begins again", flush=True)
    shutil.rmtree(folder.path, ignore_errors=True)
    folder.path.mkdir(parents=True)
    write_json(folder.begun, begun)
    return begun["read"]


def _otherwise(there, begun):
    changed = sorted(differences(there["settings"], begun["settings"]))
    if changed:
        return f"with other settings ({'; '.join(changed[:3])})"
    other = [n for n, sha in begun["read"].items() if there["read"].get(n) != sha]
    return f"with another {' and '.join(other)} than there is now"
