"""Trained weight sharing: a net learns while its weights have a few values.

Han, Mao, Dally (2016), "Deep Compression", https://arxiv.org/abs/1510.00149, section
3.3: once weights are assigned to centroids they stay so, and a centroid moves by the
gradients of its members. After each update the members take their mean, which is the
paper's step with the mean of the gradients where the paper sums them: with plain
gradient descent the paper's learning rate is ours over the number of members. The mean
also has a meaning for Adam, which scales each weight's gradient by itself.

Or weights go on learning behind the values that they share, and share another where
that is nearer: the straight-through estimator of Bengio, Leonard, Courville (2013),
https://arxiv.org/abs/1308.3432, as a latent weight has it in quantization-aware
training.
"""

import warnings
from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from compression.arguments import require_number, shown
from compression.projection import Projection
from compression.quantization.cluster_means import cluster_means
from compression.quantization.reassignment import reassigned
from compression.quantization.weight_sharing import Sharing, kernels_to_share, shared

FREE = -1  # code of a weight that is not zero before clustering begins


class Cluster(Projection):
    """Holds the weights of kernels to a few values, which are learnt.

    The model stays an ordinary one: after training each kernel has at most `clusters`
    values, and nothing is to be stripped. Which weights have the same one is decided
    by k-means at step `begin`, once unless they are reassigned, or read from weights
    that have so few values already: a net goes on with them, as it does after a reload
    in mid-training with `fit(initial_epoch=...)`. Zeros that stay do so from the first
    step on.

    It composes with a `Distiller`, with weight averaging, with fake quantization
    (`quantize_aware`), and with `Prune` and `KeepZeros` in any order: what masks leave
    is shared. Biases and batch norm are not shared.

    The mean length in bits of a weight's code, of -log2 of its value's frequency,
    stands in the logs as `code_bits`.

    Args:
        clusters: the most values of a kernel, 2 to 256; a zero that stays is one.
        begin: first step at which weights are shared.
        select: keeps the kernels for which it is true; all of them by default.
        reassign: whether a weight that learns otherwise than those with which it
            shares may leave them: each keeps what it has learnt for itself, and goes
            to the nearest value. It takes some more time and, while it trains, the
            memory of another copy of the kernels, which a reload of the model alone
            does not bring back; on one device, and without `rate`.
        options: as `Sharing` takes them: scope, initialisation, preserve_zeros, rate,
            targets, exempt, seed. With scope "global" centroids meet after each step
            (each call of `on_train_batch_end`), outside what is compiled.

    Raises:
        ValueError: an argument is not as above; in `fit`, before anything is changed:
            no kernel is left, a name matches no layer or only frozen ones, zeros are
            not preserved beside a callback that holds zeros, or weights are reassigned
            on several devices; when clustering begins: weights are not finite.
    """

    rank = 1  # values are shared by what masks leave

    def __init__(
        self,
        clusters: int = 16,
        *,
        begin: int = 0,
        select: Callable[[keras.Variable], bool] | None = None,
        reassign: bool = False,
        **options,
    ):
        super().__init__(select)
        self.how = Sharing(clusters, **options)
        if not isinstance(reassign, bool):
            raise ValueError(f"reassign must be true or false, got {shown(reassign)}")
        if reassign and self.how.rate:
            raise ValueError(
                f"reassign=True goes by distance alone, and rate={self.how.rate} by "
                "bits too: leave one of them out"
            )
        self.reassign = reassign
        require_number("begin", begin, whole=True)
        if begin < 0:
            raise ValueError(f"begin must not be negative, got {begin}")
        self.begin = begin
        self._start()

    def _start(self):
        self._begun = self._set_by_others = False
        self._outdated = []
        self._apart = []

    def chosen(self, model):
        devices = _devices(model)
        if self.reassign and devices > 1:
            raise ValueError(
                f"reassign=True trains on one device, and the strategy has {devices}: "
                "leave it out, or train on one"
            )
        masks = self._masks()
        if masks and not self.how.preserve_zeros:
            raise ValueError(
                f"{type(masks[0]).__name__} holds zeros, and Cluster(preserve_zeros="
                "False) would give them other values: leave one of them out"
            )
        self.kernels = kernels_to_share(model, super().chosen(model), self.how)
        return [kernel.variable for kernel in self.kernels]

    def _masks(self):
        return [each for each in self.others(Projection) if each.rank < self.rank]

    @property
    def kept(self):
        return [*self.states, *self._apart]

    def initial_state(self, variable):
        kept = (_array(variable) == 0) & self.how.preserve_zeros
        return np.where(kept, 0, FREE).astype(variable.dtype)

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self._start()
        apart = self.variables if self.reassign else []
        self._apart = [self.new_state(v, np.zeros(v.shape), _wide(v)) for v in apart]
        self._of_state = {
            id(state): kernel
            for state, kernel in zip(self.states, self.kernels, strict=True)
        }
        self._apart_of_state = {
            id(state): apart
            for state, apart in zip(self.states, self._apart, strict=self.reassign)
        }

    def project(self, value, state):
        kernel = self._of_state[id(state)]
        value = ops.convert_to_tensor(value)
        codes = ops.cast(ops.convert_to_tensor(state), "int32")
        held = self._of_now(codes, value)
        found, *_ = _means(kernel, held, ops.cast(value, _wide(value)))
        return ops.where(codes == FREE, value, ops.cast(found, value.dtype))

    def after_step(self, value, state):
        apart = self._apart_of_state.get(id(state))
        if apart is None:
            return self.project(value, state)
        kernel = self._of_state[id(state)]
        value = ops.convert_to_tensor(value)
        codes = ops.cast(ops.convert_to_tensor(state), "int32")
        held = self._of_now(codes, value)
        learnt = ops.cast(value, apart.dtype) + apart
        found, means, sizes = _means(kernel, held, learnt)
        if kernel.alone:  # else in `join`
            held = reassigned(learnt, held, _firsts(kernel), means, sizes)
            found, *_ = _means(kernel, held, learnt)
        found = ops.where(codes == FREE, value, ops.cast(found, value.dtype))
        # A weight that a mask takes away for now keeps its code.
        state.assign(ops.cast(ops.where(held > 0, held, codes), state.dtype))
        apart.assign(ops.where(held > 0, learnt - ops.cast(found, apart.dtype), 0))
        return found

    def _of_now(self, codes, value):
        """Codes, 0 also where a mask has made zeros since."""
        held = ops.maximum(codes, 0)
        if self.how.preserve_zeros:
            held = ops.where(ops.equal(value, 0), 0, held)
        return held

    def update(self, step):
        if self._begun or step < self.begin:
            return
        self._begun = True
        self.sync()
        if any((_array(state) > 0).any() for state in self.states):
            return  # a checkpoint knows the codes
        for each in self._masks():
            each.update(step)  # of this step, too, if they come later
        found = shared(self.kernels, self.how)
        for variable, state, each in zip(
            self.variables, self.states, found, strict=True
        ):
            state.assign(each.codes.astype(variable.dtype))
            variable.assign(each.weights)
        self._outdated = self.compare_from_here()

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        if self.reassign:
            self._reassign_together()
        else:
            self.join()

    def join(self):
        """With scope "global", members of a centroid are in several kernels."""
        together, held, values = self._together()
        means, _ = _of_all(held, values, self.how.clusters)
        for i, codes, value in zip(together, held, values, strict=True):
            self.variables[i].assign(means.astype(value.dtype)[codes])

    def _reassign_together(self):
        """As `after_step` does where a kernel has values of its own."""
        together, held, values = self._together()
        learnt = [
            value + _array(self._apart[i])
            for i, value in zip(together, values, strict=True)
        ]
        means, sizes = _of_all(held, learnt, self.how.clusters)
        held = [
            ops.convert_to_numpy(reassigned(each, codes, 0, means[None], sizes[None]))
            for each, codes in zip(learnt, held, strict=True)
        ]
        means, _ = _of_all(held, learnt, self.how.clusters)
        for i, codes, each in zip(together, held, learnt, strict=True):
            found = means.astype(self.variables[i].dtype)[codes]
            self.variables[i].assign(found)
            before = _array(self.states[i])
            self.states[i].assign(np.where(codes > 0, codes, before))
            self._apart[i].assign(np.where(codes > 0, each - found, 0))

    def _together(self):
        """Those that share values with others, their codes and weights."""
        kernels = [i for i, kernel in enumerate(self.kernels) if not kernel.alone]
        if not self._begun or not kernels:
            return [], [], []
        self.sync()
        held = [self._held(i) for i in kernels]
        return kernels, held, [_array(self.variables[i]) for i in kernels]

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs["code_bits"] = self.code_bits()

    def code_bits(self) -> float:
        """Mean length of a code, an entropy; before clustering, of a weight as it is.

        What an entropy coder needs that knows which channel a weight is in, if each
        has values of its own, less the tables of values.
        """
        self.sync()
        if not self._begun:
            return 8.0 * np.dtype(_array(self.variables[0]).dtype).itemsize
        total = size = 0
        for i, kernel in enumerate(self.kernels):
            numbers = self._held(i) + _firsts(kernel)
            count = kernel.groups * (kernel.clusters + 1)
            counts = np.bincount(numbers.ravel(), minlength=count)
            counts = counts.reshape(kernel.groups, -1)
            all_of = np.broadcast_to(counts.sum(axis=1, keepdims=True), counts.shape)
            there = counts > 0
            total += counts[there] @ np.log2(all_of[there] / counts[there])
            size += numbers.size
        return float(total / size)

    def _held(self, i):
        """`_of_now`, of kernel `i`."""
        codes = ops.cast(self.states[i], "int32")
        return _array(self._of_now(codes, self.variables[i]))

    def put_back(self):
        """As `Projection` does; but who else has set weights shall be known."""
        optimizer = self.model.optimizer
        inner = getattr(optimizer, "inner_optimizer", optimizer)  # loss scaling
        self.sync()
        before = [_array(variable) for variable in self.variables]
        if self.reassign and self._begun:
            self._read_codes()
        super().put_back()
        if not inner.use_ema:  # averages are off the set, and meant to be put on it
            self._set_by_others |= any(
                (_array(variable) != value).any()
                for variable, value in zip(self.variables, before, strict=True)
            )

    def _read_codes(self):
        """Weights of an earlier step, that were restored, had other codes then."""
        found = shared(self.kernels, self.how)
        if all(
            (each.weights == _array(variable)).all()
            for each, variable in zip(found, self.variables, strict=True)
        ):
            for each, state in zip(found, self.states, strict=True):
                state.assign(each.codes.astype(state.dtype))

    def on_train_end(self, logs=None):
        super().on_train_end(logs)
        if not self._begun:
            warnings.warn(
                f"training ended before step {self.begin}, at which weights are to be "
                "shared: train longer, or begin sooner",
                stacklevel=2,
            )

    def after_all_callbacks(self):
        super().after_all_callbacks()
        if self._set_by_others:
            warnings.warn(
                "a callback set weights that do not share their values at the end of "
                "training: they share them again and were not trained so, evaluate "
                "the net before use",
                stacklevel=2,
            )
        for checkpoint in dict.fromkeys(self._outdated):
            if checkpoint.best is None:
                warnings.warn(
                    f"{checkpoint.filepath} holds no net with shared weights: "
                    "ModelCheckpoint has saved none since they are shared; save the "
                    "model itself, or train longer",
                    stacklevel=2,
                )


