"""Saliencies: how much each weight matters. Those of least go first.

A saliency is a function of (model, variables) that gives an array of scores for each
of the variables, of its shape. Weights that are zero already go before all others,
whatever their score, so that pruning by steps, or after a reload, goes on where it was.

Those that look at data take `data`: batches (x, y), or a function that gives them
afresh each time; and `loss`, a function of (labels, outputs), that of the compiled
model by default. The model is called as in inference and nothing in it changes.
"""

from collections.abc import Callable, Iterable, Sequence

import keras
import numpy as np
from keras import ops

from compression.arguments import require_batches, shown
from compression.pruning.gradients import gradients, mean_loss

Scores = list[np.ndarray]
Saliency = Callable[[keras.Model, Sequence[keras.Variable]], Scores]
Data = Iterable | Callable[[], Iterable]


def magnitude(model: keras.Model, variables: Sequence[keras.Variable]) -> Scores:
    """|w|. Han et al. (2015), https://arxiv.org/abs/1506.02626."""
    del model
    return [np.abs(ops.convert_to_numpy(variable)) for variable in variables]


class Random:
    """Chance: what every other saliency has to beat.

    Args:
        seed: the same scores for the same seed.
    """

    def __init__(self, seed: int = 0):
        self.seed = seed

    def __call__(self, model, variables):
        generator = np.random.default_rng(self.seed)
        return [generator.random(variable.shape) for variable in variables]


NOTHING_MOVED = (
    'saliency "movement" is gathered while the net trains, and nothing has moved yet: '
    "let the schedule begin later, as PolynomialDecay(final, begin=steps, ...) does"
)


class Movement:
    """Weights that move away from zero in training matter: -sum of w * gradient.

    Sanh et al. (2020), https://arxiv.org/abs/2005.07683, section 4. Counted from what
    the optimizer does to a weight, -sum of w * gradient times the learning rate with
    plain SGD, so it needs no data; with steps that run together, from all of them at
    once. It knows nothing before there were steps, and little after a few: let the
    schedule begin later (the paper's waits for a sixth of the training). In the paper
    masked weights go on moving and may come back; here they stay zero.

    Raises:
        ValueError: called before anything has moved.
    """

    def __init__(self):
        self.scores: list[keras.Variable] = []

    def begin(self, variables: Sequence[keras.Variable]) -> None:
        """Forgets what was; from here on `variables` are watched."""
        self.scores = [
            keras.Variable(ops.zeros_like(v.value), trainable=False, name="movement")
            for v in variables
        ]

    def before_step(self, variables: Sequence[keras.Variable]) -> None:
        self._before = [ops.copy(variable.value) for variable in variables]

    def after_step(self, variables: Sequence[keras.Variable]) -> None:
        for score, was, now in zip(self.scores, self._before, variables, strict=True):
            score.assign(score.value + was * (now.value - was))

    def __call__(self, model, variables):
        scores = [ops.convert_to_numpy(score) for score in self.scores]
        reloaded = any((ops.convert_to_numpy(v) == 0).any() for v in variables)
        if not reloaded and not any(score.any() for score in scores):
            raise ValueError(NOTHING_MOVED)
        return scores


class _WithGradients:
    """What those that take gradients share.

    Args:
        data: batches (x, y), or a function that gives them.
        loss: function of (labels, outputs); None: what the model was compiled with.
    """

    def __init__(self, data: Data, loss: Callable | None = None):
        self.data = data
        self.loss = loss

    def __call__(self, model, variables):
        kept = [*model.non_trainable_variables, *model.metrics_variables]
        before = [ops.convert_to_numpy(variable) for variable in kept]
        scores = self.scores(model, variables)
        for variable, value in zip(kept, before, strict=True):
            variable.assign(value)
        return [ops.convert_to_numpy(score) for score in scores]

    def scores(self, model, variables):
        raise NotImplementedError

    def gradients(self, model, variables, x, y):
        """Of one batch's mean loss."""
        return gradients(lambda: mean_loss(model, self.loss, x, y), variables)

    def mean(self, function):
        """Over the batches, of the tensors that `function(x, y)` gives."""
        total, count = None, 0
        for x, y in pairs(self.data):
            found = function(x, y)
            total = found if total is None else list(map(ops.add, total, found))
            count += 1
        return [each / count for each in total]

    def mean_gradients(self, model, variables):
        return self.mean(lambda x, y: self.gradients(model, variables, x, y))


class Gradient(_WithGradients):
    """|mean gradient|: what would change if a weight moved, that of a zero as well."""

    def scores(self, model, variables):
        return list(map(ops.abs, self.mean_gradients(model, variables)))


class Taylor(_WithGradients):
    """|gradient * w|, the mean over the batches of what a weight's loss would change.

    Molchanov et al. (2017), https://arxiv.org/abs/1611.06440, equation 7, for weights
    as in Molchanov et al. (2019), https://arxiv.org/abs/1906.10771, which squares it.
    """

    def scores(self, model, variables):
        def batch(x, y):
            found = self.gradients(model, variables, x, y)
            return [ops.abs(g * v.value) for g, v in zip(found, variables, strict=True)]

        return self.mean(batch)


