"""One protocol for CIFAR-10 and MNIST: what is compared, and with what.

At every width: the student alone, and with soft targets. At one of them, the middle:

- other losses, a mix of them whose weight is chosen on validation, and a teacher
  assistant between teacher and student (Mirzadeh et al. 2020,
  https://arxiv.org/abs/1902.03393);
- pruned weight by weight, channels removed from the student of twice the width, values
  shared, in integers without training and with, coded to an archive; those that train
  go on with the teacher, and `longer` is the student that trains as long with nothing
  done to it;
- the three steps P (prune), K (learn from the teacher) and Q (train with rounding) in
  every order, each for as many epochs, from the student alone; what is not K learns
  from labels. `order_pk` is half-way to `order_pkq`, whose last letter is done last.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from experiments.recipes.resnet_to_alexnet import orders
from experiments.stages.base import Export, Stage
from experiments.stages.channels import Channels
from experiments.stages.choose_weight import ChooseWeight
from experiments.stages.cluster import Cluster
from experiments.stages.distill import Distill
from experiments.stages.net import Net
from experiments.stages.prune import Prune
from experiments.stages.quantize import Quantize
from experiments.stages.quantize_aware import QuantizeAware
from experiments.stages.rate_distortion import RateDistortion
from experiments.stages.teaching import Teaching
from experiments.stages.train import Train
from experiments.training.settings import Training

LITERT, INT8 = (Export("litert"),), (Export("litert", "int8"),)
SPARSITY, CLUSTERS = 0.8, 16
TRIALS = 4  # of the mix's weight


@dataclass(frozen=True)
class Lengths:
    """Epochs: of a new student, one that is compressed, a step of an order, a trial."""

    student: int
    compressed: int
    step: int
    trial: int


@dataclass(frozen=True)
class Protocol:
    """What differs between the datasets.

    Attributes:
        teacher: the stage of that name.
        assistant: the stage of that name; it has the teacher's help.
        widths: of students, as 1 / width, widest first; one of them is `middle`.
        middle: of the student on which everything is tried; half and twice that are in
            `widths`.
        once: widths that are trained with one seed.
        training: of a student, its epochs apart.
        lengths: epochs.
        teaching: soft targets.
        methods: name -> other teaching.
        mix: of several losses; how much they weigh beside the labels is tried.
        macs: of the middle student, as a fraction of those of the wider one.
    """

    teacher: Stage
    assistant: Stage
    widths: tuple[int, ...]
    middle: int
    once: tuple[int, ...]
    training: Training
    lengths: Lengths
    teaching: Teaching
    methods: Mapping[str, Teaching]
    mix: Teaching
    macs: float


def stages(protocol: Protocol) -> tuple[Stage, ...]:
    """All stages of the protocol, in the order in which they run."""
    return (
        protocol.teacher,
        protocol.assistant,
        *_widths(protocol),
        *_methods(protocol),
        *_compressed(protocol),
        *_orders(protocol),
    )


def student(width: int) -> Net:
    """AlexNet's form for small images with a `width`-th of the channels."""
    return Net("alexnet_small", {"width": 1 / width, "dropout": 0.1})


def _widths(protocol):
    training = _training(protocol, protocol.lengths.student)
    made = []
    for width in protocol.widths:
        rest: dict[str, Any] = {"exports": LITERT, "once": width in protocol.once}
        net, taught = student(width), protocol.teaching
        made += [
            Train(f"alone_{width}", net, training, **rest),
            Distill(f"soft_{width}", net, training, taught, **rest),
        ]
    return made


def _methods(protocol):
    training = _training(protocol, protocol.lengths.student)
    by_assistant = replace(protocol.teaching, teacher=protocol.assistant.name)
    mix = replace(protocol.mix, weighed_by="mix_weight")
    methods = protocol.methods | {"mix": mix, "assisted": by_assistant}
    net, trial = student(protocol.middle), _training(protocol, protocol.lengths.trial)
    return [
        ChooseWeight("mix_weight", net, trial, protocol.mix, trials=TRIALS),
        *(
            Distill(name, net, training, teaching, exports=LITERT)
            for name, teaching in methods.items()
        ),
    ]


def _compressed(protocol):
    lengths, taught = protocol.lengths, {"teaching": protocol.teaching}
    middle, wider = f"soft_{protocol.middle}", f"soft_{protocol.middle // 2}"
    again = _training(protocol, lengths.compressed)
    longer = _training(protocol, lengths.student + lengths.compressed)
    return [
        Distill(
            "longer",
            student(protocol.middle),
            longer,
            protocol.teaching,
            exports=LITERT,
        ),
        Prune("pruned", middle, again, sparsity=SPARSITY, exports=LITERT, **taught),
        RateDistortion("archive", "pruned", max_drop=0.2),
        Channels(
            "channels", wider, again, macs=protocol.macs, exports=LITERT, **taught
        ),
        Quantize("channels_int8", "channels", exports=INT8),
        Cluster(
            "clustered", middle, again, clusters=CLUSTERS, exports=LITERT, **taught
        ),
        Quantize("int8", middle, exports=INT8),
        QuantizeAware("int8_trained", middle, again, **taught),
    ]


def _orders(protocol):
    return [_step(protocol, done) for done in orders.begun()]


def _step(protocol, done):
    before, last = done[:-1], done[-1]
    start = f"{orders.PREFIX}{before}" if before else f"alone_{protocol.middle}"
    training = _training(protocol, protocol.lengths.step)
    exports = INT8 if "q" in done else LITERT
    options: dict[str, Any] = {"training": training, "exports": exports}
    if last == "p":
        return Prune(f"{orders.PREFIX}{done}", start, sparsity=SPARSITY, **options)
    kind = QuantizeAware if last == "q" else Train
    if last == "q":
        options["freeze"] = 1.0  # batch norm must follow what later steps change
    else:
        options["teaching"] = protocol.teaching
    return kind(f"{orders.PREFIX}{done}", start, keep_zeros="p" in before, **options)


def _training(protocol, epochs):
    return replace(protocol.training, epochs=epochs)
