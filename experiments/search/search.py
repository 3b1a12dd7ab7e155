"""Finds the candidate that is worth a full training, in a share of the time."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from experiments import data as datasets
from experiments import deployment
from experiments.data import Data, normalisation
from experiments.data.augment import Augment
from experiments.data.fingerprint import content
from experiments.files import read_json, write_json
from experiments.recipe import Recipe
from experiments.runs.identity import CONTENT, anywhere
from experiments.runs.layout import SearchFolder
from experiments.search import proxies, short
from experiments.search.candidate import (
    GIVEN,
    Candidate,
    saliencies_for,
    sparsities_for,
    stays_float,
    students_for,
)
from experiments.search.chosen import to_train
from experiments.search.clock import Clock
from experiments.search.estimates import Estimates
from experiments.search.files import Files
from experiments.search.lessons import Lessons
from experiments.search.pace import Pace
from experiments.search.plan import NOTHING, Plan, Planner
from experiments.search.request import Request
from experiments.search.short import School
from experiments.search.trials import Trials, Tried, opened
from experiments.stages.base import Export
from experiments.stages.file import File
from experiments.stages.load import Load
from experiments.stages.quantize import Quantize
from experiments.stages.teaching import Teaching
from experiments.training.settings import Training

WHOLE = "whole"  # stage: the given model in integers
FULL = "full"  # stage: the chosen candidate, trained in full
POST, AWARE = "post", "aware"  # stages: its integers, found after or while training
BY_CHANCE = 1.5  # times what guesses score: a cut that is below has forgotten all
LITERT, INT8 = (Export("litert"),), (Export("litert", "int8"),)
TEACHING = Teaching(GIVEN, temperature=4.0, soft_weight=0.9, label_weight=0.1)
TRAINING = Training(epochs=1, learning_rate=3e-3, weight_decay=0.05)
# Of what goes on: two epochs more of ResNet-20, cut and trained for a short time, gave
# 90.6, 90.7 and 90.0 % at 3e-4, 1e-3 and 3e-3, on validation images of which its
# published weights knew some already: they favour what forgets little.
ON_RATE = 1e-3
OTHER_FOLDER = "give another --out, or remove the folder"


class Search:
    """A search in its folder.

    Args:
        request: what is asked for.
        folder: where it works; what is there is gone on with.
        storage: URL of a database for the trials; None: a file in the folder.

    Raises:
        ValueError: the model and the data do not fit, the model scores as by chance,
            the folder belongs to another request, or there is no such storage.
        FileNotFoundError: there is no such dataset.
    """

    def __init__(self, request: Request, folder: SearchFolder, storage: str | None):
        self.request, self.folder = request, folder
        self._clock = Clock(folder.clock, 3600 * request.hours)
        self._storage = storage or folder.journal
        self._require_same()
        if storage is not None:  # better known now than when the first trial is kept
            opened(storage)
        self.image_size = request.image_size or request.model.image_side
        data = datasets.load(
            request.data,
            image_size=self.image_size,
            skip_bad_images=request.skip_bad_images,
        )
        self._content = content(data)
        self._require_same_images()
        self.model = request.model.built(data)
        self.normalisation, data = self._normalised(data)
        self.whole_data = data
        # What chooses shall not look at test images: they are not there.
        self.data = dataclasses.replace(data, test=data.validation)
        self.augment = request.augment or _augment(data)
        self.files = Files(self.data, request.limits)
        self.reference = self.files.net(self.model).top1

    def recipe(self) -> Recipe:
        """What was found worth a full training, as an experiment of a few stages.

        Raises:
            ValueError: nothing that was tried meets the limits on files.
        """
        self.folder.path.mkdir(parents=True, exist_ok=True)
        about = {CONTENT: self._content}
        write_json(self.folder.request, self.request.as_dict() | about)
        if not self.folder.choice.is_file():
            plan = self._plan(self._searched())
            write_json(self.folder.choice, plan | {"hours": self.request.hours})
        plan = read_json(self.folder.choice, Plan, way_out="remove it")
        if self.request.hours > plan.get("hours", self.request.hours):
            print(
                "[search] what is trained in full was chosen for --hours "
                f"{plan['hours']:g}, and stays: with more, search in another --out",
                flush=True,
            )
        return self._recipe(plan)

    @property
    def candidate(self) -> Candidate | None:
        """The one that is trained in full, once that is known."""
        if not self.folder.choice.is_file():
            return None
        plan = read_json(self.folder.choice, Plan, way_out="remove it")
        return Candidate(**plan["candidate"]) if plan["candidate"] else None

    @property
    def untrained(self) -> Sequence[Tried]:
        """Candidates that were judged before any training."""
        return self._trials("untrained").tried

    @property
    def trained(self) -> Sequence[Tried]:
        """Candidates that were trained for a short time."""
        return self._trials("short").tried

    def _searched(self):
        """Try candidates in half of the time; returns the one to train in full."""
        limits, count = self.request.limits, short.TRAININGS
        print(
            f"[search] {self.request.model.name}: top-1 {self.reference:.2%} on "
            f"{self.data.validation.size} validation images",
            flush=True,
        )
        pace = Pace(self.model, self.data, TRAINING.batch_size, self.augment)
        self._pace = pace
        cuts = self._trials("untrained")
        print("[search] cuts, judged before any training", flush=True)
        whole = self._whole_cost()
        estimates = Estimates(self.model, whole)
        proxies.judge(cuts, self.model, self.data, self.files, estimates, self._clock)
        trials = self._trials("short")
        if not len(trials):
            scratch = self.folder.path / "student.tflite"
            students = proxies.students(
                self.data, self.files, estimates, limits, scratch
            )
            if not students:
                self._require_near(cuts.tried, short.NEARLY)
            most = max(1, count - len(students))
            best = proxies.promising(cuts.tried, limits, most)
            known = any(
                each.result.top1 > BY_CHANCE / len(self.data.class_names)
                for each in cuts.tried
                if each.result is not None
            )
            # Cuts that know nothing any more come after the students.
            turns = (best, students) if known else (students, best)
            for candidate in _in_turns(*turns):
                trials.add(short.settings_of(candidate))
        print("[search] short trainings, taught by the model", flush=True)
        lessons = self._short_lessons()
        school = School(
            partial(self.request.model.built, self.data),
            lessons.images_of(self.data),
            lessons,
            self.augment,
            TRAINING,
            lessons.taught(TEACHING),
            self.request.seed,
            stays_float(self.model),
        )
        short.train(
            trials, school, self.files, estimates, self.folder, self._clock, pace
        )
        if limits.used(whole) > 1:
            self._require_near(trials.tried, 1)
        return to_train(trials.tried, limits, self.reference)

    def _require_near(self, tried, most):
        """Raises ValueError where all that was tried takes more than a limit."""
        limits = self.request.limits
        nearest = min(tried, key=lambda each: limits.used(each.cost), default=None)
        if nearest is not None and limits.used(nearest.cost) > most:
            raise ValueError(
                f"no file meets the limits: the nearest, {nearest.candidate.words}, "
                f"takes {limits.tightest(nearest.cost)}"
            )

    def _whole_cost(self):
        """What the given model takes in integers."""
        path, start = self.folder.path / "whole.tflite", self._clock.used
        cost = self.files.write(self.model, 8, path)
        path.unlink()
        self._writing = self._clock.used - start
        return cost

    def _plan(self, tried: Tried | None) -> Plan:
        """For how long the chosen candidate is trained, and from where on."""
        if tried is None:
            return NOTHING
        planner = Planner(
            self.model,
            self.data,
            self.whole_data.test.size,
            self.folder,
            self._clock,
            self._pace,
            self._writing,
        )
        stages = tried.candidate.training(FULL, TRAINING, TEACHING)
        return planner.plan(tried, starts=len(stages))

    def _short_lessons(self):
        """What short trainings learn from, the same wherever a search goes on."""
        file = self.folder.lessons
        if file.is_file():
            return Lessons.read(file)
        lessons = short.lessons_for(self._pace, self._clock)
        lessons.write(file)
        return lessons

    def _recipe(self, plan: Plan) -> Recipe:
        lessons = Lessons(**plan.get("lessons", {}))
        stages = [
            Load(GIVEN, self.request.model, exports=LITERT),
            Quantize(WHOLE, GIVEN, exports=INT8),
        ]
        if plan["candidate"] is not None:
            candidate = Candidate(**plan["candidate"])
            settings = dataclasses.replace(TRAINING, epochs=plan["epochs"])
            teaching = lessons.taught(TEACHING)
            *before, full = candidate.training(FULL, settings, teaching)
            if "trial" in plan:
                start = File(str(short.kept(self.folder, plan["trial"])))
                settings = dataclasses.replace(settings, learning_rate=ON_RATE)
                before, full = (), candidate.going_on(FULL, start, settings, teaching)
            aware = short.with_rounding(TRAINING, plan["aware_epochs"])
            stages += [
                *before,
                dataclasses.replace(full, exports=LITERT),
                Quantize(POST, FULL, bits=candidate.bits, exports=INT8),
                candidate.quantizing(
                    AWARE, FULL, aware, teaching, stays_float(self.model)
                ),
            ]
        return Recipe(
            name="compress",
            data=self.request.data,
            stages=tuple(stages),
            augment=self.augment,
            image_size=self.image_size,
            normalisation=self.normalisation,
            skip_bad_images=self.request.skip_bad_images,
            train_images=lessons.train_images,
        )

    def _normalised(self, data):
        """What a recipe says of the pixels' normalisation, and data that have it."""
        path = Path(self.request.model.path)
        known, asked = deployment.of_file(path), self.request.normalisation
        if known is not None and asked is None:
            asked = _in_numbers(known)
        found = normalisation.for_model(self.model, data, asked)
        if found.is_guessing:
            raise ValueError(found.warning(str(path), data))
        if asked is None:
            print(
                f"[search] nothing beside {path} says how pixels are normalised: as "
                f"{found.name} ({found.reason})",
                flush=True,
            )
        return (found.mean, found.std), found.applied(data)

    def _trials(self, study: str) -> Trials:
        limits = self.request.limits
        of_all = {
            "saliencies": saliencies_for(self.model),
            "sparsities": sparsities_for(limits),
        }
        if study == "short":
            nets = students_for(self.data)
            suggest: Callable = partial(short.suggest, nets=nets, **of_all)
        else:
            suggest = partial(proxies.suggest, **of_all)
        return Trials(
            self._study(study), self._storage, limits, self.request.seed, suggest
        )

    def _study(self, study):
        """Its name: in a database may lie others, of other limits or other images."""
        name = f"limbeck {self.request.model.sha256[:16]} {self.request.seed} {study}"
        if self._storage == self.folder.journal:
            return name
        asked = anywhere(_as_json(self.request.as_dict()), "data")
        asked = json.dumps(asked | {CONTENT: self._content}, sort_keys=True)
        return f"{name} {hashlib.sha256(asked.encode()).hexdigest()[:16]}"

    def _require_same(self):
        """Raises ValueError where the folder belongs to another request."""
        if not self.folder.request.is_file():
            return
        before = read_json(self.folder.request, dict, way_out=OTHER_FOLDER)
        now = _as_json(self.request.as_dict())
        if before.get(CONTENT) is not None:  # the same images, wherever they lie
            before, now = anywhere(before, "data"), anywhere(now, "data")
        different = [key for key in now if before.get(key) != now[key]]
        if different:
            raise ValueError(
                f"{self.folder.path.parent} belongs to a search with another "
                f"{' and '.join(different)}; {OTHER_FOLDER}"
            )

    def _require_same_images(self):
        """Likewise where it began with other images. Earlier versions noted none."""
        if not self.folder.request.is_file():
            return
        before = read_json(self.folder.request, dict, way_out=OTHER_FOLDER)
        if before.get(CONTENT) not in (None, self._content):
            raise ValueError(
                f"the images of {self.request.data} have changed since the search in "
                f"{self.folder.path.parent} began; {OTHER_FOLDER}"
            )


def _in_numbers(known) -> str:
    """Its mean and deviation, as `normalisation.statistics` takes them."""
    mean, std = (",".join(map(repr, part)) for part in (known.mean, known.std))
    return f"{mean}/{std}"


def _augment(data: Data) -> Augment:
    """A crop after padding by an eighth of a photograph, or a 14th of a digit."""
    side = data.image_shape[0]
    return Augment(pad=max(1, side // (8 if data.flips else 14)))


def _in_turns(some, others):
    """One of each in turn: a search that is short of time has seen both kinds."""
    longest = max(len(some), len(others))
    for at in range(longest):
        yield from some[at : at + 1]
        yield from others[at : at + 1]


def _as_json(value):
    return json.loads(json.dumps(value))
