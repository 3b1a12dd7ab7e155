"""What a net's file will take, counted in the net: written are only promising ones."""

import math
from dataclasses import dataclass

import keras

from compression import measure
from experiments.search.limits import Cost

# Of an int8 file, for each channel that a kernel makes: a bias of 4 bytes, a scale of 4
# and a zero point of 8.
CHANNEL_BYTES = 16
MOST_OF_A_LAYER = 1500.0  # bytes that describe one, its kernel apart
FIXED = 0.1  # share of a latency that does not shrink with the net


@dataclass(frozen=True)
class Counts:
    """What is counted in a net."""

    macs: int
    kernels: int
    channels: int
    layers: int
    activations: int

    @classmethod
    def of(cls, net: keras.Model) -> "Counts":
        kernels = [v.shape for v in net.weights if len(v.shape) > 1]
        return cls(
            macs=measure.macs(net),
            kernels=sum(math.prod(shape) for shape in kernels),
            channels=sum(shape[-1] for shape in kernels),
            layers=len(kernels),
            activations=measure.peak_activations(net),
        )

    def bytes(self, bits: int) -> float:
        """Of the file, but for what describes each layer."""
        return self.kernels * bits / 8 + CHANNEL_BYTES * self.channels


class Estimates:
    """Costs of files, from those of the given model's and of others since.

    Args:
        model: the given one.
        cost: of its int8 file, measured.
    """

    def __init__(self, model: keras.Model, cost: Cost):
        self._whole, self._cost = Counts.of(model), cost
        layers = (cost.bytes - self._whole.bytes(8)) / max(self._whole.layers, 1)
        self._layer_bytes = min(max(layers, 0.0), MOST_OF_A_LAYER)
        self._factors: dict[str | None, dict[str, float]] = {}

    def of(self, net: keras.Model, bits: int, kind: str | None) -> Cost:
        """Of the net's file.

        Args:
            net: before or after training.
            bits: of its weights.
            kind: the student's name; None: a cut of the given model.
        """
        counts = Counts.of(net)
        share = counts.macs / self._whole.macs
        factors = self._factors.get(kind, {})
        whole_arena, arena = self._cost.arena_bytes, None
        if whole_arena is not None:
            arena = whole_arena * counts.activations / self._whole.activations
            arena = int(arena * factors.get("arena_bytes", 1.0))
        size = counts.bytes(bits) + counts.layers * self._layer_bytes
        latency = self._cost.latency_ms * (FIXED + (1 - FIXED) * share)
        return Cost(
            bytes=int(size * factors.get("bytes", 1.0)),
            latency_ms=latency * factors.get("latency_ms", 1.0),
            macs=counts.macs,
            arena_bytes=arena,
        )

    def learn(self, estimated: Cost, measured: Cost, kind: str | None) -> None:
        """A file of that kind was estimated so, and takes this."""
        before, factors = self._factors.get(kind, {}), {}
        for name in ("bytes", "latency_ms", "arena_bytes"):
            value, truth = getattr(estimated, name), getattr(measured, name)
            if value and truth:
                factors[name] = before.get(name, 1.0) * truth / value
        self._factors[kind] = factors
