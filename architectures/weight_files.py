"""Files of weights: safetensors, and PyTorch's, which are read without running code."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
from safetensors.numpy import load_file

SUFFIXES = (".pth", ".pt", ".th")  # of PyTorch's files
# Under these names training scripts save the weights, beside the epoch and others.
CONTAINERS = ("state_dict", "model_state_dict", "model", "net", "weights")
DEPTH = 2  # containers inside one another


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
            tensors that NumPy can hold. The message names `path`.
        ImportError: the file needs PyTorch, which is not installed.
        OSError: the file is not there or cannot be opened.
    """
    suffix = path.suffix.lower()
    if suffix != ".safetensors" and suffix not in SUFFIXES:
        raise ValueError(f"{path} must end in .safetensors, {', '.join(SUFFIXES)}")
    if path.is_dir():
        raise ValueError(f"{path} is a folder: give the file with the weights")
    torch = None if suffix == ".safetensors" else pytorch(path)
    with path.open("rb"):  # what the system refuses is no damage
        pass
    return _read_torch(path, torch) if torch else _read_safetensors(path)


def pytorch(path: str | Path) -> ModuleType:
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


def _read_safetensors(path):
    try:
        state = load_file(path)
        with path.open("rb") as file:
            header = file.read(int.from_bytes(file.read(8), "little"))
        # load_file takes the last of equal names, the format forbids them.
        json.loads(header, object_pairs_hook=_once)
    except Exception as error:  # besides its own AttributeError, for float8, and others
        raise ValueError(
            f"{path} is no whole safetensors file that NumPy can hold: {_reason(error)}"
        ) from error
    return state


def _once(pairs):
    found = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name} is in its header twice")
        found[name] = value
    return found


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
        if tensor.dtype == torch.bfloat16:  # which PyTorch does not give to NumPy
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
