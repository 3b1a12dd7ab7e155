"""Sparsity that is learnt with the weights: what all such methods share.

Layers of a net are replaced by twins that hold them, compute with noise or random
gates on their kernel, and whose penalty grows with what is not zero. It is a
functional Keras model, so it trains under `fit`, with a `Distiller` or other callbacks;
`plain_net` makes of it a net of the original layers, with zeros.
"""

import warnings
from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import layers, ops

from compression.arguments import names, require_number
from compression.choice import exempted, layer_path
from compression.graph import all_layers, has_graph, rebuild
from compression.weights import kernels, require_finite_weights


class LearntLayer(keras.Layer):
    """A dense layer or convolution whose zeros are learnt.

    Subclasses make in `build` what they learn, one variable whose regulariser is
    `regulariser`, and define `penalty`, `kept_kernel` and `noisy`.

    Args:
        layer: whose kernel it is; bias and activation stay as they are.
        examples: size of the train split; the penalty is divided by it, as losses
            here are means over examples.
    """

    def __init__(self, layer: keras.Layer, examples: int, **options):
        own = {
            "name": layer.name,
            "dtype": layer.dtype_policy,
            "activity_regularizer": layer.activity_regularizer,  # what comes out, now
        }
        super().__init__(**(own | options))
        self.layer = layer
        self.examples = examples

    def build(self, input_shape):
        if not self.layer.built:  # after a reload
            self.layer.build(input_shape)
        self.factor = self.add_weight(
            name="factor", shape=(), initializer="ones", trainable=False
        )
        self.seeds = keras.random.SeedGenerator()

    def penalty(self, learnt):
        """Over all weights, for a value of what is learnt; a scalar in float32."""
        raise NotImplementedError

    def kept_kernel(self):
        """The kernel with its zeros, with which the layer computes in inference."""
        raise NotImplementedError

    def noisy(self, x):
        """What comes of `x` in training, without the bias."""
        raise NotImplementedError

    def regulariser(self, learnt):
        """What the variable that is learnt adds to the loss."""
        share = ops.cast(self.factor, "float32") / self.examples
        return share * self.penalty(ops.cast(learnt, "float32"))

    def linear(self, x, kernel):
        """What the layer makes of `x` with another kernel, without the bias."""
        if isinstance(self.layer, layers.Dense):
            return ops.matmul(x, kernel)
        return self.layer.convolution_op(x, kernel)

    def call(self, x, training=None):
        if training:
            x = ops.cast(self.noisy(x), self.compute_dtype)
        else:
            kernel = ops.cast(self.kept_kernel(), self.compute_dtype)
            x = self.linear(x, kernel)
        if self.layer.use_bias:
            bias = self.layer.bias
            if getattr(self.layer, "data_format", None) == "channels_first":
                bias = ops.reshape(bias, (-1,) + (1,) * self.layer.rank)
            x = x + ops.cast(bias, x.dtype)
        return x if self.layer.activation is None else self.layer.activation(x)

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)

    def get_config(self):
        layer = keras.saving.serialize_keras_object(self.layer)
        return super().get_config() | {"layer": layer, "examples": self.examples}

    @classmethod
    def from_config(cls, config):
        layer = keras.saving.deserialize_keras_object(config["layer"])
        return cls(**{**config, "layer": layer})


class LearntSparsity(keras.callbacks.Callback):
    """Lets the penalty rise over the first epochs; logs the zeros as `sparsity`.

    Without it the penalty has its full weight from the first step on.

    Args:
        warmup: epochs over which its factor rises from 0 to 1, epoch by epoch; 0: it
            is 1 at once.

    Raises:
        ValueError: `warmup` is negative; in `fit`, the model learns no sparsity.
    """

    def __init__(self, warmup: int = 0):
        super().__init__()
        require_number("warmup", warmup)
        if warmup < 0:
            raise ValueError(f"warmup must not be negative, got {warmup}")
        self.warmup = warmup

    def on_epoch_begin(self, epoch, logs=None):
        factor = min(1.0, epoch / self.warmup) if self.warmup else 1.0
        self._sync()
        for layer in learnt_layers(self.model):
            layer.factor.assign(factor)

    def on_train_end(self, logs=None):
        self._sync()
        for layer in learnt_layers(self.model):  # for a training without this callback
            layer.factor.assign(1.0)

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            self._sync()
            logs["sparsity"] = learnt_sparsity(self.model)

    def _sync(self):
        if hasattr(self.model, "jax_state_sync"):
            self.model.jax_state_sync()


