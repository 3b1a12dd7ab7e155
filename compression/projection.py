"""Training under a projection: after each update, weights are put back on a set.

A sparsity mask, a 2:4 pattern, a few shared values: each is a set of weights. The
optimizer applies a variable's `constraint` inside its compiled step, so the model
stays an ordinary Keras model and a projection composes with any trainer.
"""

import inspect
from collections.abc import Callable
from typing import ClassVar

import keras
from keras import ops

from compression.arguments import shown
from compression.weights import kernels


class Projection(keras.callbacks.Callback):
    """Holds variables on a set while a model trains; afterwards they are free again.

    Subclasses define the set: `initial_state` and `project` for one variable, and
    `update(step)`, which may change the states in the course of the training. A state
    is a tensor of the variable's shape and dtype, such as a mask.

    Constraints that the variables had before, such as max-norm, and other projections
    of the same training, stay in force: each is applied in the order of the callbacks,
    those of higher `rank` after the others.

    Steps are counted from the first epoch of this training, so that
    `fit(initial_epoch=...)` continues a schedule where it stood; earlier trainings of
    the same model do not count.

    Other callbacks may set weights when training ends, as
    `EarlyStopping(restore_best_weights=True)` does: whatever their order, weights are
    projected once more after all of them. `SwapEMAWeights` sets averages while it
    trains, too, to validate or save them: these are projected as soon as they are in.
    Where an exception ends the training there is no end to be told of; the next `fit`
    of the model finds it free again.

    Args:
        select: keeps the variables for which it is true; all kernels of convolutions
            and dense layers (not biases, not batch norm) by default.
    """

    rank: ClassVar[int] = 0

    def __init__(self, select: Callable[[keras.Variable], bool] | None = None):
        super().__init__()
        if select is not None and not callable(select):
            raise ValueError(
                f"select must be a function of a variable, got {shown(select)}"
            )
        self.select = select or (lambda variable: True)
        self.variables: list[keras.Variable] = []
        self.states: list[keras.Variable] = []
        self._epoch_start = self._steps_done = 0
        self._updated: int | None = None  # the step of the last `update`
        self._owned = []
        self._callbacks: keras.callbacks.CallbackList | None = None
        self._last, self._swapped = _Last(self), _Swapped(self)

    def initial_state(self, variable):
        """The state with which `variable` enters training."""
        raise NotImplementedError

    def project(self, value, state):
        """`value` put on the set that `state` describes, in `keras.ops`."""
        raise NotImplementedError

    def after_step(self, value, state):
        """As `project`, of what an optimizer's step made, inside what is compiled."""
        return self.project(value, state)

    def chosen(self, model: keras.Model) -> list[keras.Variable]:
        """The variables of `model` to hold; raises ValueError if that cannot be."""
        return [v for v in kernels(model) if self.select(v)]

    @property
    def kept(self) -> list[keras.Variable]:
        """What a checkpoint must hold, beside the model, to go on in mid-training."""
        return []

    def join(self) -> None:
        """What ties variables to each other, each of which is on its own set now."""

    def update(self, step: int) -> None:
        """Before step `step` of the training (from 0): change `states` where due."""

    def before(self, step: int) -> int:
        """The step of the last `update`: further back where steps run together."""
        return step - 1 if self._updated is None else self._updated

    def on_train_begin(self, logs=None):
        self._callbacks = _list_that_called()
        self.variables = self.chosen(self.model)
        if not self.variables:
            raise ValueError(
                f"model {self.model.name!r} has no kernel to project (selected)"
            )
        self._steps_done, self._updated = 0, None
        if self._callbacks is not None and self._last not in self._callbacks.callbacks:
            _insert_last(self._callbacks.callbacks, self._last)
            self._callbacks.callbacks = list(
                _with_swapped(self._callbacks.callbacks, self._swapped)
            )
        optimizer = self.model.optimizer
        if not optimizer.built:
            optimizer.build(self.model.trainable_variables)
        self.states = [
            self.new_state(variable, self.initial_state(variable), variable.dtype)
            for variable in self.variables
        ]
        for variable, state in zip(self.variables, self.states, strict=True):
            variable.constraint = _with(variable.constraint, self, state)
        _Training.of(self.model).projections.append(self)
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
        step = self._epoch_start + batch
        self.update(step)
        self._updated = step

    def on_train_batch_end(self, batch, logs=None):
        self._steps_done = self._epoch_start + batch + 1

    def on_train_end(self, logs=None):
        self.put_back()  # while all sets are still in force
        self.let_go()
        self.model.make_train_function(force=True)
        if self._callbacks is None:
            self.after_all_callbacks()

    def after_all_callbacks(self) -> None:
        """At the end of a training, after the last callback's `on_train_end`."""
        self.put_back()

    def put_back(self) -> None:
        """Projects the variables as they are now: weight averaging, or a callback that
        restores earlier weights, sets them past their constraints."""
        self.sync()
        for variable, state in zip(self.variables, self.states, strict=True):
            if _holds(self, variable.constraint):
                variable.assign(_projected(variable, variable.constraint))
            else:
                variable.assign(self.project(variable, state))
        self.join()

    def let_go(self) -> None:
        """Takes constraints and states away; the variables keep their values."""
        for variable in self.variables:
            variable.constraint = _without(variable.constraint, self)
        for owner, state in self._owned:  # a later save must not hold them
            owner._untrack_variable(state)
        self._owned = []
        _Training.of(self.model).remove(self)

    def others(self, kind: type) -> list:
        """The callbacks of this training that are of `kind`."""
        if self._callbacks is None:
            return []
        return [each for each in self._callbacks.callbacks if isinstance(each, kind)]

    def compare_from_here(self) -> list[keras.callbacks.ModelCheckpoint]:
        """The best net so far is not on the set: none of those to come may lose to it,
        or it would be the one that is kept. Returns what has saved such a net."""
        outdated = []
        for checkpoint in self.others(keras.callbacks.ModelCheckpoint):
            if checkpoint.save_best_only and checkpoint.best is not None:
                checkpoint.best = None
                outdated.append(checkpoint)
        for stopping in self.others(keras.callbacks.EarlyStopping):
            if stopping.restore_best_weights:
                stopping.best = stopping.best_weights = None
                stopping.wait = 0
        return outdated

    def sync(self) -> None:
        """Before reading or assigning weights: JAX holds them in its trainer."""
        if hasattr(self.model, "jax_state_sync"):
            self.model.jax_state_sync()

    def new_state(self, variable, value, dtype: str) -> keras.Variable:
        """A variable that belongs to `variable` while it is held.

        JAX's compiled step sees only what the optimizer owns; elsewhere a free
        variable keeps the optimizer's saved state loadable in mid-schedule.
        """
        value = ops.convert_to_numpy(value)
        options = {"dtype": dtype, "name": f"{variable.name}_state"}
        if keras.backend.backend() != "jax":
            return keras.Variable(value, trainable=False, **options)
        optimizer = self.model.optimizer
        owner = getattr(optimizer, "inner_optimizer", optimizer)  # loss scaling
        state = owner.add_variable(shape=value.shape, initializer="zeros", **options)
        state.assign(value)
        self._owned.append((owner, state))
        return state


