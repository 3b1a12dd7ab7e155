"""A Keras model to an archive and back."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import keras
import numpy as np
from keras import ops

from compression.arguments import as_path, require_number, shown
from compression.atomic import replacing
from compression.export.archive.config_packing import packed, unpacked
from compression.export.archive.contents import SUFFIX, Contents, from_bytes, to_bytes
from compression.export.archive.keys import numpy_dtype
from compression.export.archive.rate_distortion import coarsen
from compression.export.archive.rebuilding import comparable, config_of, rebuilt
from compression.weights import require_finite_weights, require_floats


def archive(  # noqa: PLR0913, all but two by keyword
    model: keras.Model,
    path: str | Path,
    *,
    class_names: Sequence[str] = (),
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    max_drop: float | None = None,
    data: Iterable | None = None,
    log: Callable[[str], None] = lambda line: None,
    signed_zeros: bool = False,
) -> Path:
    """Writes `model` as a .limbeck file, as small as it gets without loss.

    Weights are stored as they are, bit by bit, and entropy-coded: zeros, shared and
    quantized values take few bits, whatever pruned or clustered them. -0.0 becomes 0.0
    unless `signed_zeros`. The file holds the architecture, too, but no optimizer, no
    losses and no states of random generators. What was written is read again and
    compared before it takes its place.

    With `max_drop` it becomes smaller still: the learnt weights are rounded, coarsely
    where the answers hardly feel it, to the smallest file found whose accuracy on
    `data` stays within the bound (see rate_distortion.py). Batch norm's statistics then
    go into its scale and shift. `model` itself is left as it is.

    Args:
        model: built, functional or Sequential, of any number of inputs and outputs.
        path: file to write, its name ending in .limbeck; a file that is there is
            replaced once the new one is complete.
        class_names: output i is of class_names[i]; kept for whoever reads the file.
        mean, std: of the pixels / 255 that the model was trained on, per channel.
        max_drop: fraction of `data` that may be answered wrongly more than before:
            0.01 is one point of accuracy; None: weights are kept bit by bit.
        data: batches (images, labels) on which that is counted, all of which are held
            in memory: of validation, not of test.
        log: called with each line of progress of the search.
        signed_zeros: keep -0.0, which a mask makes of negative weights: it takes a bit
            for each, and no layer computes anything else with it.

    Returns:
        `path`.

    Raises:
        ImportError: the package constriction is missing.
        IsADirectoryError: `path` is a folder.
        ValueError: the model is not one of those above, cannot be rebuilt from its
            config without code of its own, has weights that are not finite or are more
            than 4 GB; or an argument is not one of those above; `max_drop` without
            `data`, for a model that does not give logits, or not in [0, 1).
    """
    path = as_path(path)
    if path.suffix != SUFFIX:
        raise ValueError(f"path must end in {SUFFIX}, got {path}")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: not replaced")
    about = {
        "class_names": _class_names(class_names, model),
        "mean": _numbers("mean", mean),
        "std": _numbers("std", std),
    }
    if len(about["mean"]) != len(about["std"]):
        raise ValueError(
            "mean and std must be of the same channels, got "
            f"{len(about['mean'])} and {len(about['std'])} numbers"
        )
    if any(number <= 0 for number in about["std"]):
        raise ValueError(f"std must be above 0, got {list(about['std'])}")
    if max_drop is not None:
        model = _coarser(model, data, max_drop, log)
    elif data is not None:
        raise ValueError("data are for max_drop, which is None: nothing is rounded")
    content = to_archive(model, signed_zeros=signed_zeros, **about)
    _check(content, model, signed_zeros, path)
    with replacing(path) as file:
        file.write_bytes(content)
    return path


def to_archive(
    model: keras.Model, *, signed_zeros: bool = False, **about: tuple
) -> bytes:
    """The content of the file of `model`; `about` are `class_names`, `mean`, `std`.

    Raises:
        ImportError, ValueError: as `archive`.
    """
    _require_model(model)
    config = config_of(model)
    return to_bytes(Contents(config, _values(model, signed_zeros), **about))


def load_archive(path: str | Path) -> keras.Model:
    """The model in a .limbeck file, with the very weights that it was written from.

    Layers that Keras does not ship must be registered by then: import the modules that
    define them.

    Raises:
        FileNotFoundError: there is nothing at `path`.
        ImportError: the package constriction is missing.
        ValueError: it is no archive, of a later version or damaged, or has layers that
            nobody has registered or that run code of the file's.
    """
    path = as_path(path)
    contents = read_archive(path)
    return rebuilt(contents.config, contents.weights, path)


def read_archive(path: str | Path, *, weights: bool = True) -> Contents:
    """What a .limbeck file holds, without a model built of it.

    Args:
        path: of the file.
        weights: whether they shall be decoded, which takes longest.

    Raises:
        FileNotFoundError, ImportError, ValueError: as `load_archive`.
    """
    path = as_path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no archive at {path}")
    if path.is_dir():
        raise ValueError(f"{path} is a folder, no archive")
    return from_bytes(path.read_bytes(), path, weights=weights)


def _require_model(model):
    if not isinstance(model, keras.Model):
        raise ValueError(f"model must be a keras.Model, got {type(model).__name__}")
    if not model.built or not getattr(model, "inputs", None):
        raise ValueError(
            "model must be a built functional or Sequential model, got "
            f"{type(model).__name__} {model.name!r} without a graph"
        )
    require_floats(model)
    require_finite_weights(model)


def _coarser(model, data, max_drop, log):
    """A copy with rounded weights."""
    if data is None:
        raise ValueError(
            "max_drop needs data: batches (images, labels) of validation, on which "
            "accuracy is counted"
        )
    _require_model(model)
    # As a file has it: without the losses that the model was compiled with.
    config = unpacked(packed(config_of(model)))
    twin = rebuilt(config, _values(model, True), f"a copy of {model.name!r}")
    found = coarsen(twin, data, max_drop=max_drop, log=log)
    log(
        f"top-1 {100 * found.exact_top1:.2f} % before, {100 * found.top1:.2f} % after "
        f"rounding, of {found.images:,} images; {found.tries} tries"
    )
    return twin


def _check(content, model, signed_zeros, path):
    """Reads it as `load_archive` will."""
    contents = from_bytes(content, path)
    values = _values(model, signed_zeros)
    for before, after in zip(values, contents.weights, strict=True):
        if before.dtype != after.dtype or before.tobytes() != after.tobytes():
            raise RuntimeError(f"{path} does not hold the weights of {model.name!r}")
    twin = rebuilt(contents.config, contents.weights, path)
    if comparable(twin) != comparable(model):
        raise ValueError(
            f"{model.name!r} cannot be rebuilt from its config: has it layers whose "
            "get_config lacks something?"
        )


def _values(model, signed_zeros):
    values = [_value(variable) for variable in model.weights]
    return values if signed_zeros else [_unsigned(value) for value in values]


def _unsigned(value):
    """Without -0.0."""
    return np.where(value == 0, np.zeros((), value.dtype), value)


def _value(variable):
    """As it is stored, also where a backend gives another type."""
    dtype = keras.backend.standardize_dtype(variable.dtype)
    value = ops.convert_to_numpy(variable.value)
    return np.ascontiguousarray(value, numpy_dtype(dtype)).reshape(variable.shape)


def _class_names(given, model):
    found = _list("class_names", "strings", given)
    if not all(isinstance(name, str) for name in found):
        raise ValueError(f"class_names must be a list of strings, got {shown(given)}")
    counts = {output.shape[-1] for output in getattr(model, "outputs", None) or ()}
    if 1 in counts:  # one logit, of two classes
        counts.add(2)
    if found and counts and len(found) not in counts:
        raise ValueError(
            f"class_names are {len(found)}, {model.name!r} gives {min(counts)} numbers"
        )
    return found


def _numbers(name, given):
    found = _list(name, "numbers", given)
    for number in found:
        require_number(name, number)
    return tuple(map(float, found))


def _list(name, what, given):
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ValueError(f"{name} must be a list of {what}, got {shown(given)}")
    return tuple(given)
