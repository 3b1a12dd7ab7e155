"""What one would do by hand to make a net small: the peers of a search.

Its int8 file; its channels cut by a rule of thumb, the same share of each layer by the
L1 norm (Li et al., "Pruning filters for efficient ConvNets", 2017,
https://arxiv.org/abs/1608.08710), trained on, then int8; and the demo's way, a small
AlexNet that it teaches, cut and trained on while taught, then int8.
"""

from dataclasses import dataclass, field, replace

from experiments.data.augment import Augment
from experiments.recipe import Recipe
from experiments.recipes.demo.recipe import STUDENT, TEACHING
from experiments.stages.application import Application
from experiments.stages.base import Export
from experiments.stages.channels import Channels
from experiments.stages.distill import Distill
from experiments.stages.net import Net
from experiments.stages.quantize import Quantize
from experiments.stages.train import Train
from experiments.training.settings import Training

GIVEN = "given"
LITERT, INT8 = (Export("litert"),), (Export("litert", "int8"),)
STUDENT_MACS = 0.4  # of the demo's way


@dataclass(frozen=True)
class ByHand:
    """A net, and how a person would make it small.

    Attributes:
        start: the net that somebody has.
        before: how it was trained.
        after: how it is trained on when it was cut.
        data: name of the dataset.
        cuts: fractions of the multiply-accumulates that are left.
        width: of the small AlexNet; None: there is none.
        student: how that one learns, and learns on.
        augment: what training images go through.
        normalisation: of pixels, as `Recipe` has it.
        round_to: a cut keeps multiples of so many channels: processors train odd
            numbers of them at half the speed.
    """

    start: Net | Application
    before: Training
    after: Training
    data: str
    cuts: tuple[float, ...]
    width: float | None = None
    student: Training | None = None
    augment: Augment = field(default_factory=lambda: Augment(pad=4))
    normalisation: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    round_to: int = 1

    def recipe(self, name: str) -> Recipe:
        """All of it as an experiment, in which int8 files are measured."""
        stages = [
            Train(GIVEN, self.start, self.before, exports=LITERT, once=True),
            Quantize("int8", GIVEN, exports=INT8, once=True),
        ]
        for macs in self.cuts:
            cut = f"cut{100 * macs:g}"
            uniform = Channels(
                cut,
                GIVEN,
                self.after,
                macs=macs,
                saliency="l1",
                scope="local",
                round_to=self.round_to,
                exports=(),
            )
            stages.append(uniform)
            stages.append(Quantize(f"{cut}_int8", cut, exports=INT8))
        if self.width is not None:
            stages += self._the_demos_way()
        return Recipe(
            name=name,
            data=self.data,
            stages=tuple(stages),
            augment=self.augment,
            normalisation=self.normalisation,
        )

    def _the_demos_way(self):
        net = replace(STUDENT, options={**STUDENT.options, "width": self.width})
        teaching = replace(TEACHING, teacher=GIVEN)
        how = {"macs": STUDENT_MACS, "teaching": teaching, "exports": ()}
        return (
            Distill("student", net, self.student, teaching, exports=()),
            Channels("student_cut", "student", self.student, **how),
            Quantize("student_int8", "student_cut", exports=INT8),
        )
