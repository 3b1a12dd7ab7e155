"""Models as TensorFlow Serving folders, with float32, float16 or int8 weights."""

from pathlib import Path

import keras

from compression.arguments import as_path
from compression.atomic import replacing
from compression.export.checks import check_file, check_model, first_images
from compression.quiet import quiet

WEIGHTS = ("float32", "float16", "int8")


def saved_model(
    model: keras.Model,
    path: str | Path,
    *,
    weights: str = "float32",
    batch: int | None = None,
) -> Path:
    """Writes `model` as a SavedModel folder, checks it and moves it to `path`.

    The folder holds one signature, "serving_default": "image" (batch, height, width,
    channels) float32 in, "logits" (batch, classes) float32 out ("probabilities" if
    the model ends in a softmax or sigmoid). Kernels are stored as `weights` says and
    widened when the model runs, so that the folder is smaller and not faster; biases
    and batch norm stay float32. The int8 codes are symmetric and have a float32 scale
    for each output channel. No optimizer is stored.

    Args:
        model: built, functional or Sequential, with one input and one output.
        path: folder to write; a SavedModel that is there is replaced once the new
            one is complete.
        weights: "float32", "float16" or "int8".
        batch: number of images in every call, None for any.

    Returns:
        `path`.

    Raises:
        FileExistsError: `path` is something else than a SavedModel.
        RuntimeError: the written folder does not give the model's logits (for float32
            within 1e-4 of the largest, or 0.1 where the model is quantized; else
            finite ones); or Keras runs on another backend than TensorFlow.
        ValueError: the model or an argument is not one of those above.
    """
    if weights not in WEIGHTS:
        raise ValueError(
            f"no weights called {weights!r}; choose from {', '.join(WEIGHTS)}"
        )
    check_model(model, batch)
    path = as_path(path)
    if path.exists() and not _is_ours_to_replace(path):
        raise FileExistsError(f"{path} is there and is no SavedModel: not replaced")

    from compression.export.serving import Serving, float32_twin

    model = float32_twin(model)
    with replacing(path) as folder:
        with quiet():
            Serving(model, weights=weights, batch=batch).save(folder)
        check_file(
            folder,
            model,
            first_images(model, None),
            exact=weights == "float32",
            path=path,
        )
    return path


def _is_ours_to_replace(path):
    return path.is_dir() and (
        (path / "saved_model.pb").exists() or not any(path.iterdir())
    )
