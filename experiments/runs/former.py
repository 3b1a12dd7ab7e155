"""Run folders as earlier versions wrote them, read as if they were today's."""

from collections.abc import Mapping
from typing import Any

# Fields of a stage as commands and recipe.json called them -> as they are called now.
RENAMED = {"net": ("start",), "teacher": ("teaching", "teacher")}
# What stages declared before there was a stages.json, by their kind.
SPARSITY = {
    "key": "sparsity",
    "title": "zeros, % of the pruned weights",
    "factor": 100,
}
SHIFT = {
    "key": "bias_shift",
    "title": "shift chosen on validation",
    "format": "+.2f",
}
LOGS, FACTS = {"Prune": [SPARSITY]}, {"CorrectBias": [SHIFT]}
# Settings that came later, in records within a stage or recipe, and what stands for
# them where they are not recorded.
LATER = {
    "teaching": {"weighed_by": None},
    "augment": dict.fromkeys(("cutout", "rand_augment", "mixup", "cutmix")),
    "training": {
        "class_weights": None,
        "sampling": None,
        "accumulation": 1,
        "plateau_patience": 5,
        "averaging": None,
        "averaging_momentum": 0.99,
        "averaging_from": 0.75,
    },
}
IMAGES = {"labels": None, "data": None}
ADDED = {
    "Channels": {"recovery": None, "from_scratch": False, "images": 512}
    | dict.fromkeys(("bytes", "ram", "latency")),
    "Cluster": {"reassign": False},
    "Distill": IMAGES,
    "Prune": IMAGES
    | {"augment": None, "classes": None}
    | {"pattern": "element", "saliency": "magnitude", "exempt": []}
    | {"scored_on": 512, "targets": {}, "floor": "auto"},
    "QuantizeAware": {"keep_zeros": False},
    "RateDistortion": {"images": None},
    "Train": IMAGES | {"classes": None, "auxiliary_weight": 0.0, "keep_zeros": False},
}


def upgraded(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe.json of any version in today's form; a new one is given back as it is.

    Stages had a `net` where they have a `start` now, and a `teacher` beside their
    `teaching`.
    """
    stages = [upgraded_stage(stage) for stage in recipe.get("stages", [])]
    if "stages" not in recipe:
        return dict(recipe)
    later = {"normalisation": None, "train_images": None}
    return _with_later({**later, **recipe, "stages": stages})


def declarations(recipe: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What stages.json would hold for a run folder that has none."""
    found = {}
    for stage in upgraded(recipe).get("stages", []):
        start = stage.get("start")
        found[stage.get("name")] = {
            "what": "",
            "start": start if isinstance(start, str) else None,
            "teacher": (stage.get("teaching") or {}).get("teacher"),
            "measured": True,
            "logs": LOGS.get(stage.get("kind"), []),
            "facts": FACTS.get(stage.get("kind"), []),
        }
    return found


def upgraded_stage(stage: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a stage, likewise."""
    changed = {"once": False} | dict(stage)
    for former, path in RENAMED.items():
        if former in changed:
            value = changed.pop(former)
            inner = changed
            for key in path[:-1]:
                inner[key] = dict(inner.get(key) or {})
                inner = inner[key]
            inner[path[-1]] = value
    if changed.get("kind") == "Train":
        changed.setdefault("teaching", None)
    return _with_later(ADDED.get(changed.get("kind"), {}) | changed)


def _with_later(record):
    there = {n: record[n] for n in LATER if isinstance(record.get(n), Mapping)}
    return record | {name: LATER[name] | fields for name, fields in there.items()}
