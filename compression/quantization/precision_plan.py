"""A plan: which layers of a net have which precision, as a file that can be read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import keras

from compression.arguments import shown
from compression.graph import read
from compression.plan_files import listed, read_plan, text, write_plan
from compression.quantization.apart import kernels_apart
from compression.quantization.aware import quantize_aware
from compression.quantization.switched import BITS, FLOAT, INT8, always_rounded

FORMAT = "limbeck precision plan 1"
PRECISIONS = (FLOAT, *BITS)
MIXED_ELSEWHERE = ("int16x8", "float16", "dynamic")


@dataclass(frozen=True)
class PrecisionPlan:
    """The precision of each layer.

    Attributes:
        net: name of the model that it was made for, for whoever reads it.
        layers: precision by the layer's name: "int8"; "int4", weights of 4 bits and
            all else of 8; "float32". A layer that a file holds as several operators is
            several, such as "conv" and "conv_activation".
        skip: patterns of layers that stay float32 because they have no integer kernel.
    """

    net: str
    layers: Mapping[str, str]
    skip: tuple[str, ...] = ()

    def __post_init__(self):
        if not isinstance(self.layers, Mapping):
            raise ValueError(
                "layers must be a dict, precision by the layer's name, got "
                f"{shown(self.layers)}"
            )

    def save(self, path: str | Path) -> None:
        """Writes the plan as JSON, a line for each layer, atomically."""
        head = {"net": self.net, "skip": list(self.skip)}
        write_plan(path, FORMAT, head, self.layers)


def load_precision_plan(path: str | Path) -> PrecisionPlan:
    """The plan that `PrecisionPlan.save` wrote, or that somebody edited.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no plan.
    """
    return read_plan(
        path, FORMAT, _read, kind="precision plan", writer="PrecisionPlan.save"
    )


def _read(content):
    layers = {layer: text(p) for layer, p in content["layers"].items()}
    skip = tuple(map(text, listed(content["skip"])))
    return PrecisionPlan(text(content["net"]), layers, skip)


def quantize_by_plan(
    model: keras.Model, plan: PrecisionPlan, calibration: Iterable
) -> keras.Model:
    """The net with fake quantization as the plan has it, to be exported as "int8".

    Args:
        model: functional or a built `Sequential`; it stays as it is.
        plan: layers that it leaves out are int8.
        calibration: batches of images, or of tuples that begin with images.

    Raises:
        ValueError: the plan is of another net, or holds a precision that a file cannot
            mix with others.
    """
    if not isinstance(plan, PrecisionPlan):
        raise ValueError(
            f"plan must be a PrecisionPlan, such as load_precision_plan reads, got "
            f"{shown(plan)}"
        )
    net = kernels_apart(model, plan.skip)
    _require(plan, net)
    return quantize_aware(
        net,
        bits={x: BITS[p] for x, p in plan.layers.items() if p not in (FLOAT, INT8)},
        calibration=calibration,
        skip=(*plan.skip, *(x for x, p in plan.layers.items() if p == FLOAT)),
    )


def _require(plan, net):
    known = {call.operation.name: call.operation for call in read(net).calls}
    for layer, precision in plan.layers.items():
        if precision in MIXED_ELSEWHERE:
            raise ValueError(
                f"the plan gives {layer!r} {precision}: LiteRT's converter mixes "
                f"{', '.join(PRECISIONS)} by layer; {precision} is of whole files "
                f"(export.litert(precision={precision!r}))"
            )
        if precision not in PRECISIONS:
            raise ValueError(
                f"the plan gives {layer!r} a precision called {precision!r}; choose "
                f"from {', '.join(PRECISIONS)}"
            )
        if layer not in known:
            raise ValueError(
                f"the plan is for another net ({plan.net!r}): {net.name!r} has no "
                f"layer {layer!r}; it has {', '.join(sorted(known))}"
            )
        if precision == FLOAT and always_rounded(known[layer]):
            raise ValueError(
                f"the plan leaves {layer!r} float32: LiteRT's converter rounds inputs, "
                "concatenations and transposed convolutions in every integer file"
            )


def weight_bytes(
    weights: Mapping[str, int], precisions: Mapping[str, str] | str
) -> int:
    """Bytes of the weights of layers, biases and scales aside.

    Args:
        weights: how many each layer has.
        precisions: of each layer, or of all.
    """
    bits = {FLOAT: 32, **BITS}
    total = 0
    for layer, count in weights.items():
        precision = precisions if isinstance(precisions, str) else precisions[layer]
        total += -(-count * bits[precision] // 8)
    return total
