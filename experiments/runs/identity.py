"""What makes two runs the same run: the recipe, and the data as they were found."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from experiments.data import Data
from experiments.data.colours import CHANNELS
from experiments.data.fingerprint import content
from experiments.data.kinds import BY_PATH
from experiments.data.some_classes import parsed
from experiments.recipe import Recipe
from experiments.runs.former import upgraded
from experiments.runs.layout import RunFolder

OWN = "stages"  # in data.json: datasets of stages that have their own
CONTENT = "content"  # there: a fingerprint of images and labels
# How names of images begin that lie anywhere.
ANYWHERE = tuple(
    f"{colours}{kind}:"
    for colours in ("", *(f"{name}:" for name in CHANNELS))
    for kind in BY_PATH
)


def require_same_recipe(recipe: Recipe, folder: RunFolder) -> None:
    """A run goes on in a folder of its own recipe, or begins in an empty one.

    Only stages that are finished must be the same, so that a mistake in the settings
    of a later stage can be corrected without losing the earlier ones.

    Raises:
        ValueError: the folder holds another run, or something else; names
            what differs.
    """
    if not folder.recipe.exists():
        require_free(folder)
        return
    finished = folder.finished()
    there = _settled(upgraded(folder.read_recipe()), finished)
    asked = _settled(json.loads(json.dumps(recipe.as_dict())), finished)
    different = sorted(differences(there, asked))
    if different:
        shown = "; ".join(different[:3]) + ("; ..." if len(different) > 3 else "")
        raise ValueError(
            f"{folder.path} holds a run of another recipe ({shown}); choose another "
            f"--out, or delete that folder{_or_less(different)}"
        )


def require_free(folder: RunFolder) -> None:
    """Raises ValueError where a run would begin among files that are not its own."""
    path = folder.path
    own = (folder.lock, folder.claims, folder.search.path)
    if path.exists() and any(p not in own for p in path.iterdir()):
        raise ValueError(
            f"{path} is not empty and not a run folder; choose another --out"
        )


def require_same_data(data: Data, own: Mapping[str, Data], folder: RunFolder) -> None:
    """A run goes on with the data that it began with; `own` are those of stages.

    Raises:
        ValueError: they have changed; names what differs.
    """
    if not folder.data.exists():
        return
    there, here = folder.read_data(), described(data, own)
    # A stage that is new, or gone, is no change of the data.
    common = there.get(OWN, {}).keys() & here.get(OWN, {}).keys()
    different = sorted(
        differences(
            _data_anywhere(there, common, here), _data_anywhere(here, common, there)
        )
    )
    if different:
        raise ValueError(
            f"the data have changed since the run in {folder.path} began "
            f"({'; '.join(different[:3])}); choose another --out"
        )


def described(data: Data, own: Mapping[str, Data]) -> dict[str, Any]:
    """The data as `data.json` has them; those of stages, if any, by their names."""
    of_stages = {name: _described(one) for name, one in own.items()}
    return _described(data) | ({OWN: of_stages} if own else {})


def _described(data):
    return {
        "name": data.name,
        "image_shape": list(data.image_shape),
        "class_names": list(data.class_names),
        "train": data.train.size,
        "validation": data.validation.size,
        "test": data.test.size,
        "mean": list(data.mean),
        "std": list(data.std),
        "note": data.note,
        "bad_images": list(data.bad_images),
        "left_out": list(data.left_out),
        CONTENT: content(data),
    }


def _settled(recipe: dict[str, Any], finished: set[str]) -> dict[str, Any]:
    """A recipe without what may still be corrected: stages that are not finished."""
    stages = {stage.get("name"): stage for stage in recipe.get("stages", [])}
    kept = {n: anywhere(stages[n], "data") for n in stages.keys() & finished}
    return anywhere(recipe, "data") | {"stages": kept}


def _or_less(different: list[str]) -> str:
    """The way out that loses least, where nothing but stages differs."""
    if not all(line.startswith("stages.") for line in different):
        return ""
    names = sorted({line.split(":")[0].split(".")[1] for line in different})
    return f", or in its stages folder only {' and '.join(names)}"


def _data_anywhere(record, stages, other):
    """A record of data as it is compared to another: what both say, wherever it lies.

    Earlier versions did not note the content.
    """
    own = {
        name: _data_anywhere(record[OWN][name], (), other[OWN][name]) for name in stages
    }
    found = anywhere(record, "name") | {OWN: own}
    if other.get(CONTENT) is None:
        found.pop(CONTENT, None)
    return found


def anywhere(record: dict[str, Any], key: str) -> dict[str, Any]:
    """A record of data without where they lie: a folder may move, or be mounted."""
    record = {k: v for k, v in record.items() if k != "left_out"}
    name = record.get(key) or ""
    if kind := kind_of(name):
        record[key] = kind + parsed(name).classes
        bad = record.get("bad_images", [])
        record |= {"bad_images": ["/".join(p.split("/")[-2:]) for p in bad]}
    return record


def kind_of(name: str) -> str | None:
    """How a dataset's name begins that says where images lie; None of others."""
    return next((kind for kind in ANYWHERE if name.startswith(kind)), None)


def differences(there: Any, asked: Any, path: str = "") -> Iterator[str]:
    """Where two records differ, in words: "training.epochs: 2 there, 3 asked for"."""
    if isinstance(there, dict) and isinstance(asked, dict):
        for key in there.keys() | asked.keys():
            yield from differences(
                there.get(key), asked.get(key), f"{path}.{key}".strip(".")
            )
    elif (
        isinstance(there, list) and isinstance(asked, list) and len(there) == len(asked)
    ):
        for i, pair in enumerate(zip(there, asked, strict=True)):
            name = pair[0].get("name", i) if isinstance(pair[0], dict) else i
            yield from differences(*pair, f"{path}.{name}")
    elif isinstance(there, dict) and asked is None:
        yield f"{path}: there, not asked for"
    elif there != asked:
        yield f"{path}: {there} there, {asked} asked for"
