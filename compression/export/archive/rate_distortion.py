"""The fewest bits with which a net still answers right: rate against distortion.

Weights are rounded as rounding.py does it, at a price for each bit. How many answers
that costs no formula tells: it is counted on labelled images, at every try.
"""

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from compression.answers import require_finite, two_classes
from compression.arguments import require_number, shown
from compression.export.archive.rounding import Rounded, bits_of, rounded
from compression.graph import all_layers
from compression.logits import require_logits
from compression.pruning.gradients import gradients
from compression.quantization.folding import affine_of
from compression.quantization.sensitivity import Examples
from compression.weights import learned_variables

# Tried: squared step * Fisher information / price of a bit.
RATIOS = (8.0, 32.0, 64.0, 128.0)
FISHER_IMAGES, BATCH = 4096, 64
ASKED = 256  # images at a time, whether weights hold the bound
FINEST = 12  # times a fourth of the price, until the bound is held
STEPS = 8  # of the price, to a fourth of the one that is too high
ROUNDS = 3  # of making arrays coarser one by one
DEARER = 1.5  # is a bit in an array that is made coarser
TRIES = 60  # of them, for a ratio


@dataclass(frozen=True)
class Found:
    """The coarsest weights that still answer as asked.

    Attributes:
        rounded: of each of the arrays, in their order.
        bits: of all of them, as `Rates` tells.
        top1: fraction of right answers with them.
        exact_top1: of the net as it was.
        images: how many were asked.
        tries: how often.
    """

    rounded: list[Rounded]
    bits: float
    top1: float
    exact_top1: float
    images: int
    tries: int


def coarsen(
    model: keras.Model,
    data: Iterable,
    *,
    max_drop: float,
    log: Callable[[str], None] = lambda line: None,
) -> Found:
    """Rounds a model's learnt weights as coarsely as a bound on accuracy allows.

    Batch norm's statistics go into its scale and shift (`settle_batch_norm`). What is
    not float32 or no layer learns (ranges, statistics) stays.

    Args:
        model: is changed; gives logits.
        data, max_drop, log: as `coarsest` takes them.

    Raises:
        ValueError: as `coarsest`.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(f"model must be a keras.Model, got {shown(model)}")
    settle_batch_norm(model)
    variables = [
        variable
        for variable in learned_variables(model)
        if keras.backend.standardize_dtype(variable.dtype) == "float32"
    ]
    found = coarsest(model, variables, data, max_drop=max_drop, log=log)
    for variable, each in zip(variables, found.rounded, strict=True):
        variable.assign(each.values)
    return found


def coarsest(
    model: keras.Model,
    variables: list[keras.Variable],
    data: Iterable,
    *,
    max_drop: float,
    log: Callable[[str], None] = lambda line: None,
) -> Found:
    """Looks for the price of a bit at which accuracy is just held, then goes by array.

    Args:
        model: gives logits; what it holds is left as it was.
        variables: its arrays that are rounded.
        data: batches (images, labels): the bound holds on these.
        max_drop: fraction of them that may be answered wrongly more than before, from
            0 on; 0.001 is a tenth of a point.
        log: called with each line of progress.

    Raises:
        ValueError: the model gives no logits, there are no variables, the data do not
            fit or are none, or the bound is not in [0, 1).
    """
    if not isinstance(max_drop, float):
        require_number("max_drop", max_drop)
    if not 0 <= max_drop < 1:
        raise ValueError(
            "max_drop is a fraction, 0 or more and below 1 (0.01 is one point of "
            f"accuracy), got {max_drop}"
        )
    require_logits(model, "model")
    if not variables:
        raise ValueError(
            f"{model.name!r} has no float32 weights that are learnt, and others are "
            "not rounded: leave out max_drop"
        )
    data = Examples.of(data, model)
    before = [ops.convert_to_numpy(v) for v in variables]
    try:
        return _Search(model, variables, data, max_drop, log).found()
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)


class _Search:
    def __init__(self, model, variables, data, max_drop, log):
        self.model, self.variables, self.data, self.log = model, variables, data, log
        from compression.measure.scores import accuracy  # which imports this room

        self.weights = [ops.convert_to_numpy(v) for v in variables]
        self.tries = 0
        self.order = np.arange(len(data.labels))
        logits = np.concatenate([*self._logits()])
        self.exact = accuracy(logits, data.labels)
        # Those that flip first: of weights too coarse, few images tell as much.
        self.order = np.argsort(_margins(logits, data.labels), kind="stable")
        self.least = self.exact - max_drop
        self._warn_of_guesses()
        self.fisher = fisher(model, variables, data.images)

    def found(self):
        best, start = None, None
        for ratio in RATIOS:
            start, holds = self._highest(ratio, start)
            holds = self._one_by_one(ratio, start, holds)
            bits = sum(map(bits_of, holds))
            self.log(f"step ratio {ratio:g}: {bits / 8:,.0f} bytes")
            if best is None or bits < best[0]:
                best = bits, holds
        bits, holds = best
        return Found(
            holds,
            bits=bits,
            top1=self._top1(holds, least=0),
            exact_top1=self.exact,
            images=len(self.data.images),
            tries=self.tries,
        )

    def _warn_of_guesses(self):
        counts = np.unique(self.data.labels, return_counts=True)[1]
        alike, least = counts.max() / counts.sum(), max(self.least, 0)
        if least <= alike:
            warnings.warn(
                f"{self.model.name!r} has {self.exact:.1%} of the data right and may "
                f"fall to {least:.1%}, but the largest class is {alike:.1%} of them: a "
                "net that gives every image the same answer would do",
                stacklevel=2,
            )

    def _highest(self, ratio, start):
        """The highest price that holds the bound, and what it gives."""
        count = sum(w.size for w in self.weights)
        low, holds, high = start or 0.01 / count, None, None
        for _ in range(FINEST):
            trial = self._all(low, ratio)
            if self._holds(trial):
                holds = trial
                break
            low, high = low / 4, low
        if holds is None:
            raise ValueError(
                f"accuracy falls by more than {self.exact - self.least:g} with the "
                "finest steps: give a larger max_drop"
            )
        while high is None and low < 1:
            trial = self._all(4 * low, ratio)
            if self._holds(trial):
                low, holds = 4 * low, trial
            else:
                high = 4 * low
        # A dearer bit may by luck cost fewer answers: from above, the first that holds.
        for part in range(1, STEPS if high else 0):
            between = high / 4 ** (part / STEPS)
            trial = self._all(between, ratio)
            if self._holds(trial):
                return between, trial
        return low, holds

    def _one_by_one(self, ratio, price, holds):
        """Arrays that bear a higher price than the others, the largest first."""
        prices = [price] * len(holds)
        open_ = set(range(len(holds)))
        end = self.tries + TRIES
        for _ in range(ROUNDS):
            for at in sorted(open_, key=lambda i: -bits_of(holds[i])):
                if self.tries >= end:
                    return holds
                one = rounded(
                    self.weights[at], self.fisher[at], DEARER * prices[at], ratio
                )
                trial = [*holds[:at], one, *holds[at + 1 :]]
                saved = bits_of(holds[at]) - bits_of(one)
                if saved > 0 and self._holds(trial):
                    holds, prices[at] = trial, DEARER * prices[at]
                else:
                    open_.discard(at)
        return holds

    def _all(self, price, ratio):
        pairs = zip(self.weights, self.fisher, strict=True)
        return [rounded(weights, told, price, ratio) for weights, told in pairs]

    def _holds(self, trial):
        self.tries += 1
        return self._top1(trial, self.least) >= self.least

    def _top1(self, trial, least):
        """Its top-1, or where that is below `least`, any number below."""
        for variable, each in zip(self.variables, trial, strict=True):
            variable.assign(each.values)
        count, wrong, first = len(self.order), 0, 0
        for logits in self._logits():
            labels = self.data.labels[self.order[first : first + len(logits)]]
            answers = two_classes(require_finite(logits, "the rounded net")).argmax(-1)
            wrong += np.count_nonzero(answers != labels)
            first += len(logits)
            if (count - wrong) / count < least:
                break
        return (count - wrong) / count

    def _logits(self):
        """Those of the images, a batch at a time, in their order."""
        for first in range(0, len(self.order), ASKED):
            images = self.data.images[self.order[first : first + ASKED]]
            outputs = self.model.predict_on_batch(images)
            [logits] = keras.tree.flatten(outputs)  # of a dict, too
            yield logits


def _margins(logits, labels):
    """By how much each image's label is above the best other class; below 0: wrong."""
    logits = two_classes(logits).astype("float64")
    every = np.arange(len(labels))
    right = logits[every, labels]
    logits[every, labels] = -np.inf
    return right - logits.max(axis=1)


