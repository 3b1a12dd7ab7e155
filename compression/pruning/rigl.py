"""A net that is sparse from the first step, whose connections move.

Evci et al. (2020), "Rigging the Lottery: Making All Tickets Winners",
https://arxiv.org/abs/1911.11134, section 3, algorithm 1.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
from keras import ops

from compression.arguments import require_number
from compression.pruning.prune import Prune
from compression.pruning.saliency import Data, Gradient, Random
from compression.pruning.schedules import ConstantSparsity


class RigL(Prune):
    """Drops weights of least magnitude, grows those of greatest gradient, as many.

    The first mask is chance, the same sparsity in every kernel, which then stays. At
    step t of the `until` steps in which connections move, a `fraction` / 2 * (1 +
    cos(pi t / until)) of a kernel's weights are exchanged. Grown weights start at
    zero; what an optimizer remembers of them is left as it is, where the paper's code
    forgets it. A training that is cut goes on where it was if its checkpoint holds
    what is `kept`.

    Args:
        sparsity: fraction of zeros, 0 <= sparsity < 1.
        data: batches (x, y) that the gradients are taken of, or a function that gives
            them; one batch in the paper.
        until: the step from which connections stay, three quarters of the training in
            the paper.
        loss: function of (labels, outputs); None: what the model was compiled with.
        fraction: of a kernel's weights that are exchanged at the start, 0 to 1.
        every: steps between two exchanges.
        seed: of the first mask.
        options: exempt, targets, select, as `Prune` takes them.

    Raises:
        ValueError: a value is out of its range.
    """

    def __init__(  # noqa: PLR0913, all but three by keyword
        self,
        sparsity: float,
        data: Data,
        until: int,
        *,
        loss: Callable | None = None,
        fraction: float = 0.3,
        every: int = 100,
        seed: int = 0,
        **options,
    ):
        fixed = {"scope": "layer", "saliency": Random(seed)}
        super().__init__(ConstantSparsity(sparsity), **fixed, **options)
        require_number("fraction", fraction)
        require_number("every", every, whole=True)
        require_number("until", until, whole=True)
        if not 0 <= fraction <= 1:
            raise ValueError(f"fraction must be in [0, 1], got {fraction}")
        if every < 1 or until < 1:
            raise ValueError(f"every and until start at 1, got {every} and {until}")
        if options.get("pattern", "element") != "element":
            raise ValueError("RigL moves single weights: it takes no other pattern")
        if isinstance(data, Iterator):
            raise ValueError(
                "the gradients are taken again and again, and an iterator can be gone "
                "through once only: give a list, a dataset, or a function that gives "
                "the batches"
            )
        self.growth = Gradient(data, loss)
        self.until = until
        self.fraction = fraction
        self.every = every

    @property
    def kept(self):
        return self.states

    def initial_state(self, variable):
        return (ops.convert_to_numpy(variable) != 0).astype(variable.dtype)

    def update(self, step):
        if step == 0:
            super().update(step)
            return
        if self.sparsity != self.schedule.final:  # it goes on after a reload
            self.sparsity = self.schedule.final
            self.delivered = self._delivered(
                [ops.convert_to_numpy(state) for state in self.states]
            )
        due = step // self.every > self.before(step) // self.every
        if due and step < self.until:
            self.sync()
            share = self.fraction / 2 * (1 + math.cos(math.pi * step / self.until))
            scores = self.growth(self.model, self.variables)
            for i, variable in enumerate(self.variables):
                weight = ops.convert_to_numpy(variable)
                mask = ops.convert_to_numpy(self.states[i])
                found, weight = exchanged(weight, mask, scores[i], share)
                self.states[i].assign(found)
                variable.assign(weight)


def exchanged(weight, mask, growth, share):
    """The mask after an exchange and the weights with it: grown ones are zero.

    Args:
        weight: a kernel.
        mask: what there is of it.
        growth: how much each weight should be there.
        share: fraction of its weights that go, rounded down.
    """
    there = np.flatnonzero(mask)
    count = int(share * there.size)
    order = np.argsort(np.abs(weight.ravel()[there]), kind="stable")
    stays = there[order[count:]]
    free = np.setdiff1d(np.arange(mask.size), stays, assume_unique=True)
    order = np.argsort(-np.abs(growth.ravel()[free]), kind="stable")
    found = np.zeros(mask.size, mask.dtype)
    found[stays] = 1
    kept = (weight.ravel() * found).reshape(weight.shape)
    found[free[order[:count]]] = 1
    return found.reshape(mask.shape), kept