def with_learnt(
    model: keras.Model,
    twin: Callable[[keras.Layer], LearntLayer],
    exempt: Sequence[str] = (),
) -> keras.Model:
    """The same net, each of its dense layers and convolutions replaced by a twin.

    Frozen layers stay as they are.

    Args:
        model: functional or a built `Sequential`; it stays as it is.
        twin: gives what stands for a layer, which it holds.
        exempt: layers that stay: "first", "last" or patterns of names.

    Raises:
        ValueError: `model` has no graph or nothing to prune, weights are not finite,
            `exempt` names no layer,
            or a kernel belongs to a layer of another kind.
    """
    require_finite_weights(model)
    net = rebuild(model)
    spared = exempted(net, names("exempt", exempt))
    chosen = {id(v) for v in kernels(net) if layer_path(v) not in spared}
    if not chosen:
        raise ValueError(f"model {model.name!r} has no kernel to prune (selected)")

    def replace(call):
        layer = call.operation
        if not isinstance(layer, keras.Layer) or has_graph(layer):
            return None
        if not any(id(v) in chosen for v in layer.trainable_variables):
            return None
        if not _is_known(layer):
            raise ValueError(
                f"no sparsity is learnt for {layer.name!r}, a {type(layer).__name__}: "
                f"leave it as it is with exempt=({layer.name!r},)"
            )
        return twin(layer)

    return rebuild(net, replace, share=True)


def plain_net(model: keras.Model) -> keras.Model:
    """The net that has become of one that learns sparsity: its layers, with zeros.

    Args:
        model: as `variational_dropout` or `l0_gates` makes it; of a distiller, the
            student. It stays as it is.

    Returns:
        A functional model that computes what `model` does in inference. Its zeros
        stay in further training with `KeepZeros`, or with `Prune`, which starts from
        them.

    Raises:
        ValueError: `model` learns no sparsity.
    """
    kept = {id(each.layer.kernel): each for each in learnt_layers(model)}

    def replace(call):
        return call.operation.layer if isinstance(call.operation, LearntLayer) else None

    shared = rebuild(model, replace, share=True)
    net = rebuild(shared)
    empty = []
    for old, new in zip(shared.weights, net.weights, strict=True):
        if id(old) in kept:
            new.assign(kept[id(old)].kept_kernel())
            if not ops.convert_to_numpy(new).any():
                empty.append(new.path)
    if empty:
        warnings.warn(
            f"nothing is left of {', '.join(empty)}: what lies behind gives the same "
            "to every image; learn with less weight of the penalty, or exempt layers",
            stacklevel=2,
        )
    return net


def learnt_layers(model: keras.Model) -> list[LearntLayer]:
    """The layers of `model` whose zeros are learnt, at any depth.

    Raises:
        ValueError: there are none.
    """
    found = [each for each in all_layers(model) if isinstance(each, LearntLayer)]
    if not found:
        raise ValueError(
            f"model {model.name!r} learns no sparsity: make it with "
            "pruning.variational_dropout(model, ...) or pruning.l0_gates(model, ...)"
        )
    return found


def learnt_sparsity(model: keras.Model) -> float:
    """Fraction of zeros in the kernels whose zeros are learnt."""
    kept = [ops.convert_to_numpy(each.kept_kernel()) for each in learnt_layers(model)]
    nonzero = sum(np.count_nonzero(kernel) for kernel in kept)
    return 1 - nonzero / sum(kernel.size for kernel in kept)


def require_positive(name: str, value: float) -> None:
    """Raises ValueError unless `value` is above 0."""
    require_number(name, value)
    if value <= 0:
        raise ValueError(f"{name} must be positive, got {value}")


def _is_known(layer):
    """Whether it computes what `LearntLayer.call` does."""
    call = type(layer).call
    if call is layers.Conv1D.call:
        return layer.padding != "causal"
    return call in (layers.Dense.call, layers.Conv2D.call, layers.Conv3D.call)
