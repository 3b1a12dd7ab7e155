"""What a net's file will take, counted in the net: written are only promising ones."""

import math
from dataclasses import dataclass

import keras

from compression import measure
from experiments.search.candidate import Candidate
from experiments.search.limits import Cost

# Of an int8 file, for each channel that a kernel makes: a bias of 4 bytes, and of both
# kernel and bias a scale of 4 and a zero point of 8.
CHANNEL_BYTES = 28
MOST_OF_A_LAYER = 1500.0  # bytes that describe one, its kernel apart
FIXED = 0.1  # share of a latency that does not shrink with the net
# Deflate spares up to so many bits of each weight that is not zero, for most lie far
# from the ends of their range; says where zeros are with this much more than it takes
# at least; and leaves this share of the rest of a file.
MOST_SPARED, ZIPPED_PLACES, ZIPPED_REST = 3.0, 1.2, 0.45


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

    def zipped_kernels(self, bits: int, sparsity: float, spared: float) -> float:
        """Bytes of the kernels after deflate: where zeros are, and what the rest is.

        Args:
            bits: of a weight.
            sparsity: fraction of zeros.
            spared: bits of a weight that is not zero.
        """
        shares = [share for share in (sparsity, 1 - sparsity) if share > 0]
        where = -ZIPPED_PLACES * sum(share * math.log2(share) for share in shares)
        each = where + (1 - sparsity) * (bits - spared)
        return self.kernels * min(each, bits) / 8


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
        self._spared = self._spared_bits()
        self._factors: dict[str | None, dict[str, float]] = {}

    def of(self, net: keras.Model, candidate: Candidate) -> Cost:
        """Of the net's file.

        Args:
            net: before or after training.
            candidate: what it is; its bits, zeros and kind are asked.
        """
        counts, bits = Counts.of(net), candidate.bits
        share = counts.macs / self._whole.macs
        factors = self._factors.get(candidate.net, {})
        whole_arena, arena = self._cost.arena_bytes, None
        if whole_arena is not None:
            arena = whole_arena * counts.activations / self._whole.activations
            arena = int(arena * factors.get("arena_bytes", 1.0))
        size = counts.bytes(bits) + counts.layers * self._layer_bytes
        zipped = None
        if self._cost.bytes_zipped is not None:
            zipped = counts.zipped_kernels(bits, candidate.sparsity, self._spared)
            zipped += ZIPPED_REST * (size - counts.kernels * bits / 8)
            zipped = int(zipped * factors.get("bytes_zipped", 1.0))
        latency = self._cost.latency_ms * (FIXED + (1 - FIXED) * share)
        return Cost(
            bytes=int(size * factors.get("bytes", 1.0)),
            latency_ms=latency * factors.get("latency_ms", 1.0),
            macs=counts.macs,
            arena_bytes=arena,
            bytes_zipped=zipped,
        )

    def _spared_bits(self):
        """Of each weight, as in the given model's file."""
        zipped, kernels = self._cost.bytes_zipped, self._whole.kernels
        if zipped is None or not kernels:
            return 0.0
        left = zipped - ZIPPED_REST * (self._cost.bytes - kernels)
        return min(max(8 - 8 * left / kernels, 0.0), MOST_SPARED)

    def learn(self, estimated: Cost, measured: Cost, kind: str | None) -> None:
        """A file of that kind was estimated so, and takes this."""
        before, factors = self._factors.get(kind, {}), {}
        for name in ("bytes", "latency_ms", "arena_bytes", "bytes_zipped"):
            value, truth = getattr(estimated, name), getattr(measured, name)
            if value and truth:
                factors[name] = before.get(name, 1.0) * truth / value
        self._factors[kind] = factors
