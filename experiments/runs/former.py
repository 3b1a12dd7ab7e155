"""Run folders of earlier versions, read as today's are."""

from collections.abc import Mapping
from typing import Any

LOGS = {
    "Prune": [
        {"key": "sparsity", "title": "zeros, % of the pruned weights", "factor": 100}
    ]
}
FACTS = {
    "CorrectBias": [
        {"key": "bias_shift", "title": "shift chosen on validation", "format": "+.2f"}
    ]
}


def upgraded(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """An older `recipe.json` in today's form."""
    return dict(recipe)


def declarations(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """What `stages.json` would hold, for a run folder without one.

    Args:
        recipe: the content of its `recipe.json`, of any version.
    """
    return {
        stage["name"]: {
            "start": start if isinstance(start := stage.get("start"), str) else None,
            "teacher": stage.get("teacher")
            or (stage.get("teaching") or {}).get("teacher"),
            "logs": LOGS.get(stage.get("kind"), []),
            "facts": FACTS.get(stage.get("kind"), []),
        }
        for stage in recipe.get("stages", [])
        if "name" in stage
    }
