"""Files of weights: safetensors, and PyTorch's, which are read without running code."""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
from safetensors.numpy import load_file

# Under which key a PyTorch file may keep its state dict, beside an epoch and the like.
CONTAINERS = ("state_dict", "model", "model_state_dict", "net", "weights")
SUFFIXES = (".safetensors", ".pth", ".pt", ".th")


def read(path: Path) -> dict[str, np.ndarray]:
    """The arrays in a file, by name.

    Raises:
        ValueError: it is no such file, or damaged; names it.
        FileNotFoundError: there is none.
        ImportError: the file needs PyTorch, which is not installed.
    """
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path} must end in {', '.join(SUFFIXES[:-1])} or .th")
    if path.is_dir():
        raise ValueError(f"{path} is a folder, not a file of weights")
    if path.suffix != ".safetensors":
        return _read_pytorch(path, pytorch(path))
    _require_file(path)
    try:
        return load_file(path)
    except Exception as error:  # SafetensorError, or of a dtype NumPy lacks
        raise ValueError(
            f"{path} is no whole safetensors file that NumPy can hold: {error!r}"
        ) from error


def _require_file(path):
    if not path.exists():
        raise FileNotFoundError(f"there is no file of weights at {path}")


def _read_pytorch(path, torch):
    _require_file(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged pickle or zip raises
        raise ValueError(f"{path} is no whole PyTorch file: {error}") from error
    for key in CONTAINERS * 2:
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping):
        raise ValueError(f"{path} holds a {type(state).__name__}, not a state dict")
    # What is no tensor (an epoch) is no weight.
    return {
        str(name): _array(path, name, value)
        for name, value in state.items()
        if isinstance(value, torch.Tensor)
    }


def _array(path, name, tensor):
    """NumPy's array of a PyTorch tensor."""
    try:
        if tensor.is_floating_point() and tensor.element_size() < 4:
            tensor = tensor.float()  # NumPy has no bfloat16
        return tensor.numpy()
    except Exception as error:  # sparse, quantized, on no device
        raise ValueError(
            f"{path}: {name} is no plain tensor of numbers: {error}"
        ) from error


def pytorch(path: Path | str) -> ModuleType:
    """PyTorch, to read `path` with.

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