def fisher(
    model: keras.Model, variables: list[keras.Variable], images: np.ndarray
) -> list[np.ndarray]:
    """Mean over images of the squared gradients of the log-likelihood, by weight.

    Labels are drawn from what the net itself answers: then gradients of different
    images have mean zero and do not know of each other, and the square of a batch's
    sum is, on average, the sum of the squares. So one backward pass does for a batch.

    Args:
        model: gives logits.
        variables: of it.
        images: (n, height, width, channels); at most `FISHER_IMAGES` are looked at.
    """
    random = np.random.default_rng(0)
    order = random.permutation(len(images))[:FISHER_IMAGES]
    total = [np.zeros(variable.shape) for variable in variables]
    for first in range(0, len(order), BATCH):
        batch = images[order[first : first + BATCH]]
        answers = two_classes(ops.convert_to_numpy(_answers(model, batch)))
        noise = random.gumbel(size=answers.shape)
        labels = (answers + noise).argmax(-1)

        def loss(batch=batch, labels=labels):
            logits = _two_classes(ops.cast(_answers(model, batch), "float32"))
            losses = keras.losses.sparse_categorical_crossentropy(
                labels, logits, from_logits=True
            )
            return ops.sum(losses)

        for sum_, found in zip(total, gradients(loss, variables), strict=True):
            sum_ += ops.convert_to_numpy(found).astype("float64") ** 2
    return [sum_ / len(order) for sum_ in total]


def _answers(model, images):
    """The one output, also where it stands in a dict."""
    [logits] = keras.tree.flatten(model(images, training=False))
    return logits


def _two_classes(logits):
    """As `answers.two_classes`, of tensors with gradients."""
    if logits.shape[-1] != 1:
        return logits
    return ops.concatenate([ops.zeros_like(logits), logits], axis=-1)


def settle_batch_norm(model: keras.Model) -> None:
    """Puts batch norm's statistics into its scale and shift: mean 0 and variance 1.

    In inference it gives the same; four arrays become two. It can no longer be
    trained as it was.
    """
    for layer in all_layers(model):
        if not isinstance(layer, keras.layers.BatchNormalization):
            continue
        if not (layer.scale and layer.center):
            continue
        factor, shift = affine_of(layer)
        layer.beta.assign(shift)
        layer.gamma.assign(factor * np.sqrt(1 + layer.epsilon))
        layer.moving_mean.assign(np.zeros_like(shift))
        layer.moving_variance.assign(np.ones_like(shift))
