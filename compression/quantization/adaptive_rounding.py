"""AdaRound: each weight rounded up or down, whichever suits what the layer gives.

Nagel et al., "Up or Down? Adaptive Rounding for Post-Training Quantization" (2020),
https://arxiv.org/abs/2004.10568. Layer by layer, the weights' rounding is learnt so
that the layer, reading what the rounded layers before it give, comes nearest to what
it gave in the net (equation 25).
"""

import gc
import logging
from collections.abc import Iterable, Sequence

import keras
import numpy as np
from keras import layers, ops

from compression.graph import Graph, only_consumer, read, rebuild
from compression.quantization.calibration import calibration_images
from compression.quantization.fake_quantize import fake_quantize_weights, require_bits
from compression.quantization.folding import fold_batch_norm
from compression.quantization.layerwise import Visit, visits, with_kernel
from compression.quantization.placement import activation_name
from compression.quantization.twins import Quantized, twin_of

LOG = logging.getLogger(__name__)
BATCH = 32  # images of a step
LEARNING_RATE = 1e-2  # of Adam; the paper has its default, with ten times the steps
# Weight of the regulariser, lambda; the paper's 0.01 is of other units. Of 0.01 to
# 1000, on layers of ResNet-20 with 4 bits, 100 and more left the least error.
DECISION = 100.0
SHARPNESS = (20.0, 2.0)  # of it, first and last: beta is annealed
WARM = 0.2  # of the steps go without it


def adaround(  # noqa: PLR0913, all but two by keyword
    model: keras.Model,
    batches: Iterable,
    *,
    bits: int = 8,
    steps: int = 1000,
    skip: Sequence[str] = (),
    seed: int = 0,
    jit_compile: bool | str = "auto",
) -> keras.Model:
    """The same net, batch norm folded, its weights already those of a net of few bits.

    Each kernel's weights are codes times the scales that `calibrate`, with the same
    `bits`, gives them: it changes them no further, and the codes of a file are these.
    A layer for whose images learning was of no use has its weights rounded to the
    nearest; so has one that is called several times.

    Args:
        model: functional or a built `Sequential`, as trained; it stays as it is.
        batches: of images like those that the net will see, or of tuples that begin
            with images; of as many as memory allows. The paper shows 1,024.
        bits: of the weights, 8 or 4.
        steps: of Adam for each layer, with `BATCH` images. The paper takes 10,000.
        skip: layers that stay float32, by name or pattern.
        seed: of the order in which images are shown.
        jit_compile: as `keras.Model.compile` takes it.

    Raises:
        ValueError: as `calibrate`, or `steps` is not positive.
    """
    require_bits(bits)
    if steps < 1:
        raise ValueError(f"steps must be positive, got {steps}")
    original = fold_batch_norm(model, skip=skip)
    net, graph = rebuild(original), read(original)
    images = calibration_images(net, batches)
    pairs = zip(visits(original, images, skip), visits(net, images, skip), strict=True)
    for theirs, ours in pairs:
        learning = _Learning(theirs, ours, _activation(graph, theirs.number))
        ours.layer.kernel.assign(learning.kernel(bits, steps, seed, jit_compile))
        del learning
        gc.collect()  # a layer's learner and its optimizer are many times its weights
    return net


def _activation(graph: Graph, number: int) -> str:
    """Of a kernel: the layer's, or the ReLU or ReLU6 behind it."""
    own = activation_name(graph.calls[number].operation.activation)
    following = only_consumer(graph, number)
    if own != "linear" or following is None:
        return own
    layer = graph.calls[following].operation
    if isinstance(layer, layers.ReLU) and not (layer.threshold or layer.negative_slope):
        return {None: "relu", 6: "relu6"}.get(layer.max_value, own)
    if type(layer) is layers.Activation:
        name = activation_name(layer.activation)
        return name if name in ("relu", "relu6") else own
    return own


