"""Mixed precision: as few bits for each layer as a bound on accuracy allows."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import keras

from compression.arguments import names, require_number
from compression.quantization.precision_plan import PrecisionPlan, weight_bytes
from compression.quantization.sensitivity import (
    Examples,
    LayerCost,
    costs,
    known_precisions,
    scores_of,
)
from compression.quantization.switched import FLOAT, INT4, INT8, SwitchedNet


@dataclass(frozen=True)
class Mixed:
    """A plan, and what it is worth on the data that it was chosen by.

    Attributes:
        plan: the precision of each layer.
        costs: of each layer alone, the dearest first.
        top1: fraction of right answers with the plan.
        float_top1: of the float net.
        images: how many were asked.
        weight_bytes: of the weights as the plan has them.
        int8_bytes: of the weights, were all int8.
        float_bytes: of the weights in float32.
        checks: how often all layers together were tried.
    """

    plan: PrecisionPlan
    costs: tuple[LayerCost, ...]
    top1: float
    float_top1: float
    images: int
    weight_bytes: int
    int8_bytes: int
    float_bytes: int
    checks: int


def mixed_precision(  # noqa: PLR0913, all but two by keyword
    model: keras.Model,
    data: Iterable,
    *,
    max_drop: float,
    ranking: int | None = None,
    precisions: Sequence[str] = (INT8, INT4),
    calibration: Iterable | None = None,
    skip: Sequence[str] = (),
    log: Callable[[str], None] = lambda line: None,
) -> Mixed:
    """Chooses a precision for each layer: as many low ones as a bound allows.

    All layers begin in float32. Those that cost least alone become int8, then those
    that cost least for each byte become int4: all of them, or as many of the first as
    hold the bound together, found by halving. That is few checks on purpose: more of
    them, of one layer after the other, would find those that fit these images by
    chance: on 1,000 images, for half a point, those with which a GoogLeNet loses 3.2
    on the test images; as it is done here it loses 1.5. A layer that stays float32
    between integer ones costs time, too: what it reads and gives is converted.

    Args:
        model: functional or a built `Sequential`, trained, not quantized.
        data: batches (images, labels): the bound holds on these, and a net that never
            saw them is not promised to keep it.
        max_drop: percentage points of top-1 accuracy that may be lost, from 0 on.
        ranking: number of `data`'s first images by which layers are ranked, a pass for
            each; None: all of them. All count for the bound, which takes few passes.
        precisions: that layers may have instead of float32.
        calibration: batches of images from which ranges are read; None: `data`.
        skip: layers that always stay float32, by name or pattern.
        log: called with each line of progress.

    Raises:
        ValueError: as `sensitivity`; or the bound is negative, `ranking` not positive,
            or the bound missed with all layers in float32, since images are rounded in
            every integer file.
    """
    if not isinstance(max_drop, float):
        require_number("max_drop", max_drop)
    if not 0 <= max_drop <= 100:
        raise ValueError(f"max_drop must be 0 to 100 percentage points, got {max_drop}")
    if ranking is not None:
        require_number("ranking", ranking, whole=True)
        if ranking < 1:
            raise ValueError(f"ranking must be positive, got {ranking}")
    precisions = known_precisions(precisions)
    skip = names("skip", skip)
    data = Examples.of(data, model)
    net = SwitchedNet(
        model, [data.images] if calibration is None else calibration, skip
    )
    few = Examples(data.images[:ranking], data.labels[:ranking])
    rows = costs(net, few, precisions, log)
    choice = _Choice(net, data, rows, max_drop, log)
    if INT8 in precisions:
        choice.lower(INT8)
    if INT4 in precisions:
        choice.lower(INT4)
    weights = {name: part.weights for name, part in net.parts.items()}
    return Mixed(
        plan=PrecisionPlan(model.name, choice.plan, skip),
        costs=tuple(rows),
        top1=choice.top1,
        float_top1=choice.float_top1,
        images=len(data.images),
        weight_bytes=weight_bytes(weights, choice.plan),
        int8_bytes=weight_bytes(weights, INT8),
        float_bytes=weight_bytes(weights, FLOAT),
        checks=choice.checks,
    )


class _Choice:
    """A plan that is lowered as far as the bound allows."""

    def __init__(self, net, data, rows, max_drop, log):
        self.net, self.data, self.log = net, data, log
        self.cost = {(row.layer, row.precision): row.loss for row in rows}
        self.checks = 0
        net.all_float()
        self.float_top1 = self._top1()
        self.least = self.float_top1 - max_drop / 100
        self.plan = {
            name: FLOAT if FLOAT in part.precisions else INT8
            for name, part in net.parts.items()
        }
        net.all_of(self.plan)
        self.top1 = self._top1()
        if not self._holds(self.top1):
            lost = 100 * (self.float_top1 - self.top1)
            raise ValueError(
                f"rounding the images alone costs {lost:.2f} points, more than "
                f"{max_drop:g}: give a wider bound, or calibration images whose range "
                "is that of the data"
            )

    def lower(self, precision):
        """Gives it to all layers that take it, as far as the bound allows."""
        layers = [
            name
            for name, part in self.net.parts.items()
            if precision in part.precisions and self.plan[name] != precision
        ]
        layers.sort(key=lambda layer: self._price(layer, precision))
        before, holds, fails = self.plan, 0, len(layers) + 1
        tried = len(layers)  # all at first
        while holds < tried < fails:
            trial = before | dict.fromkeys(layers[:tried], precision)
            self.net.all_of(trial)
            top1 = self._top1()
            self.checks += 1
            lost = 100 * (self.float_top1 - top1)
            self.log(f"{tried} layers in {precision}: {lost:+.2f} points lost")
            if self._holds(top1):
                holds, self.plan, self.top1 = tried, trial, top1
            else:
                fails = tried
            tried = (holds + fails) // 2

    def _price(self, layer, precision):
        """What it costs alone, of int4 for each weight."""
        loss = self.cost.get((layer, precision), 0.0)
        if precision == INT8:
            return loss
        loss -= self.cost.get((layer, INT8), 0.0)
        return loss / max(self.net.parts[layer].weights, 1)

    def _holds(self, top1):
        return top1 >= self.least - 1e-9  # sums of floats

    def _top1(self):
        logits, _ = self.net.answers(self.data.images)
        return scores_of(logits, self.data.labels)[1]
