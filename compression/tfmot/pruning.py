"""Magnitude pruning by tfmot: its wrappers, its callback, and off with them."""

import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras

from compression.arguments import names
from compression.choice import exempted, layer_path
from compression.layer_kinds import DEPTHWISE
from compression.pruning.patterns import Block, Element, OfM
from compression.pruning.patterns import pattern as pattern_of
from compression.tfmot.bridge import layer_names, to_tf_keras, weights_back
from compression.tfmot.int8_file import require_path, write_int8
from compression.tfmot.packages import tf_keras, tfmot
from compression.tfmot.refusals import naming_the_layer
from compression.tfmot.schedules import final_sparsity, schedule_of
from compression.tfmot.training import Training
from compression.weights import KERNELS

POOLING = {"mean": "AVG", "max": "MAX"}


def prune(  # noqa: PLR0913, each is a choice of tfmot's
    model: keras.Model,
    train: Any,
    schedule: Any,
    *,
    pattern: str = "element",
    pooling: str = "mean",
    exempt: Sequence[str] = (),
    policy: Any = None,
    path: str | Path | None = None,
    **training,
) -> keras.Model:
    """`model`, trained by tfmot with masks over its kernels.

    Every kernel gets the same sparsity. tfmot keeps all weights that are as large as
    the least it keeps: where many are equal, a kernel has fewer zeros than asked, and
    a warning names it.

    Args:
        model: as `to_tf_keras` takes it; it stays as it is.
        train: a `tf.data.Dataset`, a tuple of arrays, or a list of batches.
        schedule: `ConstantSparsity`, `PolynomialDecay` or another function of the step
            from 0; or a `PruningSchedule` of tfmot.
        pattern: "element"; "2:4" or any n:m, the schedule being without effect on how
            many zeros there are; "block(rows, columns)", for dense layers alone.
        pooling: what stands for a block: the "mean" of its magnitudes or the "max".
        exempt: layers that are not pruned: "first", "last" or patterns of names.
        policy: a `PruningPolicy` of tfmot, which chooses layers by itself.
        path: where an int8 .tflite file of the result is written; its calibration is
            the first images of `train`.
        training: epochs, optimizer, loss and so on, as `Training` takes them.

    Returns:
        A new model of the same layers, not compiled.

    Raises:
        RuntimeError: tfmot is not installed, Keras is not on TensorFlow, or the file
            cannot be written.
        ValueError: an argument is not as above, the schedule would prune at no step,
            the policy no layer, or tfmot does not take one.
    """
    how, options = Training(**training), pattern_options(pattern, pooling)
    require_path(path, model)
    twin, data = to_tf_keras(model), how.data(train)
    chosen = kernel_layers(model, exempt)
    if "block_size" in options:
        require_matrices(model, chosen)
    keras_of_tfmot = tfmot().sparsity.keras
    schedule = schedule_of(schedule, how.epochs * data.steps)
    wrap = partial(
        keras_of_tfmot.prune_low_magnitude,
        pruning_schedule=schedule,
        **options,
    )
    with naming_the_layer(model, "prunes", "pruning.Prune"):
        if policy is not None:
            policy.ensure_model_supports_pruning(twin)
            chosen &= {x.name for x in twin.layers if policy.allow_pruning(x)}

        def wrapped(layer):
            return wrap(layer) if layer.name in chosen else layer

        pruned = tf_keras().models.clone_model(twin, clone_function=wrapped)
    if not chosen:
        raise ValueError(
            f"{type(policy).__name__} allows no layer of {model.name!r} to be pruned"
        )
    how.compile(pruned, model)
    how.fit(pruned, data, [keras_of_tfmot.UpdatePruningStep()])
    result = weights_back(keras_of_tfmot.strip_pruning(pruned), model)
    if options == {}:
        _warn_of_ties(result, chosen, final_sparsity(schedule, how.epochs * data.steps))
    if path is not None:
        write_int8(result, path, data)
    return result


def kernel_layers(model: keras.Model, exempt: Sequence[str]) -> set[str]:
    """Names in tf_keras of the layers with kernels that are not exempt.

    Raises:
        ValueError: an exempt name is none, or no layer is left.
    """
    left_out = exempted(model, names("exempt", exempt))
    chosen = {
        name
        for name, layer in layer_names(model)
        for variable in layer.weights
        if variable.name in KERNELS
        and layer_path(variable) not in left_out
        and not isinstance(layer, DEPTHWISE)  # tfmot leaves them dense, as they are
    }
    if not chosen:
        raise ValueError(
            f"{model.name!r} has no layer with a kernel that is not exempt"
        )
    return chosen


def pattern_options(pattern: str, pooling: str) -> dict[str, Any]:
    """What tfmot's wrapper is given for a pattern, as `prune` takes it.

    Raises:
        ValueError: it is none of tfmot's, or there is no such pooling.
    """
    if pooling not in POOLING:
        raise ValueError(
            f"no pooling called {pooling!r}; choose from {', '.join(POOLING)}"
        )
    found = pattern_of(pattern)
    if isinstance(found, Element):
        return {}
    if isinstance(found, OfM):  # tfmot counts zeros
        return {"sparsity_m_by_n": (found.m - found.n, found.m)}
    if isinstance(found, Block):
        return {
            "block_size": (found.rows, found.columns),
            "block_pooling_type": POOLING[pooling],
        }
    raise ValueError(
        f"tfmot has no pattern {pattern!r}; limbeck's own pruning.Prune has"
    )


def require_matrices(model: keras.Model, chosen: set[str]) -> None:
    """Raises ValueError where one of the `chosen` layers is not dense."""
    for name, layer in layer_names(model):
        if name in chosen and len(layer.kernel.shape) != 2:
            raise ValueError(
                f"tfmot prunes blocks of dense layers alone, and {layer.name!r} "
                f"({type(layer).__name__}) is none: exempt it, or use limbeck's own "
                "pruning.Prune, which takes a kernel as a matrix"
            )


def _warn_of_ties(model, chosen, sparsity):
    short = []
    for name, layer in layer_names(model):
        if name not in chosen or not hasattr(layer, "kernel"):
            continue
        values = keras.ops.convert_to_numpy(layer.kernel)
        asked = values.size - max(round(values.size * (1 - sparsity)), 1)
        zeros = int((values == 0).sum())
        if zeros < asked - 1:  # it rounds in float32
            short.append(f"{name} {zeros} of {asked}")
    if short:
        warnings.warn(
            "tfmot keeps weights that are equal to its threshold, and some kernels "
            f"have fewer zeros than asked: {', '.join(short)}",
            stacklevel=3,
        )
