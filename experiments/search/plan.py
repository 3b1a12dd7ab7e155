"""For how long the candidate that was chosen is trained, and from where on."""

from dataclasses import dataclass
from typing import Any, TypedDict

import keras

from experiments.data import Data
from experiments.runs.layout import SearchFolder
from experiments.schema import Count, Number
from experiments.search import short
from experiments.search.clock import Clock
from experiments.search.lessons import Record
from experiments.search.pace import Pace
from experiments.search.trials import Tried

UNTIL = 0.95  # of the time, for trainings, at most; the rest is for measuring
WRITINGS = 7  # all files of the recipe take as long as so many of the first
# How often the given model and what was trained go through all test images, files with
# them, which are faster; and the latter through validation images.
WHOLE_TESTS, TRAINED_TESTS, VALIDATIONS = 3, 4, 2
AWARE_STEP = 1.5  # what a step with the rounding takes, in parts of a plain one
LONGEST = 200  # epochs
FEW = 5


class _Plan(TypedDict):
    candidate: dict[str, Any] | None
    epochs: Count
    aware_epochs: Count


class Plan(_Plan, total=False):
    """search/choice.json: what is trained in full; no candidate: nothing is."""

    lessons: Record  # earlier versions learned from all images, in so many views
    hours: Number  # that the search had; earlier versions did not note it
    trial: Count  # of whose net it goes on; without it the training begins anew


NOTHING: Plan = {"candidate": None, "epochs": 0, "aware_epochs": 0}


@dataclass(frozen=True)
class Planner:
    """Plans a full training in the time that is left.

    Attributes:
        model: the given one.
        data: a dataset of which is learned.
        tests: how many test images are answered in the end.
        folder: of the search, with what short trainings left.
        clock: of the search.
        pace: of its trainings.
        writing: seconds that the given model's file took.
    """

    model: keras.Model
    data: Data
    tests: int
    folder: SearchFolder
    clock: Clock
    pace: Pace
    writing: float

    def plan(self, tried: Tried, starts: int) -> Plan:
        """The training of a candidate; says on the terminal what it will be.

        Where little time is left it goes on from the candidate's short training: what
        that has learned is worth more than to begin anew.

        Args:
            tried: the candidate, after a short training.
            starts: how many trainings make it, if they begin anew.
        """
        candidate, macs = tried.candidate, tried.cost.macs
        net = candidate.untrained(self.model, self.data, repaired=False)
        # Timed, as it is trained long. A student that is cut learns whole for a part
        # of it, unless it goes on.
        share = self.pace.share(net, candidate.macs(macs, self.data) / macs)
        plan = self._plan(tried, share, starts)
        if _is_short(plan) and short.kept(self.folder, tried.number).is_file():
            plan = self._plan(tried, self.pace.share(net), 1)
            if plan["candidate"] is not None:
                plan["trial"] = tried.number
        self._tell(plan, tried)
        return plan

    def _plan(self, tried, share, starts) -> Plan:
        """With so many trainings before the rounding, `share` as `Pace` takes it."""
        pace = self.pace
        after = WRITINGS * self.writing + self._answering(share)
        left = max(min(self.clock.left(UNTIL), self.clock.left() - after), 0)
        # With the rounding they go on, in a graph that is twice as large.
        all_starts, later = starts + 2, 2 * pace.starting
        # All of it is gone through once at least, and with the rounding once more.
        whole = {"passes": 1 + AWARE_STEP, "starts": all_starts}
        lessons = pace.lessons(share, left, **whole)
        if lessons.train_images is not None and pace.mostly_starts(left, all_starts):
            return NOTHING
        step = AWARE_STEP * pace.epoch(share, lessons)
        aware = max(1, int((short.AWARE_SHARE * left - later) / step))
        epochs = pace.epochs(share, left - later - aware * step, lessons, starts)
        return {
            "candidate": tried.candidate.as_dict(),
            "epochs": min(epochs, LONGEST),
            "aware_epochs": min(aware, LONGEST // 4),
            "lessons": lessons.as_dict(),
        }

    def _answering(self, share):
        """Seconds in which all files and models answer test and validation images."""
        share = max(share, 0.0)
        images = (WHOLE_TESTS + TRAINED_TESTS * share) * self.tests
        images += VALIDATIONS * share * self.data.validation.size
        return images * self.pace.to_answer

    def _tell(self, plan, tried):
        """What is trained in full, and whether it will learn little."""
        more = "allow more hours for a better net"
        if plan["candidate"] is None:
            print(
                "[search] no time is left for a full training, the short ones stand: "
                f"{more}",
                flush=True,
            )
            return
        epochs = plan["epochs"]
        length = f"{epochs} epoch{'s' * (epochs > 1)}"
        if "trial" in plan:
            length += ", after its short one"
        print(
            f"[search] worth a full training of {length}: {tried.candidate.words}",
            flush=True,
        )
        if not _is_short(plan):
            return
        few = f"{epochs} of {LONGEST} epochs fit into the time left, which are few"
        images = plan["lessons"]["train_images"]
        if images is not None:
            few = (
                f"{images:,} of {self.data.train.size:,} train images can be looked at "
                "in the time left, which are few"
            )
        print(f"[search] {few} to learn in: {more}", flush=True)


def _is_short(plan: Plan) -> bool:
    """Whether a training has few epochs, or of some images alone, or is none."""
    if plan["candidate"] is None:
        return True
    return plan["epochs"] < FEW or plan["lessons"]["train_images"] is not None