class _Learning:
    """A layer, what goes into it as rounded so far, and what came out in the net."""

    def __init__(self, theirs: Visit, ours: Visit, activation: str):
        self.layer, self.activation = theirs.layer, activation
        self.inputs = np.concatenate(ours.inputs)
        plain = with_kernel(self.layer, self.layer.kernel, activation)
        wanted = [ops.convert_to_numpy(plain(inputs)) for inputs in theirs.inputs]
        self.outputs = np.concatenate(wanted)

    def kernel(self, bits, steps, seed, jit_compile):
        """With rounding as learnt, or to the nearest where that is no worse."""
        layer = self.layer
        twin = twin_of(layer, bits=bits, rounding="learnt", activation=self.activation)
        twin.build(layer.input.shape)
        twin.kernel.assign(ops.copy(layer.kernel))  # JAX trains into its arrays
        if layer.use_bias:
            twin.bias.assign(ops.copy(layer.bias))
        twin.start()
        nearest = fake_quantize_weights(
            layer.kernel, bits=twin.bits, channels=twin.channels
        )
        before = self.error(nearest)
        if not before:
            return nearest
        learner = Reconstruction(twin, steps=steps, scale=before)
        learner.compile(keras.optimizers.Adam(LEARNING_RATE), jit_compile=jit_compile)
        twin.kernel_quantizer.soft = True
        for chosen in self.batches(steps, np.random.default_rng(seed)):
            learner.train_on_batch(self.inputs[chosen], self.outputs[chosen])
        twin.kernel_quantizer.soft = False
        if hasattr(learner, "jax_state_sync"):  # what JAX has trained is elsewhere
            learner.jax_state_sync()
        learnt = twin.kernel_quantizer(twin.kernel)
        after = self.error(learnt)
        LOG.info(
            "%s: squared error %.3g, rounded to the nearest %.3g",
            *(layer.name, after, before),
        )
        return learnt if after < before else nearest

    def error(self, kernel) -> float:
        """Squared error summed over channels, mean over images and positions."""
        layer = with_kernel(self.layer, kernel, self.activation)
        total = 0.0
        for start in range(0, len(self.inputs), BATCH):
            part = slice(start, start + BATCH)
            found = ops.convert_to_numpy(layer(self.inputs[part])).astype(np.float64)
            total += np.sum((found - self.outputs[part]) ** 2)
        return float(total * self.outputs.shape[-1] / self.outputs.size)

    def batches(self, steps, generator):
        """Indices of the images of each step: all once, in any order, then again."""
        size = min(BATCH, len(self.inputs))
        order = []
        for _ in range(steps):
            if len(order) < size:
                order = [*order, *generator.permutation(len(self.inputs))]
            yield order[:size]
            order = order[size:]


class Reconstruction(keras.Model):
    """Learns the rounding of a layer, equation 25.

    Both parts of the loss are relative here, whatever the size of a net's numbers: the
    squared error to that of rounding to the nearest, the regulariser to the number of
    weights.

    Args:
        twin: with learnt rounding, built; nothing else of it is trained.
        steps: of the training.
        scale: squared error of rounding to the nearest.
    """

    def __init__(self, twin: Quantized, *, steps: int, scale: float):
        super().__init__()
        self.twin, self.steps, self.scale = twin, steps, scale
        for variable in twin.variables:
            variable.trainable = variable is twin.kernel_quantizer.upwards
        self.done = self.add_weight(
            name="done", shape=(), initializer="zeros", trainable=False
        )

    def call(self, inputs, training=None):
        if training:
            self.done.assign_add(1)
        return self.twin(inputs)

    def compute_loss(  # noqa: PLR0913, as Keras calls it
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        del x, sample_weight, training
        y, y_pred = ops.cast(y, "float32"), ops.cast(y_pred, "float32")
        error = ops.mean(ops.sum(ops.square(y - y_pred), axis=-1)) / self.scale
        part = ops.clip((self.done / self.steps - WARM) / (1 - WARM), 0.0, 1.0)
        first, last = SHARPNESS
        sharpness = first + (last - first) * part
        quantizer = self.twin.kernel_quantizer
        count = ops.maximum(ops.sum(quantizer.free), 1.0)
        undecided = quantizer.indecision(sharpness) / count
        weight = DECISION * ops.cast(self.done > WARM * self.steps, "float32")
        return error + weight * undecided
