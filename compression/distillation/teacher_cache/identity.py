"""What a cache belongs to: one key for a teacher, its outputs and what it looks at."""

import hashlib
import json
from typing import Any

import keras

from compression.graph import all_layers


def identity(teacher: keras.Model, about: Any) -> str:
    """The SHA-256, in hex, of a model's structure, all its weights and `about`.

    Names that Keras numbers (`conv2d_3`) differ from session to session, so layers
    count by their place in the graph, not by their name.

    Args:
        teacher: functional model.
        about: anything that JSON can hold.

    Raises:
        TypeError: JSON cannot hold `about`.
    """
    structure = _without_names(json.loads(teacher.to_json())["config"], _names(teacher))
    text = json.dumps([structure, about], sort_keys=True)
    digest = hashlib.sha256(text.encode())
    for weight in teacher.weights:
        digest.update(f"{weight.dtype} {tuple(weight.shape)}".encode())
        digest.update(keras.ops.convert_to_numpy(weight).tobytes())
    return digest.hexdigest()


def _names(model):
    """Name -> place, of the model and everything in it."""
    found = [model, *model.operations, *all_layers(model)]
    names = dict.fromkeys(operation.name for operation in found)
    return {name: f"#{place}" for place, name in enumerate(names)}


def _without_names(config, places):
    """`config` with places for names, where Keras names an operation."""
    if isinstance(config, list):
        return [_without_names(part, places) for part in config]
    if not isinstance(config, dict):
        return config
    changed = {key: _without_names(part, places) for key, part in config.items()}
    if isinstance(config.get("name"), str):
        changed["name"] = places.get(config["name"], config["name"])
    for key in ("keras_history", "input_layers", "output_layers"):
        if key in config:
            changed[key] = _placed(config[key], places)
    return changed


def _placed(node, places):
    """[name, node, tensor], or lists and dicts of those."""
    if isinstance(node, dict):
        return {key: _placed(part, places) for key, part in node.items()}
    if isinstance(node, list):
        return [_placed(part, places) for part in node]
    return places.get(node, node) if isinstance(node, str) else node
