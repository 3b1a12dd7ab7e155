"""A model in words: a net of the catalogue, a file, a stage of a run, a net of Keras.

resnet20    alexnet_small(width=0.125)    resnet20(weights="published")
net.keras   runs/demo-mnist5k:distill     runs/demo-mnist5k:distill[seed2]
keras.applications:MobileNetV2    keras.applications:MobileNetV2(alpha=0.35)
"""

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compression.nearest import did_you_mean

if TYPE_CHECKING:  # they need Keras
    from experiments.stages.application import Application
    from experiments.stages.file import File
    from experiments.stages.net import Net

APPLICATIONS = "keras.applications:"
HELP = (
    "a net's name, as resnet20 or alexnet_small(width=0.125); a .keras file; RUN:STAGE "
    "of a run folder, RUN:STAGE[seed2] of another seed than 0; or "
    f"{APPLICATIONS}MobileNetV2"
)
STAGE = re.compile(r"(?P<run>.+):(?P<stage>[^:/\[\]]+)(\[seed(?P<seed>\d+)\])?")
FILES = (".keras", ".limbeck", ".tflite", ".h5")


def start(text: str) -> "Net | File | Application":
    """What a stage starts from, by its name.

    Args:
        text: as the examples above.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: there is no such net, stage or option; names the nearest one.
    """
    from experiments.stages.application import Application
    from experiments.stages.file import File
    from experiments.stages.net import Net

    if found := of_stage(text):
        return File(str(found))
    if text.startswith(APPLICATIONS):
        name, options = _called(text.removeprefix(APPLICATIONS))
        weights = options.pop("weights", None)
        return Application(name, options, weights)
    if text.endswith(FILES) or Path(text).expanduser().is_file():
        return File(text)
    name, options = _called(text)
    if "/" in name or ":" in name:
        raise FileNotFoundError(f"there is no model file and no run folder {text}")
    _require_of_the_catalogue(name)
    weights = options.pop("weights", None)
    return Net(name, options, weights)


def of_stage(text: str) -> Path | None:
    """The model of a finished stage, if `text` is RUN:STAGE of a run folder.

    Raises:
        ValueError: the run folder has no such stage that is finished.
    """
    from experiments.runs.layout import RunFolder

    parts = STAGE.fullmatch(text)
    if parts is None:
        return None
    folder = RunFolder(Path(parts["run"]).expanduser())
    if not folder.recipe.is_file():
        return None
    seed = int(parts["seed"] or 0)
    once = parts["seed"] is None
    homes = [folder.stage(parts["stage"], seed)]
    homes += [folder.stage(parts["stage"], seed, once=True)] if once else []
    for home in homes:
        if home.model.is_file():
            return home.model
    known = sorted(folder.finished())
    raise ValueError(
        f"{folder.path} has no finished stage called {parts['stage']!r} of seed {seed}"
        f"{did_you_mean(parts['stage'], known)}; there are {', '.join(known) or 'none'}"
    )


def in_paths(text: str) -> str:
    """A model's name as a part of a folder's: of a path its last part, no suffix."""
    text = text.removeprefix(APPLICATIONS)
    for suffix in FILES:
        text = text.removesuffix(suffix)
    words = re.findall(r"[\w.-]+", text.rstrip("/").rpartition("/")[2])
    return "-".join(words) or "model"


def _called(text: str) -> tuple[str, dict[str, Any]]:
    """The name and the options of "name(option=value, ...)"."""
    name, bracket, _ = text.partition("(")
    if not bracket:
        return text, {}
    try:
        call = ast.parse(text, mode="eval").body
        if not isinstance(call, ast.Call) or call.args:
            raise ValueError(text)
        found = {each.arg: ast.literal_eval(each.value) for each in call.keywords}
    except (SyntaxError, ValueError) as error:
        raise ValueError(
            f"options of a net must be as {name}(width=0.5, dropout=0.1), got {text!r}"
        ) from error
    if None in found:
        raise ValueError(f"options of a net have names, got {text!r}")
    return name, found


def _require_of_the_catalogue(name):
    import keras

    import architectures

    known = architectures.names()
    ours = {of_keras.lower(): of_keras for of_keras in dir(keras.applications)}
    found = ours.get(name.lower(), "")
    if name in known or not found[:1].isupper():
        architectures.card(name)  # or it says which there are
    else:
        raise ValueError(
            f"no net of the catalogue is called {name!r} (did you mean "
            f"{APPLICATIONS}{found}?); limbeck nets lists them"
        )