def put_back(model: keras.Model) -> None:
    """Puts the weights of a model that is trained on the sets that hold them."""
    for variable in model.trainable_variables:
        if variable.constraint is not None:
            constraint = variable.constraint
            variable.assign(_projected(variable, constraint, with_others=True))
    for projection in getattr(model.make_train_function, "projections", ()):
        projection.join()


class _Last(keras.callbacks.Callback):
    """Comes after all other callbacks of a training, at its end."""

    def __init__(self, projection):
        super().__init__()
        self.projection = projection

    def on_train_end(self, logs=None):
        self.projection.after_all_callbacks()


class _Swapped(keras.callbacks.Callback):
    """Comes after `SwapEMAWeights`: the averages of weights are on no set.

    At the beginning of an epoch, or after a test, it is its own weights, or averages
    that were projected, that the net gets back.
    """

    def __init__(self, projection):
        super().__init__()
        self.projection = projection

    def on_epoch_end(self, epoch, logs=None):
        self._put_back()

    def on_test_begin(self, logs=None):
        self._put_back()

    def on_predict_begin(self, logs=None):
        self._put_back()

    def _put_back(self):
        [first, *_] = self.projection.variables
        if _holds(self.projection, first.constraint):  # not in some later training
            self.projection.put_back()


def _with_swapped(callbacks, swapped):
    """All of them, as a new list: the old one is being gone through."""
    for callback in callbacks:
        yield callback
        if isinstance(callback, keras.callbacks.SwapEMAWeights):
            yield swapped


