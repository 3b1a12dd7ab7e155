"""How long a training will take, from steps that were timed and trainings that ran."""

import math
import time

import keras

from compression.copies import copied
from experiments.data import Data
from experiments.data.augment import Augment
from experiments.data.pipeline import first_batches, view_batches
from experiments.search.lessons import VIEWS, Lessons
from experiments.training.optimizers import LabelLoss
from experiments.training.step_time import step_seconds

STARTING = 15.0  # seconds, at least, until a first step: its graph is built
FIXED = 0.2  # share of a step that does not shrink with the net
STEPS = 3
ASKED = 64  # images, by which answering is timed
READ = 8  # batches, at most, by which reading is timed
LONG = 4  # times as long as starting: no training that was short
LEAST_FACTOR, MOST_FACTOR = 0.05, 20.0  # of the time that was expected
LEAST_IMAGES = 512  # of train, from which it is worth to learn
ALL = Lessons()


class Pace:
    """Epochs that fit into a time.

    Args:
        model: the given one, as logits; it teaches.
        data: whose train split an epoch goes through.
        batch_size: images a step.
        augment: what train images go through.
    """

    def __init__(
        self, model: keras.Model, data: Data, batch_size: int, augment: Augment
    ):
        self._data, self._batch_size = data, batch_size
        self._images = data.train.size
        self._validation = data.validation.size
        self._factor = 1.0
        self._shortest_start = math.inf
        self._expected = self._took = 0.0  # seconds of all epochs that ran
        self._heard: set[Lessons] = set()
        start = time.perf_counter()
        self.per_image = _seconds_per_image(model, data, batch_size)
        # What is cut of a deep model starts as late as the model itself.
        self.building = (
            time.perf_counter() - start - STEPS * batch_size * self.per_image
        )
        self.to_answer = seconds_to_answer(model, data)
        self.to_read = _seconds_to_read(data, batch_size, augment)

    @property
    def starting(self) -> float:
        """Seconds until a training's first step."""
        found = self._shortest_start
        return STARTING if math.isinf(found) else max(STARTING, found)

    def starts(self, count: int, *, given: bool) -> float:
        """Seconds until the first steps of so many trainings, all together.

        Args:
            count: of trainings, one after the other.
            given: whether it is the given model that trains, perhaps cut.
        """
        return count * (max(self.starting, self.building) if given else self.starting)

    def mostly_starts(self, seconds: float, starts: int) -> bool:
        """Whether so many trainings in so short a time would hardly learn."""
        return seconds < starts * (self.starting + STARTING / 2)

    def share(self, model: keras.Model, times: float = 1.0) -> float:
        """Of a smaller net, as `epoch` takes it, by a step of its own.

        Odd numbers of channels, as a cut leaves them, take more time than their
        multiply-accumulates say. Below 0 where the step is shorter than what is taken
        not to shrink.

        Args:
            model: the net.
            times: how many of its steps are meant.
        """
        step = times * _seconds_per_image(model, self._data, self._batch_size)
        return (step / self.per_image - FIXED) / (1 - FIXED)

    def lessons(
        self, share: float, seconds: float, *, passes: float = 1.0, starts: int = 1
    ) -> Lessons:
        """From what to learn for so long: all images, if they can be gone through.

        Else so many that they are gone through once, or those that were learned from
        before, where they are as many: the teacher need not answer again. What takes
        no longer than starting is not made shorter.

        Args:
            share: as `epoch` takes it.
            seconds: of all trainings together.
            passes: through the images that they make, in epochs, at least.
            starts: how many trainings there are.
        """
        learning = max(seconds - starts * self.starting, starts * STARTING)
        for views in (VIEWS, VIEWS // 2, 1):
            all_images = Lessons(None, views)
            needed = self.teaching(all_images) + views * passes * self.epoch(share)
            if needed <= learning:
                return all_images
        least = max(LEAST_IMAGES, len(self._data.class_names))
        count = max(int(self._images * learning / needed), least)
        new = Lessons(count if count < self._images else None, views=1)
        known = (
            heard
            for heard in self._heard
            if passes * self.epoch(share, heard) <= learning
        )
        return max([new, *known], key=self._part)

    def teaching(self, lessons: Lessons) -> float:
        """Seconds until all is kept that the teacher says to these images."""
        if lessons in self._heard:
            return 0.0
        seen = lessons.views * self._images + self._validation
        return self._part(lessons) * seen * (self.to_answer + self.to_read)

    def hear(self, lessons: Lessons) -> None:
        """From now on what the teacher says to these images is there."""
        self._heard.add(lessons)

    def epoch(self, share: float, lessons: Lessons = ALL) -> float:
        """Seconds of one, validation with it, which is a third of its images' time.

        Args:
            share: of the given model's step that shrinks with the net: its
                multiply-accumulates in parts of the model's, or as `share` says.
            lessons: what is learned from.
        """
        return self._expected_epoch(share, lessons) * self._factor

    def epochs(
        self, share: float, seconds: float, lessons: Lessons = ALL, starts: int = 1
    ) -> int:
        """The epochs that fit into so many seconds of trainings, at least one.

        Args:
            share: as `epoch` takes it.
            seconds: of the trainings, their starts and their teacher with them.
            lessons: what is learned from.
            starts: how many trainings there are, one after the other.
        """
        learning = seconds - starts * self.starting - self.teaching(lessons)
        return max(1, int(learning / self.epoch(share, lessons)))

    def observe(  # noqa: PLR0913, all but three by keyword
        self,
        share: float,
        epochs: int,
        seconds: float,
        *,
        starts: int = 1,
        lessons: Lessons = ALL,
    ) -> None:
        """A training took so long: those to come will, too.

        All that were observed count, each for as long as it was expected to take. Of a
        short one most of the time went before its first step: it says how long that
        takes, the least that was seen.

        Args:
            share: as `epoch` takes it.
            epochs: that it had.
            seconds: that it took.
            starts: how many trainings it was, one after the other.
            lessons: what it learned from.
        """
        expected = epochs * self._expected_epoch(share, lessons)
        seconds -= self.teaching(lessons)
        self.hear(lessons)
        took = max(seconds - starts * self.starting, 0.0)
        if max(expected, took / LONG) <= STARTING:
            start = (seconds - expected * self._factor) / starts
            self._shortest_start = min(self._shortest_start, start)
            return
        self._expected += expected
        self._took += took
        found = self._took / self._expected
        self._factor = min(max(found, LEAST_FACTOR), MOST_FACTOR)

    def _expected_epoch(self, share, lessons):
        """Seconds, by steps that were timed, before any training was."""
        step = self.per_image * (FIXED + (1 - FIXED) * share)
        read = (self._images + self._validation) * self.to_read
        seconds = (self._images + self._validation / 3) * step + read
        return self._part(lessons) * seconds

    def _part(self, lessons):
        """Of all train and validation images, that are learned from."""
        count = lessons.train_images
        return 1.0 if count is None else count / self._images


def _seconds_per_image(model, data, batch_size):
    """Of a step of training, measured on a copy."""
    copy = copied(model)
    copy.compile("sgd", LabelLoss(), jit_compile=False)
    batch = first_batches(data, "train", batch_size)[0]
    return step_seconds(copy, batch, STEPS) / STEPS / len(batch[0])


def seconds_to_answer(model: keras.Model, data: Data) -> float:
    """Of an image that a model is only asked about."""
    [(images, _), *_] = first_batches(data, "train", ASKED, batch_size=ASKED)
    model.predict_on_batch(images)  # builds its graph
    start = time.perf_counter()
    model.predict_on_batch(images)
    return (time.perf_counter() - start) / len(images)


def _seconds_to_read(data, batch_size, augment):
    """Of an image on its way; on busy cores that comes on top of a step."""
    batches = view_batches(data, view=0, seed=0, augment=augment, batch_size=batch_size)
    images, start = 0, None
    for batch in batches.take(READ + 1):
        if start is None:  # the first one waits for what is built for all
            start = time.perf_counter()
        else:
            images += len(batch)
    return (time.perf_counter() - start) / images if images else 0.0
