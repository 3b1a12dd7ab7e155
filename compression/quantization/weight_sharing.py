"""Weight sharing: the weights of a layer take a few values, for which codes stand.

Han, Mao, Dally (2016), "Deep Compression: Compressing Deep Neural Networks with
Pruning, Trained Quantization and Huffman Coding", https://arxiv.org/abs/1510.00149,
section 3. `share_weights` does it at once; `Cluster` while the net trains.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from compression.arguments import names, require_number, shown
from compression.choice import exempted, layer_path, targets_of
from compression.graph import rebuild
from compression.quantization.codebook import codebook
from compression.quantization.kmeans import INITIALISATIONS
from compression.weights import KERNELS, channel_axes

SCOPES = ("layer", "channel", "global")
FEWEST, MOST = 2, 256
LAST = (-1,)


@dataclass(frozen=True)
class Sharing:
    """How many values, and how they are found.

    Attributes:
        clusters: the most values of a kernel, 2 to 256; with `preserve_zeros`, a
            zero is one of them.
        scope: who shares them: "layer": the weights of a kernel; "channel": those of
            each output channel; "global": those of all kernels.
        initialisation: of k-means: "kmeans++", "linear" or "density" (Deep
            Compression, section 3.2), see `kmeans`.
        preserve_zeros: whether weights that are zero stay zero, and no other value
            stands for them.
        rate: what a bit of a weight's code costs, in mean squares of a weight, when
            its value is chosen, see `codebook`; 0: nothing. 0.01 is little, 0.1 much.
        targets: other numbers of clusters by patterns of layers' names, as
            {"conv*": 256}; the first that matches counts. Such a kernel does not share
            values with others.
        exempt: layers whose weights are left alone: "first", "last" or patterns.
        seed: of k-means++.

    Raises:
        ValueError: one of them is not as above.
    """

    clusters: int = 16
    scope: str = "layer"
    initialisation: str = "kmeans++"
    preserve_zeros: bool = True
    rate: float = 0.0
    targets: Mapping[str, int] = field(default_factory=dict)
    exempt: Sequence[str] = ()
    seed: int = 0

    def __post_init__(self):
        _require_clusters("clusters", self.clusters)
        for name, allowed in (("scope", SCOPES), ("initialisation", INITIALISATIONS)):
            value = getattr(self, name)
            if value not in allowed:
                raise ValueError(
                    f"no {name} called {value!r}; choose from {', '.join(allowed)}"
                )
        require_number("rate", self.rate)
        if self.rate < 0:
            raise ValueError(f"rate must not be negative, got {self.rate}")
        require_number("seed", self.seed, whole=True)
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, got {self.seed}")
        if not isinstance(self.targets, Mapping):
            raise ValueError(
                'targets must be numbers of clusters by name, as in {"conv*": 256}, '
                f"got {shown(self.targets)}"
            )
        for name, clusters in self.targets.items():
            _require_clusters(f"targets[{name!r}]", clusters)
        object.__setattr__(self, "exempt", names("exempt", self.exempt))


class Kernel(NamedTuple):
    """A variable whose weights are shared.

    Attributes:
        variable: the kernel.
        clusters: the most values of those that share.
        alone: whether it has values of its own, whatever the scope.
        channels: the number of the output channel of each weight, of a shape that
            broadcasts to the kernel's; None where they do not count.
    """

    variable: keras.Variable
    clusters: int
    alone: bool
    channels: np.ndarray | None

    @property
    def groups(self) -> int:
        """How many sets of values the kernel has."""
        return 1 if self.channels is None else int(self.channels.max()) + 1


class Shared(NamedTuple):
    """Of a kernel, of its shape: codes and the values that they stand for.

    Code 0 is a zero that stays; from 1 on values are counted, in each group anew.
    """

    codes: np.ndarray
    weights: np.ndarray


def share_weights(
    model: keras.Model,
    clusters: int = 16,
    *,
    select: Callable[[keras.Variable], bool] | None = None,
    **options,
) -> keras.Model:
    """The same net, each kernel with few values; other weights stay, and `model` too.

    Nothing is trained, the same arguments give the same weights, and a net that has as
    few values already is left as it is. Kernels that are frozen are shared like others.

    Args:
        model: functional or a built `Sequential`.
        clusters: the most values of a kernel, 2 to 256.
        select: keeps the kernels for which it is true; all by default.
        options: as `Sharing` takes them: scope, initialisation, preserve_zeros, rate,
            targets, exempt, seed.

    Raises:
        ValueError: `model` has no graph, no kernel (selected) or one that is not
            finite; a name matches no layer; or an argument is not one of those above.
    """
    how = Sharing(clusters, **options)
    if select is not None and not callable(select):
        raise ValueError(
            f"select must be a function of a variable, got {shown(select)}"
        )
    net = rebuild(model)
    found = [v for v in net.variables if v.name in KERNELS]
    chosen = kernels_to_share(
        net, [v for v in found if select is None or select(v)], how, frozen=True
    )
    if not chosen:
        raise ValueError(f"model {model.name!r} has no kernel to share (selected)")
    for kernel, each in zip(chosen, shared(chosen, how), strict=True):
        kernel.variable.assign(each.weights)
    return net


def kernels_to_share(
    model: keras.Model,
    variables: Sequence[keras.Variable],
    how: Sharing,
    *,
    frozen: bool = False,
) -> list[Kernel]:
    """Those of `variables` that are not exempt.

    Args:
        model: whose they are.
        variables: kernels.
        how: to share them.
        frozen: whether targets may name frozen layers.

    Raises:
        ValueError: a name matches no layer, or only frozen ones.
    """
    spared = exempted(model, how.exempt)
    variables = [v for v in variables if layer_path(v) not in spared]
    own = targets_of(model, variables, how.targets, frozen=frozen)
    axes = channel_axes(model) if how.scope == "channel" else {}
    return [
        Kernel(
            variable,
            how.clusters if target is None else target,
            alone=target is not None or how.scope != "global",
            channels=_channels(variable.shape, axes.get(id(variable), LAST))
            if how.scope == "channel"
            else None,
        )
        for variable, target in zip(variables, own, strict=True)
    ]


def shared(kernels: Sequence[Kernel], how: Sharing) -> list[Shared]:
    """Codes and values of the kernels as they are now.

    Raises:
        ValueError: a weight is not finite.
    """
    weights = []
    for kernel in kernels:
        value = ops.convert_to_numpy(kernel.variable.value)
        if not np.isfinite(value.astype("float32", copy=False)).all():
            raise ValueError(
                f"{kernel.variable.path} is not finite: has its training diverged?"
            )
        weights.append(value)
    found = [
        Shared(np.zeros(value.shape, np.int16), np.zeros_like(value))
        for value in weights
    ]
    for clusters, group in _groups(kernels, weights, found):
        _share(group, clusters, how)
    return found


def _groups(kernels, weights, found):
    """Which share: the number of clusters, and (weights, where to write) of each."""
    together = []
    for kernel, value, to in zip(kernels, weights, found, strict=True):
        if not kernel.alone:
            together.append((value, to, ...))
        elif kernel.channels is None:
            yield kernel.clusters, [(value, to, ...)]
        else:
            for channel in np.ndindex(kernel.channels.shape):
                at = tuple(
                    slice(None) if length == 1 else number
                    for length, number in zip(
                        kernel.channels.shape, channel, strict=True
                    )
                )
                yield kernel.clusters, [(value[at], to, at)]
    if together:
        yield next(k.clusters for k in kernels if not k.alone), together


def _share(group, clusters, how):
    """Writes codes and values of the weights that share."""
    parts = [value for value, _, _ in group]
    if how.preserve_zeros:
        parts = [value[value != 0] for value in parts]
        zeros = any(
            part.size < value.size
            for part, (value, _, _) in zip(parts, group, strict=True)
        )
        clusters -= zeros
    parts = [part for part in parts if part.size]
    if not parts:
        return  # all are zero
    book = codebook(
        parts,
        clusters,
        initialisation=how.initialisation,
        rate=how.rate,
        seed=how.seed,
    )
    for value, to, at in group:
        codes = book.codes(value)
        codes += 1
        if how.preserve_zeros:
            codes[value == 0] = 0
        to.codes[at] = codes
        to.weights[at] = np.append(value.dtype.type(0), book.values)[codes]


def _channels(shape, axes):
    """The number of each channel, 1 long where an axis does not number channels."""
    axes = {axis % len(shape) for axis in axes}
    sizes = [length if i in axes else 1 for i, length in enumerate(shape)]
    return np.arange(math.prod(sizes), dtype=np.int32).reshape(sizes)


def _require_clusters(name, clusters):
    require_number(name, clusters, whole=True)
    if not FEWEST <= clusters <= MOST:
        raise ValueError(f"{name} must be {FEWEST} to {MOST}, got {clusters}")