def _insert_last(callbacks, last):
    """Behind all others, but before a `_Last` whose projection has a higher rank."""
    at = len(callbacks)
    while (
        isinstance(callbacks[at - 1], _Last)
        and callbacks[at - 1].projection.rank > last.projection.rank
    ):
        at -= 1
    callbacks.insert(at, last)


def _list_that_called():
    """The list whose `on_train_begin` runs: nothing public leads from a callback to it.

    The outermost, where lists are in lists; None where nobody's list is at work.
    """
    found = None
    frame = inspect.currentframe()
    while frame is not None:
        owner = frame.f_locals.get("self")
        if (
            isinstance(owner, keras.callbacks.CallbackList)
            and frame.f_code.co_name == "on_train_begin"
        ):
            found = owner
        frame = frame.f_back
    return found


class _Training:
    """Stands in for `make_train_function` of a model whose weights are held.

    Keras calls that at the beginning of a training, before any callback. Called while
    weights are still held, it shows that an exception ended the training before: its
    projections let go, and the step is compiled without them.
    """

    def __init__(self, model):
        self.model = model
        self.projections = []

    @classmethod
    def of(cls, model) -> "_Training":
        """The one that stands in, put there if there is none."""
        standing = model.make_train_function
        if isinstance(standing, cls):
            return standing
        model.make_train_function = cls(model)
        return model.make_train_function

    def __call__(self, force=False):
        if force:
            type(self.model).make_train_function(self.model, force=True)
            return
        for projection in list(self.projections):
            projection.let_go()
        self.model.make_train_function(force=True)

    def remove(self, projection):
        self.projections.remove(projection)
        if not self.projections:
            del self.model.make_train_function


class _Held:
    """A variable's constraint while held: what it had before, then the projection."""

    def __init__(self, projection, state, before):
        self.projection = projection
        self.state = state
        self.before = before

    def __call__(self, value):
        if self.before is not None:
            value = self.before(value)
        return self.projection.after_step(value, self.state)


def _with(constraint, projection, state):
    """`constraint`, and then `projection`; but before those of a higher rank."""
    if isinstance(constraint, _Held) and constraint.projection.rank > projection.rank:
        before = _with(constraint.before, projection, state)
        return _Held(constraint.projection, constraint.state, before)
    return _Held(projection, state, constraint)


def _holds(projection, constraint):
    """Whether `projection` is among what is in force."""
    while isinstance(constraint, _Held):
        if constraint.projection is projection:
            return True
        constraint = constraint.before
    return False


def _projected(value, constraint, *, with_others=False):
    """`value` put on all sets in force, in their order; `with_others`: under the
    constraint, too, that the variable had before."""
    if not isinstance(constraint, _Held):
        return constraint(value) if with_others and constraint is not None else value
    value = _projected(value, constraint.before, with_others=with_others)
    return constraint.projection.project(value, constraint.state)


def _without(constraint, projection):
    """`constraint` less what `projection` had put on it."""
    if not isinstance(constraint, _Held):
        return constraint
    before = _without(constraint.before, projection)
    if constraint.projection is projection:
        return before
    return _Held(constraint.projection, constraint.state, before)
