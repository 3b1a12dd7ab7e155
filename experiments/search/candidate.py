"""A way to a smaller net: some channels of the one given, or a student in its place."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import keras
import numpy as np

from compression import measure, pruning, quantization
from compression.batch_norm import batch_norms
from compression.copies import copied
from compression.graph import read
from experiments.data import Data
from experiments.data.pipeline import first_batches
from experiments.search.limits import Limits
from experiments.stages.channels import Channels
from experiments.stages.distill import Distill
from experiments.stages.file import File
from experiments.stages.net import Net
from experiments.stages.prune import Prune, zeros
from experiments.stages.quantize_aware import QuantizeAware
from experiments.stages.teaching import Teaching
from experiments.stages.training_stage import TrainingStage
from experiments.training.settings import Training
from experiments.value_types import check_types

GIVEN = "model"  # the stage that holds the model that was given, who teaches all others
BUDGETS = ("macs", "parameters", "ram")  # of which a cut leaves a fraction
SALIENCIES = ("l2", "batch_norm", "taylor")
STUDENTS = {  # nets that take a width, and what suits narrow ones
    "resnet20": {},
    "alexnet_small": {"dropout": 0.1},
    "vgg11_cifar": {},
}
STUDENT_SIDES = (28, 64)  # pixels of the images that these nets are made for
WIDTHS = (1 / 32, 1.0)  # of students
SPARSITIES = (0.0, 0.5, 0.7, 0.8, 0.9)  # where zipped bytes are limited
# Cuts keep multiples of so many channels: with odd numbers of them ResNet-20 was
# measured to train half as fast on a processor, and to answer no faster.
ROUND_TO = 4
FLOOR = 0.02  # of a group's channels that stay: searches look further than people do
BIAS = 0.001  # about what a student that has not learned is given
IMAGES, BATCH = 512, 128  # of train, by which channels are ranked and repaired


@dataclass(frozen=True)
class Candidate:
    """A smaller net, and in how many bits its weights are written.

    Attributes:
        net: of the catalogue, a student; None: the given model.
        width: of a student.
        keep: the fraction of `budget` that stays when channels are cut; 1: none are.
        budget: one of BUDGETS.
        saliency: by which channels are ranked.
        bits: of the weights in the file, 8 or 4.
        sparsity: fraction of its weights that are zero.
        round_to: a cut keeps multiples of so many channels.
    """

    net: str | None = None
    width: float = 1.0
    keep: float = 1.0
    budget: str = "macs"
    saliency: str = "l2"
    bits: int = 8
    sparsity: float = 0.0
    round_to: int = 1

    def __post_init__(self):
        check_types(self)

    @property
    def words(self) -> str:
        """What it is, for a table."""
        bits = "" if self.bits == 8 else f", weights of {self.bits} bits"
        if self.sparsity:
            bits = f", {zeros(self.sparsity)} zeros{bits}"
        student = f"{self.net} of width {self.width:.3g}"
        if self.keep == 1:
            return f"{student if self.net else 'the model whole'}{bits}"
        name = {"macs": "MACs", "parameters": "parameters", "ram": "activations"}
        left = f"{self.keep:.1%} of the {name[self.budget]} by {self.saliency}"
        return f"{f'{student}, ' if self.net else ''}cut to {left}{bits}"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def untrained(
        self, model: keras.Model, data: Data, *, repaired: bool = True
    ) -> keras.Model:
        """The net before any training.

        Args:
            model: the given one; it stays as it is.
            data: whose train images rank channels, if the saliency asks any.
            repaired: whether batch norm of a cut is estimated again.

        Raises:
            ValueError: a net cannot lose so much, or take the images.
        """
        net = self._cut(model, data, repaired=repaired)
        if not self.sparsity:
            return net
        return _with_zeros(copied(net) if net is model else net, self.sparsity)

    def _cut(self, model, data, *, repaired):
        if self.net is not None:
            model = _with_biases(self._net().built(data))
        if self.keep == 1:
            return model
        batches = first_batches(data, "train", IMAGES, batch_size=BATCH)
        plan = pruning.plan_channels(
            model,
            **{self.budget: self.keep},
            saliency=self.saliency,
            round_to=self.round_to,
            floor=FLOOR,
            data=batches if self.saliency == "taylor" else None,
        )
        smaller = pruning.remove_channels(model, plan)
        if repaired:
            pruning.reestimate_batch_norm(smaller, [images for images, _ in batches])
        return smaller

    def training(
        self, name: str, settings: Training, teaching: Teaching
    ) -> tuple[TrainingStage, ...]:
        """The stages that train it, the last one of that name; the model teaches.

        A student that is cut learns whole for one half of the epochs, cut for the
        other. Likewise a net that shall have zeros, dense for the first half; the
        given one was trained before.
        """
        if not self.sparsity:
            return self._dense(name, settings, teaching)
        before, start = (), GIVEN
        if self.net or self.keep < 1:
            start = f"{name}_dense"
            settings = replace(settings, epochs=max(1, settings.epochs // 2))
            before = self._dense(start, settings, teaching)
            before = (*before[:-1], replace(before[-1], exports=()))
        prune = Prune(name, start, settings, teaching, sparsity=self.sparsity)
        return (*before, prune)

    def going_on(
        self, name: str, start: File, settings: Training, teaching: Teaching
    ) -> TrainingStage:
        """The stage of that name that goes on training what `training` made of it."""
        if self.sparsity:
            how = {"sparsity": self.sparsity, "until": 0.0}
            return Prune(name, start, settings, teaching, **how)
        return Distill(name, start, settings, teaching)

    def _dense(self, name, settings, teaching):
        how: dict[str, Any] = {"training": settings, "teaching": teaching}
        if self.keep == 1:
            return (Distill(name, self._net() if self.net else GIVEN, **how),)
        start, before = GIVEN, ()
        if self.net:
            half = replace(settings, epochs=max(1, settings.epochs // 2))
            how["training"] = half
            start = f"{name}_before"
            before = (Distill(start, self._net(), **how, exports=()),)
        cut = Channels(
            name,
            start,
            **how,
            **{self.budget: self.keep},
            saliency=self.saliency,
            round_to=self.round_to,
            floor=FLOOR,
            images=IMAGES,
            recovery="batch_norm",
        )
        return (*before, cut)

    def macs(self, cost: int, data: Data) -> float:
        """Multiply-accumulates of the net that an epoch trains, on average.

        Args:
            cost: of the net in the end.
            data: whose images it takes.
        """
        if self.net is None:
            return cost
        whole = measure.macs(self._net().built(data))
        return whole if self.keep == 1 else (whole + cost) / 2

    def quantizing(
        self,
        name: str,
        start: str,
        settings: Training,
        teaching: Teaching,
        skip: tuple[str, ...] = (),
    ) -> QuantizeAware:
        """The stage that goes on training it with the rounding of its file.

        Args:
            name, start, settings, teaching: as `QuantizeAware` takes them.
            skip: layers of the given model that stay in float32, see `stays_float`.
        """
        return QuantizeAware(
            name,
            start,
            settings,
            teaching,
            bits=self.bits,
            skip=() if self.net else skip,
            keep_zeros=self.sparsity > 0,
        )

    def _net(self):
        return _student(self.net, self.width)


def students_for(data: Data) -> tuple[str, ...]:
    """The nets of the catalogue that can be students on such images."""
    height, width, _ = data.image_shape
    low, high = STUDENT_SIDES
    if height != width or not low <= height <= high:
        return ()
    found = []
    for name in STUDENTS:
        try:
            _student(name, WIDTHS[0]).built(data)
        except ValueError:  # its images are larger
            continue
        found.append(name)
    return tuple(found)


def stays_float(model: keras.Model) -> tuple[str, ...]:
    """Operations on a model's pixels for which LiteRT has no integer kernel.

    Some of those of a `preprocess_input`, which stand before all layers with weights.
    """
    odd = quantization.without_kernel(model)
    found = []
    for call in read(model, flatten=True).calls:
        if getattr(call.operation, "weights", None):
            break
        if call.operation.name in odd:
            found.append(call.operation.name)
    return tuple(found)


def saliencies_for(model: keras.Model) -> tuple[str, ...]:
    """The saliencies that can rank the model's channels."""
    normed = bool(batch_norms(model))
    return tuple(name for name in SALIENCIES if normed or name != "batch_norm")


def sparsities_for(limits: Limits) -> tuple[float, ...]:
    """How many zeros nets may have: they count in zipped bytes alone."""
    return SPARSITIES[:1] if limits.bytes_zipped is None else SPARSITIES


def _with_biases(net):
    """`net`, its biases not all alike: a file has less of those than once trained."""
    for number, bias in enumerate(net.trainable_variables, start=1):
        if bias.name in ("bias", "beta"):
            bias.assign(bias + number * np.linspace(BIAS, 2 * BIAS, bias.shape[0]))
    return net


def _with_zeros(net, sparsity):
    """`net`, its smallest weights set to zero, as `Prune` chooses them."""
    kernels = pruning.Prune(pruning.ConstantSparsity(sparsity)).chosen(net)
    values = [kernel.numpy() for kernel in kernels]
    masks = pruning.magnitude_masks(values, sparsity)
    for kernel, value, mask in zip(kernels, values, masks, strict=True):
        kernel.assign(value * mask)
    return net


def _student(name, width):
    return Net(name, STUDENTS[name] | {"width": width})