class Snip(_WithGradients):
    """|mean gradient * w|, of all kernels' sum: connection sensitivity at the start.

    Lee et al. (2019), https://arxiv.org/abs/1810.02340, equation 6: for one-shot
    pruning of a net that was not trained, `ConstantSparsity`.
    """

    def scores(self, model, variables):
        found = self.mean_gradients(model, variables)
        sizes = [ops.abs(g * v.value) for g, v in zip(found, variables, strict=True)]
        total = sum(float(ops.sum(size)) for size in sizes)
        return [size / (total or 1.0) for size in sizes]


class Grasp(_WithGradients):
    """w * (Hessian gradient): what goes must not slow the training that follows.

    Wang et al. (2020), https://arxiv.org/abs/2002.07376, equation 8: its score is the
    negative of this, and the highest go. For one-shot pruning before training.
    """

    def scores(self, model, variables):
        towards = self.mean_gradients(model, variables)

        def batch(x, y):
            def along():
                found = self.gradients(model, variables, x, y)
                return sum(
                    ops.sum(g * ops.stop_gradient(t))
                    for g, t in zip(found, towards, strict=True)
                )

            return gradients(along, variables)

        product = self.mean(batch)
        return [h * v.value for h, v in zip(product, variables, strict=True)]


class Fisher(_WithGradients):
    """Mean gradient^2 * w^2 / 2: optimal brain damage with the Fisher diagonal.

    LeCun et al. (1989), "Optimal Brain Damage", equation 5, its second derivatives by
    the empirical Fisher information, Theis et al. (2018),
    https://arxiv.org/abs/1801.05787, equation 4. Gradients are those of single
    examples, one after the other: a few hundred do.
    """

    def scores(self, model, variables):
        total, count = [ops.zeros_like(v.value) for v in variables], 0
        for x, y in pairs(self.data):
            for i in range(len(y)):
                one = keras.tree.map_structure(lambda t, i=i: t[i : i + 1], x)
                found = self.gradients(model, variables, one, y[i : i + 1])
                total = [t + g * g for t, g in zip(total, found, strict=True)]
                count += 1
        return [
            t / count * ops.square(v.value) / 2
            for t, v in zip(total, variables, strict=True)
        ]


NAMED = {"magnitude": lambda: magnitude, "random": Random, "movement": Movement}
WITH_DATA = {
    "taylor": "Taylor",
    "snip": "Snip",
    "grasp": "Grasp",
    "fisher": "Fisher",
    "wanda": "Wanda",
}


def saliency(given: str | Saliency) -> Saliency:
    """The saliency of that name, or the one given.

    Raises:
        ValueError: there is none of that name, it needs data, or is no function.
    """
    if isinstance(given, type) or not (isinstance(given, str) or callable(given)):
        raise ValueError(
            "saliency must be a name, or a function of (model, kernels), such as "
            f"pruning.Taylor(batches), got {shown(given)}"
        )
    if not isinstance(given, str):
        return given
    if given in WITH_DATA:
        raise ValueError(
            f"saliency {given!r} needs data: give "
            f"saliency=pruning.{WITH_DATA[given]}(batches)"
        )
    if given not in NAMED:
        raise ValueError(
            f"no saliency called {given!r}; choose from {', '.join(NAMED)}, or with "
            f"data {', '.join(WITH_DATA.values())}"
        )
    return NAMED[given]()


def zeros_first(scores: np.ndarray, weights: np.ndarray, lowest: float) -> np.ndarray:
    """The scores moved up to be positive, in the same order; 0 where a weight is 0.

    Args:
        scores: of the weights.
        weights: the kernel.
        lowest: of all scores with which they compete.
    """
    if not np.issubdtype(scores.dtype, np.floating):  # bfloat16 is none for numpy
        scores = scores.astype("float32")
    if lowest < 0:
        scores = scores.astype(float) - lowest
    least = np.nextafter(0, 1, dtype=scores.dtype)
    return np.where(weights == 0, 0, np.maximum(scores, least)).astype(scores.dtype)


def pairs(data: Data) -> Iterable:
    """The batches' (x, y).

    Raises:
        ValueError: no batch came.
    """
    batch = None
    batches = data() if callable(data) else data
    require_batches("a saliency's data", batches, "batches (x, y)")
    for batch in batches:
        if not isinstance(batch, (tuple, list)) or len(batch) < 2:
            raise ValueError(
                f"a saliency's data must be batches (x, y), got {shown(batch)}"
            )
        yield batch[0], batch[1]
    if batch is None:
        raise ValueError(
            "no batch came to the saliency: an iterator can be gone through once only; "
            "give a list, a dataset, or a function that gives the batches"
        )
