"""Pruning while training: a mask that follows a schedule, as a Keras callback."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence

import keras
import numpy as np
from keras import ops

from compression.arguments import names, require_number, shown
from compression.choice import exempted, layer_path, targets_of
from compression.graph import all_layers
from compression.projection import Projection
from compression.pruning.masks import (
    AUTO,
    SCOPES,
    floor_at,
    least_kept,
    masks,
    require_floor,
    require_reachable,
)
from compression.pruning.patterns import LAST, Element, Kernel
from compression.pruning.patterns import pattern as pattern_of
from compression.pruning.saliency import (
    NOTHING_MOVED,
    Movement,
    Saliency,
    zeros_first,
)
from compression.pruning.saliency import saliency as named_saliency
from compression.pruning.schedules import ConstantSparsity
from compression.weights import channel_axes, depthwise_kernels, net_of


class Prune(Projection):
    """Holds weights of little saliency at zero while the model trains.

    The model stays an ordinary one: after training its sparsity is exact, there is
    nothing to strip, and a later `fit` without this callback is free again. Works on
    a model fitted before, inside a `Distiller`, with weight averaging (averaged
    weights are masked at the end), and continues after a reload in mid-schedule with
    `fit(initial_epoch=...)`: the zeros are the mask.

    The sparsity asked for by the schedule stands in the logs as `sparsity` (the one
    there is, where that is less); kernels that are left with next to nothing ("auto" of
    `magnitude_masks`) are named in a warning.

    Args:
        schedule: function of the step that gives the fraction of zeros:
            `ConstantSparsity` or `PolynomialDecay`.
        pattern: "element": single weights; "2:4" or any n:m: at most n of m weights
            that follow each other along the inputs, the schedule ending at 1 - n/m;
            "block(1, 4)" or any block(inputs, outputs) of a kernel as a matrix;
            "kernel": whole windows of convolutions, dense layers staying dense. See
            `patterns`.
        scope: "layer": the same sparsity in every kernel; "global": over all kernels
            together, so that it differs from layer to layer.
        saliency: which go first: "magnitude" (the least), "random", "movement", or a
            function of (model, kernels) that gives their scores, such as
            `Taylor(batches)`. See `saliency`.
        floor: with "global", the fraction of every kernel that stays at least, see
            `magnitude_masks`. None: a kernel may lose all of its weights.
        targets: final sparsity of single layers by patterns of their names,
            {"conv*": 0.5, "logits": 0}; the first that matches counts. Each of their
            kernels goes there as the schedule goes to its `final`; the scope is of
            the others.
        exempt: layers that stay dense: "first", "last" or patterns of names.
        select: keeps the kernels for which it is true. By default all but depthwise
            ones, as long as `targets` does not name their layer: they are few weights,
            and small ones, so that a global 80 % would take nearly all of them. Zhu
            and Gupta (2017), https://arxiv.org/abs/1710.01878, and tfmot leave those
            of MobileNet dense, too.

    Raises:
        ValueError: there is no such pattern, scope or saliency, a fraction is none,
            the schedule or a target is not what the n:m has, data that are gone
            through once would be looked at again, or movement would be asked before
            the first step; in `fit`, before anything is changed: no kernel is left, or
            depthwise ones only; a name matches no layer or only frozen ones, or a
            kernel is smaller than a block.
    """

    def __init__(  # noqa: PLR0913, all but one by keyword
        self,
        schedule: Callable[[int], float],
        *,
        pattern: str = "element",
        scope: str = "global",
        saliency: str | Saliency = "magnitude",
        floor: float | str | None = AUTO,
        targets: Mapping[str, float] | None = None,
        exempt: Sequence[str] = (),
        select: Callable[[keras.Variable], bool] | None = None,
    ):
        super().__init__(select)
        self._selects = select is not None
        self.pattern = pattern_of(pattern)
        if scope not in SCOPES:
            raise ValueError(
                f"no scope called {scope!r}; choose from {', '.join(SCOPES)}"
            )
        require_floor(floor)
        if not callable(schedule):
            raise ValueError(
                "schedule must be a function of the step, as ConstantSparsity(0.8) is, "
                f"got {shown(schedule)}"
            )
        self.schedule = schedule
        self.scope = scope
        self.saliency = named_saliency(saliency)
        if isinstance(self.saliency, Movement) and schedule(0) > 0:
            raise ValueError(NOTHING_MOVED)
        once = isinstance(getattr(self.saliency, "data", None), Iterator)
        if once and not isinstance(schedule, ConstantSparsity):
            raise ValueError(
                f"the saliency looks at its data each time that {schedule} moves, and "
                "an iterator can be gone through once only: give a list, a dataset, or "
                "a function that gives the batches"
            )
        self.floor = floor
        self.targets = targets or {}
        self.exempt = names("exempt", exempt)
        self._check_targets()
        self._begin()

    def _check_targets(self):
        if not isinstance(self.targets, Mapping):
            raise ValueError(
                'targets must be sparsities by name, as in {"conv*": 0.5}, got '
                f"{shown(self.targets)}"
            )
        final = getattr(self.schedule, "final", None)
        if final is not None:
            require_reachable(self.pattern, final, exactly=True)
        for name, target in self.targets.items():
            require_number(f"targets[{name!r}]", target)
            if not 0 <= target < 1:
                raise ValueError(f"targets[{name!r}] must be in [0, 1), got {target}")
            require_reachable(self.pattern, target, exactly=True)
        if self.targets and not final:
            raise ValueError(
                "targets are reached as the schedule reaches its final sparsity, and "
                f"{self.schedule} has none above 0"
            )

    def _begin(self):
        self.sparsity = self.delivered = 0.0
        self._named = set()  # kernels that a warning has named
        self._found, self._outdated = None, []

    def chosen(self, model):
        spared = exempted(model, self.exempt)
        chosen = [v for v in super().chosen(model) if layer_path(v) not in spared]
        if not self._selects:
            chosen = self._without_depthwise(model, chosen)
        if isinstance(self.pattern, Kernel):
            dense = {
                id(each.kernel)
                for each in all_layers(net_of(model))
                if isinstance(each, keras.layers.EinsumDense)  # as of attention
            }
            chosen = [v for v in chosen if len(v.shape) > 2 and id(v) not in dense]
        axes = channel_axes(model)
        self._outputs = [axes.get(id(v), LAST) for v in chosen]
        self._own = targets_of(model, chosen, self.targets)
        for variable, outputs in zip(chosen, self._outputs, strict=True):
            if why := self.pattern.refusal(tuple(variable.shape), outputs):
                raise ValueError(
                    f"pattern {self.pattern}: {variable.path} {why}; exempt its layer: "
                    f'exempt=("{layer_path(variable)}",)'
                )
        return chosen

    def _without_depthwise(self, model, chosen):
        depthwise = depthwise_kernels(net_of(model))
        own = targets_of(model, chosen, self.targets)
        left = [
            variable
            for variable, target in zip(chosen, own, strict=True)
            if target is not None or id(variable) not in depthwise
        ]
        if chosen and not left:
            raise ValueError(
                f"all kernels of {model.name!r} that could be pruned are depthwise, "
                "which stay dense: name their layers in targets, as in "
                f'{{"{layer_path(chosen[0])}": 0.5}}, or choose with select'
            )
        return left

    @property
    def kept(self):
        return self.saliency.scores if isinstance(self.saliency, Movement) else []

    def initial_state(self, variable):
        return np.ones(variable.shape, variable.dtype)

    def project(self, value, state):
        return value * ops.cast(state, value.dtype)

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self._begin()
        if isinstance(self.saliency, Movement):
            self.saliency.begin(self.variables)

    def on_train_batch_begin(self, batch, logs=None):
        super().on_train_batch_begin(batch, logs)
        if isinstance(self.saliency, Movement):
            self.sync()
            self.saliency.before_step(self.variables)

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        if isinstance(self.saliency, Movement):
            self.sync()
            self.saliency.after_step(self.variables)

    def update(self, step):
        sparsity = self.schedule(step)
        if sparsity == self.sparsity:
            return
        self.sync()
        weights = [ops.convert_to_numpy(variable) for variable in self.variables]
        self._take(self._masks(self.model, weights, sparsity), weights, sparsity)

    def cut(self, model: keras.Model, sparsity: float) -> list[np.ndarray]:
        """Prunes `model` at once, without training it.

        Returns:
            The masks of `variables`, which are the kernels that were pruned.

        Raises:
            ValueError: as `fit` would.
        """
        self.variables = self.chosen(model)
        weights = [ops.convert_to_numpy(variable) for variable in self.variables]
        found = self._masks(model, weights, sparsity)
        for variable, weight, mask in zip(self.variables, weights, found, strict=True):
            variable.assign(weight * mask)
        return found

    def _take(self, found, weights, sparsity):
        """The masks that hold from here on."""
        for i, mask in enumerate(found):
            self.states[i].assign(mask)
            self.variables[i].assign(weights[i] * mask)
        risen, self.sparsity = sparsity != self.sparsity, sparsity
        self.delivered = self._delivered(found)
        if risen:
            self._outdated += self.compare_from_here()
        if self.scope == "global":  # otherwise it is what was asked for
            self._name_the_nearly_empty(found)

    def _masks(self, model, weights, sparsity):
        scores = self.saliency(model, self.variables)
        self._check(scores)
        return self._masks_of(scores, weights, sparsity)

    def _masks_of(self, scores, weights, sparsity):
        """Of the kernels with targets each for itself, of the others by the scope."""
        lowest = min(score.min() for score in scores)
        scores = [
            zeros_first(score, weight, lowest)
            for score, weight in zip(scores, weights, strict=True)
        ]
        found = [None] * len(weights)
        groups = [[i for i, own in enumerate(self._own) if own is None]]
        groups += [[i] for i, own in enumerate(self._own) if own is not None]
        for group in filter(None, groups):
            own = self._own[group[0]]
            asked = sparsity
            if own is not None:
                asked = own * (sparsity / self.schedule.final)
            of_group = masks(
                [scores[i] for i in group],
                asked,
                pattern=self.pattern,
                outputs=[self._outputs[i] for i in group],
                scope=self.scope,
                floor=self.floor,
            )
            for i, mask in zip(group, of_group, strict=True):
                found[i] = mask.astype(weights[i].dtype)
        return found

    def _check(self, scores):
        for score, variable in zip(scores, self.variables, strict=True):
            if score.shape != tuple(variable.shape):
                raise ValueError(
                    f"the saliency gives scores of shape {score.shape} for "
                    f"{variable.path}, whose shape is {tuple(variable.shape)}"
                )
            if not np.isfinite(score).all():
                raise ValueError(
                    f"the saliency's scores of {variable.path} are not all finite: "
                    "look at its data and loss, and at the net's weights"
                )

    def _delivered(self, found):
        """`sparsity`; less where so many weights cannot go, or have their own."""
        size = sum(mask.size for mask in found)
        zeros = sum(np.count_nonzero(mask == 0) for mask in found)
        if self.targets or not isinstance(self.pattern, Element):
            return zeros / size
        rounding = len(found) if self.scope == "layer" else 1
        missing = self.sparsity * size - zeros
        return zeros / size if missing > 0.5 * rounding + 1e-6 else self.sparsity

    def _name_the_nearly_empty(self, found):
        """A warning for kernels of which next to nothing is left, once for each."""
        new, nothing = [], floor_at(self.sparsity, AUTO)
        for variable, mask in zip(self.variables, found, strict=True):
            kept, few = np.count_nonzero(mask), least_kept(mask.size, nothing)
            if kept <= few and variable.path not in self._named:
                self._named.add(variable.path)
                if few < mask.size:
                    new.append(f"{variable.path} ({kept} of {mask.size})")
        if new:
            warnings.warn(
                f"at a sparsity of {self.sparsity:.3f} over all layers, "
                f"{nothing:.1%} of the weights or fewer, or a single one, are left of: "
                f"{', '.join(new)}; ask for less, raise floor (it is {self.floor}), "
                'or prune with scope="layer"',
                stacklevel=2,
            )

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs["sparsity"] = self.delivered

    def on_train_end(self, logs=None):
        self._note_what_was_set()
        super().on_train_end(logs)
        final = getattr(self.schedule, "final", self.sparsity)
        if self.sparsity != final:
            warnings.warn(
                f"training ended in mid-schedule: sparsity is {self.sparsity:.3f}, "
                f"not {final}; train longer, or let the schedule end sooner",
                stacklevel=2,
            )

    def after_all_callbacks(self):
        self._note_what_was_set()
        super().after_all_callbacks()
        if self._found is not None:
            warnings.warn(
                f"a callback set weights with {self._found:.1%} zeros at the end of "
                f"training, {self.delivered:.1%} were asked for: they are masked again "
                "and not trained with that mask, so evaluate the net before use; let "
                "the callback wait until the schedule has ended",
                stacklevel=2,
            )
        for checkpoint in dict.fromkeys(self._outdated):
            if checkpoint.best is None:
                warnings.warn(
                    f"{checkpoint.filepath} holds no net with {self.sparsity:.1%} "
                    "zeros: ModelCheckpoint has saved none since the sparsity rose; "
                    "save the model itself, or train longer",
                    stacklevel=2,
                )

    def _note_what_was_set(self):
        """The fraction of zeros, where a callback has set weights off the mask.

        Weights with zeros enough have a mask of their own, which then holds: of an
        earlier step, where masks move at the same sparsity.
        """
        optimizer = self.model.optimizer
        inner = getattr(optimizer, "inner_optimizer", optimizer)  # loss scaling
        if inner.use_ema:
            return  # averages are off the mask, and meant to be masked
        self.sync()
        values = [ops.convert_to_numpy(variable) for variable in self.variables]
        masks = [ops.convert_to_numpy(state) for state in self.states]
        if any(
            value[mask == 0].any() for value, mask in zip(values, masks, strict=True)
        ):
            zeros = sum(np.count_nonzero(value == 0) for value in values)
            found = zeros / sum(value.size for value in values)
            if isinstance(self.pattern, Element) and found >= self.delivered - 1e-6:
                for value, state in zip(values, self.states, strict=True):
                    state.assign((value != 0).astype(value.dtype))
            else:
                self._found = found
