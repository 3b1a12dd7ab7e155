"""A recipe, read back from its record.

The classes are ours, each field is made as its annotation says, and what comes out must
give the same record again: no code is stored, none is imported by a name in a file.
"""

import collections.abc
import dataclasses
import json
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import architectures
from compression.nearest import did_you_mean
from experiments.recipe import Recipe
from experiments.runs.former import upgraded
from experiments.runs.identity import differences
from experiments.stages.application import Application
from experiments.stages.base import Stage
from experiments.stages.file import File
from experiments.stages.kinds import KINDS
from experiments.stages.net import Net
from experiments.stages.tasks import Autoencoder, Rotation, SimCLR, Task
from experiments.value_types import is_union

OWN_PROGRAM = "run it from the program that knows it, with experiments.runs.share"


def read_back(
    record: Mapping[str, Any], *, files: Mapping[str, str], source: Path | str
) -> Recipe:
    """The recipe of which `record` is `Recipe.as_dict`, also of an earlier version.

    Args:
        record: as recipe.json has it.
        files: paths of the .keras files that stages start from, by their SHA-256.
        source: where the record comes from, for errors.

    Raises:
        FileNotFoundError: a file is not there any more.
        ValueError: a stage is of a kind that is not limbeck's; a file is not known, or
            has changed; the record is of another version, or was altered.
    """
    record = upgraded(record)
    try:
        recipe = _made(Recipe, record, files)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{source} is no recipe of this version: {error}") from error
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
    again = json.loads(json.dumps(recipe.as_dict()))
    if different := sorted(differences(record, again)):
        raise ValueError(
            f"{source} is no recipe of this version ({'; '.join(different[:3])})"
        )
    return recipe


def _made(kind, value, files):
    """`value`, as JSON has it, as what that annotation says."""
    if isinstance(value, dict) and _may_be(kind, Stage) and "kind" in value:
        return _stage(value, files)
    if isinstance(value, dict) and _may_be(kind, Net):
        return _start(value, files)
    if isinstance(value, dict) and _may_be(kind, Task):
        return _task(value, files)
    if isinstance(value, dict):
        for each in _kinds(kind):
            if dataclasses.is_dataclass(each):
                return _record(each, value, files)
        return _frozen(value)  # options of a net or a loss
    if isinstance(value, list):
        for each in _kinds(kind):
            if typing.get_origin(each) is tuple:
                item, *_ = typing.get_args(each)
                return tuple(_made(item, part, files) for part in value)
    return _frozen(value)


def _record(kind, value, files):
    hints = typing.get_type_hints(kind)
    fields = {field.name for field in dataclasses.fields(kind) if field.init}
    if unknown := value.keys() - fields:
        raise ValueError(f"{kind.__name__} has no setting {', '.join(sorted(unknown))}")
    made = {}
    for name, each in value.items():
        if not isinstance(each, dict | list) and not _is_plain(hints[name], each):
            raise ValueError(f"{name} cannot be {each!r}")
        made[name] = _made(hints[name], each, files)
    return kind(**made)


def _stage(value, files):
    settings = dict(value)
    kind = settings.pop("kind")
    if kind not in KINDS:
        raise ValueError(
            f"stage {settings.get('name')!r} is of the kind {kind!r}, which is not "
            f"limbeck's{did_you_mean(kind, KINDS)}: {OWN_PROGRAM}"
        )
    return _record(KINDS[kind], settings, files)


def _start(value, files):
    """A net of the catalogue, a file or a net of Keras: names differ, or contents."""
    if "sha256" not in value:
        ours = value.get("name") in architectures.names()
        return _record(Net if ours else Application, value, files)
    if value["sha256"] not in files:
        raise ValueError(
            f"it is not known where {value['name']} lies, from which a stage starts: "
            "run the command of before once more, with --prepare"
        )
    found = File(files[value["sha256"]])
    if found.sha256 != value["sha256"]:
        raise ValueError(f"{found.path} has changed since the run began")
    return found


def _task(value, files):
    settings = dict(value)
    kind = settings.pop("kind", None)
    for each in (Autoencoder, Rotation, SimCLR):
        if each.kind == kind:
            return _record(each, settings, files)
    raise ValueError(f"no task of pretraining is called {kind!r}")


def _kinds(kind):
    return typing.get_args(kind) if is_union(kind) else (kind,)


def _may_be(kind, wanted):
    return any(isinstance(k, type) and issubclass(k, wanted) for k in _kinds(kind))


def _is_plain(kind, value):
    """Whether a text, number, flag or None may stand there."""
    kinds = [float if each is int else each for each in _kinds(kind)]
    return (
        typing.Any in kinds or (float if type(value) is int else type(value)) in kinds
    )


def _frozen(value):
    """Options as recipes write them: with tuples, which JSON has not."""
    if isinstance(value, list):
        return tuple(_frozen(part) for part in value)
    if isinstance(value, collections.abc.Mapping):
        return {key: _frozen(part) for key, part in value.items()}
    return value
