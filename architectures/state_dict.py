"""State dicts of PyTorch, read from files and looked through: names and arrays.

Nothing of a file is ever run: safetensors holds none, and of a pickle only tensors and
plain containers are taken.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from safetensors.numpy import load_file

SUFFIXES = (".pth", ".pt", ".th")  # of PyTorch's files
# Under these names training scripts save the weights, beside the epoch and others.
CONTAINERS = ("state_dict", "model_state_dict", "model", "net", "weights")
DEPTH = 2  # containers inside one another
# What DataParallel, torch.compile and a wrapping module put before every name.
PREFIXES = ("module.", "_orig_mod.", "model.")


def given_path(path: str | Path) -> Path:
    """`path` with a leading `~` expanded.

    Raises:
        ValueError: there is no such user, or no home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(f"no home folder is known for {path}: write it out") from error


def read(path: Path) -> dict[str, np.ndarray]:
    """The names and arrays in a .safetensors, .pth, .pt or .th file.

    Raises:
        ValueError: the file is damaged or of another kind, or holds no state dict of
            tensors that numpy can hold. The message names `path`.
        ImportError: the file needs PyTorch, which is not installed.
        OSError: the file is not there or cannot be opened.
    """
    suffix = path.suffix.lower()
    if suffix != ".safetensors" and suffix not in SUFFIXES:
        raise ValueError(f"{path} must end in .safetensors, {', '.join(SUFFIXES)}")
    if path.is_dir():
        raise ValueError(f"{path} is a folder: give the file with the weights")
    torch = None if suffix == ".safetensors" else torch_for(path)
    with path.open("rb"):  # what the system refuses is no damage
        pass
    return _read_torch(path, torch) if torch else _read_safetensors(path)


def renamed(state: Mapping[str, Any], source: str) -> dict[str, Any]:
    """`state` without the prefixes that all its names have.

    Args:
        state: by name.
        source: what a refusal calls it.

    Raises:
        ValueError: a name is no text, or two are one name but for their prefix.
    """
    for name in state:
        if not isinstance(name, str):
            raise ValueError(
                f"{source} is no state dict, nothing was loaded: the name {name!r} is "
                f"a {type(name).__name__}, not text"
            )
    seen = {}
    for name in state:
        bare = _bare(name)
        if bare in seen:
            raise ValueError(
                f"{source} holds two tensors for {bare}, nothing was loaded: "
                f"{seen[bare]} and {name}"
            )
        seen[bare] = name
    found = dict(state)
    while found and (prefix := _common_prefix(found)):
        found = {name.removeprefix(prefix): found[name] for name in found}
    return found


def problem(array: np.ndarray, dtype: str, *, variance: bool = False) -> str:
    """What keeps `array` from being the value of a variable, "" if nothing does.

    Args:
        array: any.
        dtype: the variable's, a floating-point one.
        variance: the values must not be negative.
    """
    # To numpy, bfloat16 is a foreign type and no float.
    if array.dtype.kind != "f" and array.dtype.name != "bfloat16":
        return f"is {array.dtype}, should be floating point"
    if count := np.count_nonzero(np.isnan(array)):
        return f"has {count} NaN among its {array.size} values"
    if count := np.count_nonzero(np.isinf(array)):
        return f"has {count} infinite among its {array.size} values"
    with np.errstate(over="ignore"):
        count = np.count_nonzero(np.isinf(array.astype(dtype)))
    if count:
        return f"has {count} of its {array.size} values beyond the range of {dtype}"
    if variance and (count := np.count_nonzero(array < 0)):
        return f"has {count} negative among its {array.size} variances"
    return ""


def torch_for(path: str | Path) -> ModuleType:
    """PyTorch, to read `path`.

    Raises:
        ImportError: it is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            f"{path} is a PyTorch file: install torch, or convert it to .safetensors"
        ) from error
    return torch


def _bare(name):
    while prefix := _common_prefix([name]):
        name = name.removeprefix(prefix)
    return name


def _common_prefix(names):
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in names):
            return prefix
    return ""


def _read_safetensors(path):
    try:
        state = load_file(path)
        with path.open("rb") as file:
            header = file.read(int.from_bytes(file.read(8), "little"))
        # load_file takes the last of equal names, the format forbids them.
        json.loads(header, object_pairs_hook=_once)
    except Exception as error:  # besides its own AttributeError, for float8, and others
        raise ValueError(
            f"{path} is no whole safetensors file that numpy can hold: {_reason(error)}"
        ) from error
    return state


def _once(pairs):
    names = [name for name, _ in pairs]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"{', '.join(sorted(twice))} stands there twice")
    return dict(pairs)


def _read_torch(path, torch):
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # anything, from KeyError to AssertionError
        raise ValueError(
            f"{path} is no whole PyTorch file: {_reason(error)}"
        ) from error
    if not isinstance(content, Mapping):
        raise ValueError(f"{path} holds a {type(content).__name__}, not a state dict")
    found = _state_dicts(content, torch.Tensor)
    if not found:
        held = ", ".join(f"{n!r}: {type(content[n]).__name__}" for n in [*content][:8])
        raise ValueError(
            f"{path} holds no tensors by name, not at the top nor in one of "
            f"{', '.join(CONTAINERS)}; it holds {{{held}}}"
        )
    if len(found) > 1:
        raise ValueError(
            f"{path} holds several state dicts, in {' and in '.join(found)}: save the "
            "one that is meant"
        )
    [state] = found.values()
    return {
        name: _array(tensor, name, path, torch)
        for name, tensor in state.items()
        if isinstance(tensor, torch.Tensor)  # an epoch is no weight
    }


def _state_dicts(content, tensor, where="", depth=DEPTH):
    """Where in `content` -> mapping with tensors; the innermost ones."""
    found = {}
    for name in CONTAINERS if depth else ():
        if isinstance(content.get(name), Mapping):
            inside = f"{where}[{name!r}]"
            found |= _state_dicts(content[name], tensor, inside, depth - 1)
    if not found and any(isinstance(value, tensor) for value in content.values()):
        found[where] = content
    return found


def _array(tensor, name, path, torch):
    try:
        if tensor.dtype == torch.bfloat16:  # which PyTorch does not give to numpy
            tensor = tensor.float()
        return tensor.detach().numpy()
    except Exception as error:  # sparse, quantized, without values, float8, nested, ...
        raise ValueError(
            f"{path}, nothing was loaded: {name} is no plain array: {_reason(error)}"
        ) from error


def _reason(error):
    """The line of a message that says what is wrong."""
    lines = str(error).strip().splitlines() or [""]
    # PyTorch's first line advises to run the file.
    telling = [line for line in lines if "WeightsUnpickler error" in line]
    return f"{type(error).__name__}: {(telling or lines)[0].strip()[:200]}"
