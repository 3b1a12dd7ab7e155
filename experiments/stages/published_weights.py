"""Where an experiment finds published weights."""

import os
from pathlib import Path

import keras

import architectures

PUBLISHED = "published"
FOLDER = "LIMBECK_WEIGHTS"  # names a folder with files of published weights


def load_into(model: keras.Model, weights: str) -> None:
    """Load published weights into `model`.

    Args:
        model: net of the catalogue.
        weights: path of a file; or "published": the .safetensors file in the folder
            that LIMBECK_WEIGHTS names whose name ends in the net's; without that
            variable the catalogue's address is fetched.

    Raises:
        ValueError: the file does not fit, or none is known.
        OSError: the file is not there or cannot be fetched.
    """
    path = weights if weights != PUBLISHED else _found(model.name)
    architectures.load_published_weights(model, path, download=path is None)


def _found(name):
    folder = os.environ.get(FOLDER)
    if not folder:
        return None
    found = sorted(Path(folder).expanduser().glob(f"*{name}.safetensors"))
    if not found:
        raise FileNotFoundError(f"{FOLDER}={folder} has no file *{name}.safetensors")
    return found[0]