def _means(kernel, codes, values):
    """What each weight has in common with its cluster, 0 at code 0; and means and
    sizes, (groups, clusters + 1)."""
    numbers = codes + _firsts(kernel)
    shape = (kernel.groups, kernel.clusters + 1)
    means, sizes = cluster_means(
        ops.reshape(values, (-1,)), ops.reshape(numbers, (-1,)), shape[0] * shape[1]
    )
    found = ops.where(codes > 0, ops.take(means, numbers), 0)
    return found, ops.reshape(means, shape), ops.reshape(sizes, shape)


def _of_all(codes, values, clusters):
    """Means, 0 at code 0, and sizes of the clusters of several kernels."""
    sums, sizes = np.zeros((2, clusters + 1))
    for numbers, value in zip(codes, values, strict=True):
        flat = numbers.ravel()
        sums += np.bincount(flat, weights=value.ravel(), minlength=clusters + 1)
        sizes += np.bincount(flat, minlength=clusters + 1)
    sums[0] = 0
    return sums / np.maximum(sizes, 1), sizes


def _firsts(kernel):
    """Where the group of each weight begins in a flat table of means."""
    return 0 if kernel.channels is None else (kernel.clusters + 1) * kernel.channels


def _wide(value):
    """The type in which a sum is formed."""
    return "float64" if _dtype(value) == "float64" else "float32"


def _devices(model):
    strategy = getattr(model, "distribute_strategy", None)
    return 1 if strategy is None else strategy.num_replicas_in_sync


def _array(variable):
    return np.array(ops.convert_to_numpy(variable))


def _dtype(value):
    return keras.backend.standardize_dtype(value.dtype)
