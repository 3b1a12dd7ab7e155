"""Which kernels are pruned or shared, and how far, by the names of their layers."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

import keras

from compression.weights import KERNELS, net_of
from compression.weights import kernels as kernels_of

ENDS = {"first": 0, "last": -1}


def layer_path(kernel: keras.Variable) -> str:
    """Of the layer that a kernel belongs to; its last part is the layer's name."""
    return kernel.path.rpartition("/")[0]


def exempted(model: keras.Model, exempt: Sequence[str]) -> set[str]:
    """Paths of the layers that `exempt` names.

    Args:
        model: whose kernels there are; of a distiller, the student's.
        exempt: "first", "last" (of the layers with kernels, in the model's order), or
            patterns such as "conv*" of layers' names or paths.

    Raises:
        ValueError: one of them names no layer.
    """
    there = _layers(model)
    found = set()
    for name in exempt:
        if name in ENDS and there:
            found.add(there[ENDS[name]])
        else:
            found.update(_matching(name, there, "exempt"))
    return found


def targets_of(
    model: keras.Model,
    kernels: Sequence[keras.Variable],
    targets: Mapping[str, float],
    *,
    frozen: bool = False,
) -> list[float | None]:
    """For each kernel its own target: of the first pattern that names its layer.

    Args:
        model: whose kernels they are.
        kernels: that will be pruned, or otherwise held.
        targets: by the pattern.
        frozen: whether frozen layers may have some, too.

    Raises:
        ValueError: a pattern names no layer, or only frozen ones.
    """
    there = _layers(model)
    learning = {layer_path(v) for v in kernels_of(model)}
    paths = [layer_path(kernel) for kernel in kernels]
    found: list[float | None] = [None] * len(kernels)
    for name, target in targets.items():
        named = _matching(name, there, "targets")
        if not frozen and not named & learning:
            raise ValueError(
                f"targets[{name!r}]: {', '.join(sorted(named))} is frozen and would "
                "stay as it is; set its trainable, or leave it out"
            )
        for i, path in enumerate(paths):
            if found[i] is None and path in named:
                found[i] = target
    return found


def _layers(model):
    """Paths of the layers with kernels, frozen ones too, in order."""
    kernels = [v for v in net_of(model).variables if v.name in KERNELS]
    return list(dict.fromkeys(layer_path(kernel) for kernel in kernels))


def _matching(name, paths, setting):
    found = {
        path
        for path in paths
        if fnmatchcase(path.rpartition("/")[2], name) or fnmatchcase(path, name)
    }
    if not found:
        raise ValueError(
            f"{setting}: no layer with a kernel is called {name!r}; there are "
            f"{', '.join(paths)}"
        )
    return found
