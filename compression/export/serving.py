"""A Keras model as a `tf.Module` that holds its weights the way they shall be stored.

Imports TensorFlow: import this module where it is needed, not at the top of another.
"""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from compression.atomic import naming
from compression.export.outputs import output_name
from compression.export.stable_names import stabilise
from compression.graph import all_layers, rebuild
from compression.quantization.codes import symmetric_codes
from compression.quantization.file_ranges import file_ranges, known_ranges
from compression.weights import channel_axes, learned_variables

OTHER_FLOATS = {"float16", "bfloat16", "float64"}
LARGEST_FLOAT16 = float(np.finfo(np.float16).max)


class Serving(tf.Module):
    """The weights and the function `serve(image) -> {"logits": ...}`, both float32.

    Of a net that ends in a softmax or sigmoid the output is called "probabilities".

    The attribute names are the keys of the variables on disk, and `measure` reads
    them: `parameters` (float32, float16 or int8 codes), `scales` of the codes,
    `statistics` (what the model does not train).
    """

    def __init__(self, model: keras.Model, *, weights: str, batch: int | None):
        super().__init__(name="serving")
        self.parameters, self.scales, self.statistics = [], [], []
        axes = channel_axes(model)
        learned = {id(variable) for variable in learned_variables(model)}

        def stored(variable):
            """A function without arguments that gives the variable's value."""
            value = keras.ops.convert_to_numpy(variable.value)
            if not keras.backend.is_float_dtype(variable.dtype):
                return lambda: tf.constant(value)  # seeds: no use in serving
            value = value.astype(np.float32, copy=False)
            if ranges:
                value = _uneven(value)
            counts = id(variable) in learned
            home = self.parameters if counts else self.statistics
            if not counts or value.ndim < 2 or weights == "float32":
                return _kept(home, value, variable.name)
            if weights == "float16":
                if np.abs(value).max(initial=0) > LARGEST_FLOAT16:
                    raise ValueError(
                        f"{variable.path} is beyond float16, which ends at "
                        f"{LARGEST_FLOAT16:.0f}"
                    )
                half = value.astype(np.float16)
                kept = _kept(home, half, variable.name)
                return lambda: tf.cast(kept(), tf.float32)
            codes, scales = symmetric_codes(value, axes.get(id(variable), (-1,)))
            code = _kept(home, codes, variable.name)
            scale = _kept(self.scales, scales, f"{variable.name}_scale")
            return lambda: tf.cast(code(), tf.float32) * scale()

        # Kernels that are stored otherwise are not quite the model's.
        ranges = file_ranges(model) if weights == "float32" else {}
        trainable = [stored(v) for v in model.trainable_variables]
        non_trainable = [stored(v) for v in model.non_trainable_variables]
        output = output_name(model)
        image = tf.TensorSpec((batch, *model.input_shape[1:]), tf.float32, "image")

        @tf.function(input_signature=[image], autograph=False)
        def serve(image):
            with known_ranges(ranges):
                outputs, _ = model.stateless_call(
                    [value() for value in trainable],
                    [value() for value in non_trainable],
                    image,
                    training=False,
                )
            [given] = keras.tree.flatten(outputs)
            return {output: tf.cast(given, tf.float32)}

        self.serve = serve

    def save(self, folder) -> None:
        """Writes a SavedModel with the signature "serving_default".

        Raises:
            OSError: it cannot be written, as to a full disk; names a file in it.
        """
        try:
            tf.saved_model.save(self, str(folder), {"serving_default": self.serve})
        except tf.errors.OpError as error:  # TensorFlow's own, in many lines
            raise OSError(error.message.split("}} ")[-1].split(" [Op:")[0]) from error
        with naming(Path(folder)):
            stabilise(Path(folder))


def _uneven(value):
    """A vector whose numbers are not all the same: the first is a bit larger.

    LiteRT's converter gives all codes of a bias that is one number the step of the
    first channel.
    """
    if value.ndim != 1 or value.size < 2 or not value[0] or (value != value[0]).any():
        return value
    value = value.copy()
    value[0] = np.nextafter(value[0], np.float32(np.inf))
    return value


def _kept(home, value, name):
    """Puts a variable into the list `home`; gives a function that reads it."""
    variable = tf.Variable(value, trainable=False, name=name)
    home.append(variable)
    return variable.read_value


def float32_twin(model: keras.Model) -> keras.Model:
    """`model`, or a copy that computes in float32 where `model` does not.

    Exported files hold no half-precision arithmetic, which the runtimes on a CPU
    emulate, and none in float64, for which LiteRT has no operators.
    """
    layers = all_layers(model)
    if not any({layer.dtype, layer.compute_dtype} & OTHER_FLOATS for layer in layers):
        return model
    twin = rebuild(model, _float32_input)
    for layer in all_layers(twin):
        if layer.compute_dtype in OTHER_FLOATS:
            layer.dtype_policy = "float32"
    if any(variable.dtype in OTHER_FLOATS for variable in twin.variables):
        twin = rebuild(twin)  # made again, layers store what their policy says
    return twin


def _float32_input(call):
    layer = call.operation
    if isinstance(layer, keras.layers.InputLayer) and layer.dtype in OTHER_FLOATS:
        shape, name = layer.batch_shape, layer.name
        return keras.layers.InputLayer(batch_shape=shape, dtype="float32", name=name)
    return None
