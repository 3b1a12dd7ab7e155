"""Training under a projection: after each update, weights are put back on a set.

A sparsity mask, a 2:4 pattern, a few shared values: each is a set of weights. The
optimizer applies a variable's `constraint` inside its compiled step, so the model
stays an ordinary Keras model and a projection composes with any trainer.
"""

from collections.abc import Callable

import keras
from keras import ops

from compression.weights import kernels


class Projection(keras.callbacks.Callback):
    """Holds variables on a set while a model trains; afterwards they are free again.

    Subclasses define the set: `initial_state` and `project` for one variable, and
    `update(step)`, which may change the states in the course of the training. A state
    is a tensor of the variable's shape and dtype, such as a mask.

    Constraints that the variables had before, such as max-norm, and other projections
    of the same training, stay in force: each is applied in the order of the callbacks.

    Steps are counted from the first epoch of this training, so that
    `fit(initial_epoch=...)` continues a schedule where it stood; earlier trainings of
    the same model do not count.

    Args:
        select: keeps the variables for which it is true; all kernels of convolutions
            and dense layers (not biases, not batch norm) by default.
    """

    def __init__(self, select: Callable[[keras.Variable], bool] | None = None):
        super().__init__()
        self.select = select or (lambda variable: True)
        self.variables: list[keras.Variable] = []
        self.states: list[keras.Variable] = []
        self._epoch_start = self._steps_done = 0
        self._owned = []

    def initial_state(self, variable):
        """The state with which `variable` enters training."""
        raise NotImplementedError

    def project(self, value, state):
        """`value` put on the set that `state` describes, in `keras.ops`."""
        raise NotImplementedError

    def update(self, step: int) -> None:
        """Before step `step` of the training (from 0): change `states` where due."""

    def on_train_begin(self, logs=None):
        self.variables = [v for v in kernels(self.model) if self.select(v)]
        if not self.variables:
            raise ValueError(
                f"model {self.model.name!r} has no kernel to project (selected)"
            )
        self._steps_done = 0
        optimizer = self.model.optimizer
        if not optimizer.built:
            optimizer.build(self.model.trainable_variables)
        self.states = [self._state(optimizer, variable) for variable in self.variables]
        for variable, state in zip(self.variables, self.states, strict=True):
            before = _of_this_training(variable.constraint, self.params)
            variable.constraint = _Held(self, state, before)
        self.model.make_train_function(force=True)  # an old trace has no constraints

    def on_epoch_begin(self, epoch, logs=None):
        steps = self.params.get("steps")
        if steps is not None:
            self._epoch_start = epoch * steps
        elif epoch and not self._steps_done:
            raise ValueError(
                f"training goes on at epoch {epoch}, but the steps of an epoch are "
                "unknown: give fit() steps_per_epoch, so that the schedule continues"
            )
        else:
            self._epoch_start = self._steps_done

    def on_train_batch_begin(self, batch, logs=None):
        self.update(self._epoch_start + batch)

    def on_train_batch_end(self, batch, logs=None):
        self._steps_done = self._epoch_start + batch + 1

    def on_train_end(self, logs=None):
        self.sync()
        for variable, state in zip(self.variables, self.states, strict=True):
            variable.constraint = _without(variable.constraint, self)
            # Weight averaging has just overwritten the weights: put them back.
            variable.assign(self.project(variable, state))
        self._release()
        self.model.make_train_function(force=True)

    def sync(self) -> None:
        """Before reading or assigning weights: JAX holds them in its trainer."""
        if hasattr(self.model, "jax_state_sync"):
            self.model.jax_state_sync()

    def _state(self, optimizer, variable):
        """A variable for the state.

        JAX's compiled step sees only what the optimizer owns; elsewhere a free
        variable keeps the optimizer's saved state loadable in mid-schedule.
        """
        value = ops.convert_to_numpy(self.initial_state(variable))
        options = {"dtype": variable.dtype, "name": f"{variable.name}_state"}
        if keras.backend.backend() != "jax":
            return keras.Variable(value, trainable=False, **options)
        owner = getattr(optimizer, "inner_optimizer", optimizer)
        state = owner.add_variable(shape=value.shape, initializer="zeros", **options)
        state.assign(value)
        self._owned.append((owner, state))
        return state

    def _release(self):
        """Take the states out of the optimizer: a later save must not hold them."""
        for owner, state in self._owned:
            owner._untrack_variable(state)
        self._owned = []


class _Held:
    """A variable's constraint while held: what it had before, then the projection."""

    def __init__(self, projection, state, before):
        self.projection = projection
        self.state = state
        self.before = before

    def __call__(self, value):
        if self.before is not None:
            value = self.before(value)
        return self.projection.project(value, self.state)


def _of_this_training(constraint, params):
    """`constraint` less what an interrupted training left behind.

    All callbacks of one `fit` share one `params` dict, so it identifies a training.
    """
    if isinstance(constraint, _Held) and constraint.projection.params is not params:
        return _of_this_training(constraint.before, params)
    return constraint


def _without(constraint, projection):
    """`constraint` less what `projection` had put on it."""
    if not isinstance(constraint, _Held):
        return constraint
    before = _without(constraint.before, projection)
    if constraint.projection is projection:
        return before
    return _Held(constraint.projection, constraint.state, before)
