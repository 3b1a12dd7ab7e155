"""Iterative pruning with rewinding: lottery tickets.

Frankle, Carbin (2019), "The Lottery Ticket Hypothesis", https://arxiv.org/abs/1803.03635
Frankle et al. (2020), "Linear Mode Connectivity and the Lottery Ticket Hypothesis",
https://arxiv.org/abs/1912.05671, for early weights in the place of the first ones.
"""

from collections.abc import Callable, Sequence

import keras

from compression.arguments import require_number, shown
from compression.projection import Projection
from compression.pruning.prune import Prune
from compression.pruning.schedules import ConstantSparsity


def find_ticket(
    model: keras.Model,
    train: Callable[[Sequence[keras.callbacks.Callback]], None],
    *,
    final: float,
    rounds: int,
    rewind_to: int = 0,
    **options,
) -> list[float]:
    """Train, prune, rewind what is left to its early weights; again and again.

    Each round leaves the same fraction of the weights that were there, so that after
    the last `final` of them are zero; that net is trained, too: `rounds` + 1 trainings.

    Args:
        model: changed; in the end the trained ticket.
        train: function of a list of callbacks that trains `model`, from the weights
            it has, with those callbacks. It should compile the model afresh, so that
            optimizer and learning rate start anew, and take as many steps each time.
        final: fraction of zeros in the end, 0 < final < 1.
        rounds: how many times it is pruned; 1: at once.
        rewind_to: the step of the first training whose weights, before it, are gone
            back to; 0: the first weights. Batch norm goes back with them. Where
            `steps_per_execution` is more than one, the first execution from there on.
        options: as `Prune` takes them: pattern, scope, saliency, exempt, ...

    Returns:
        The sparsities, one for each round.

    Raises:
        ValueError: a value is out of its range, or the first training does not come to
            step `rewind_to`.
    """
    require_number("final", final)
    require_number("rounds", rounds, whole=True)
    require_number("rewind_to", rewind_to, whole=True)
    if not 0 < final < 1:
        raise ValueError(f"final must be in (0, 1), got {final}")
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, got {rounds}")
    if rewind_to < 0:
        raise ValueError(f"rewind_to must not be negative, got {rewind_to}")
    if not callable(train):
        raise ValueError(
            f"train must be a function of a list of callbacks, got {shown(train)}"
        )
    prune = Prune(ConstantSparsity(final), **options)
    if not prune.chosen(model):
        raise ValueError(f"model {model.name!r} has no kernel to prune (selected)")
    early = _Early(model, rewind_to)
    train([early])
    if not early.steps:
        raise ValueError(
            "train took no step with the callbacks that it was given: hand them to "
            "fit(callbacks=...)"
        )
    if early.weights is None:
        raise ValueError(
            f"a training of {early.steps} steps does not come to step {rewind_to}, "
            "where it is to be rewound to"
        )
    sparsities = [1 - (1 - final) ** (i / rounds) for i in range(1, rounds)] + [final]
    for sparsity in sparsities:
        masks = prune.cut(model, sparsity)
        model.set_weights(early.weights)
        train([_Fixed(prune.variables, masks)])
    return sparsities


class _Early(keras.callbacks.Callback):
    """Keeps the weights as they are before a step."""

    def __init__(self, net, step):
        super().__init__()
        self.net, self.step = net, step
        self.steps, self.weights = 0, None
        self._epoch_start = 0

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch_start = self.steps

    def on_train_batch_begin(self, batch, logs=None):
        if self.weights is None and self._epoch_start + batch >= self.step:
            if hasattr(self.model, "jax_state_sync"):
                self.model.jax_state_sync()
            self.weights = self.net.get_weights()

    def on_train_batch_end(self, batch, logs=None):
        self.steps = self._epoch_start + batch + 1


class _Fixed(Projection):
    """Masks that stay as they are."""

    def __init__(self, variables, masks):
        self.masks = {id(v): mask for v, mask in zip(variables, masks, strict=True)}
        super().__init__(lambda variable: id(variable) in self.masks)

    def initial_state(self, variable):
        return self.masks[id(variable)]

    def project(self, value, state):
        return value * state

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self.put_back()  # the weights that it starts from are not masked yet
