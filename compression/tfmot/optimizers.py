"""Optimizers of Keras 3 as tf_keras knows them."""

from collections.abc import Mapping
from typing import Any

import keras

from compression.arguments import shown
from compression.tfmot.packages import tf_keras


def optimizer_of(given: Any):
    """An optimizer of tf_keras: one given by name, or like one of Keras 3.

    Raises:
        ValueError: tf_keras has none like it, or does not know an option of it.
    """
    if isinstance(given, keras.optimizers.Optimizer):
        return _again(given)
    try:
        return tf_keras().optimizers.get(given)
    except Exception as error:
        raise ValueError(f"tf_keras knows no optimizer {shown(given)}") from error


def _again(given):
    """By class and config."""
    name = type(given).__name__
    kind = getattr(tf_keras().optimizers, name, None)
    if kind is None:
        raise ValueError(f"tf_keras has no optimizer {name}")
    config = kind().get_config()
    for key, value in given.get_config().items():
        if isinstance(value, Mapping) and "class_name" in value:
            value = _schedule(keras.saving.deserialize_keras_object(value))
        if key in config:
            config[key] = value
        elif value not in (None, False):
            raise ValueError(f"{name} has {key}={value}, which tf_keras does not know")
    made = kind.from_config(config)
    _spare_weight_decay(given, made)
    return made


def _schedule(given):
    """Keras 3 computes on tensors of TensorFlow: its schedules do in tf_keras."""
    import tensorflow as tf

    class Schedule(tf_keras().optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            return tf.convert_to_tensor(given(tf.convert_to_tensor(step)))

        def get_config(self):
            return keras.saving.serialize_keras_object(given)

    return Schedule()


def _spare_weight_decay(given, made):
    """What `exclude_from_weight_decay` was told, which no config has."""
    if getattr(given, "_exclude_from_weight_decay", None):
        raise ValueError(
            "variables that are excluded from weight decay are not those of tf_keras: "
            "exclude them by var_names"
        )
    pattern = getattr(given, "_exclude_from_weight_decay_pattern", None)
    if pattern is not None:  # there, a variable's name has its layer's in front
        names = [rf"({pattern.pattern})[^/]*$"]
        made.exclude_from_weight_decay(var_names=names)
