"""Integer files of nets whose weights are shared: as few codes as there were values."""

import keras
import numpy as np
import pytest

from compression import export, measure
from compression.measure.litert_file import litert_kernels
from compression.pruning import ConstantSparsity, Prune
from compression.quantization import Cluster, quantize_aware, share_weights
from tests.compression.export.test_quantized_aware import every_kernel, shaken

pytestmark = pytest.mark.usefixtures("eagerly")
RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(32, 8, 8, 4)).astype("float32")


def by_channel(kernel, name):
    """The codes of each output channel, as LiteRT lays kernels out."""
    last = "depthwise" in name or "alone" in name
    return np.moveaxis(kernel, -1 if last else 0, 0).reshape(
        kernel.shape[-1 if last else 0], -1
    )


@pytest.mark.slow
def test_quantization_aware_training_keeps_zeros_and_shared_values(tmp_path):
    """Pruned, shared, then trained with fake quantization, all held at once."""
    keras.utils.set_random_seed(0)
    model = shaken(every_kernel(None))
    quantized = quantize_aware(model, calibration=[IMAGES])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    quantized.compile(keras.optimizers.Adam(1e-3), loss)
    callbacks = [Cluster(4), Prune(ConstantSparsity(0.5), scope="layer")]
    labels = RNG.integers(0, 3, 32)
    quantized.fit(IMAGES, labels, batch_size=16, callbacks=callbacks, verbose=0)
    values = measure.kernel_values(quantized)
    assert all(1 < each.values <= 4 for each in values.values())
    path = export.litert(quantized, tmp_path / "net.tflite", precision="int8")
    kernels = litert_kernels(path)
    assert len(kernels) == len(values) + 2  # batch norm that stands alone
    sizes = {each.size for each in values.values()}
    zeros = 0
    for name, kernel in kernels.items():
        kernel = kernel.reshape(_shape(path, name))
        for channel in by_channel(kernel, name):
            assert len(np.unique(channel)) <= 4, name
        zeros += (kernel == 0).sum() if kernel.size in sizes else 0
    wanted = sum((np.asarray(v) == 0).sum() for v in _kernels(quantized))
    assert zeros >= wanted > 0.45 * sum(each.size for each in values.values())


def test_post_training_files_have_the_values_of_each_channel(tmp_path):
    model = share_weights(shaken(every_kernel(None)), 5)
    path = export.litert(
        model, tmp_path / "net.tflite", precision="int8", calibration=[IMAGES]
    )
    for name, kernel in litert_kernels(path).items():
        for channel in by_channel(kernel.reshape(_shape(path, name)), name):
            assert len(np.unique(channel)) <= 5, name


def _kernels(model):
    return [v for v in model.trainable_variables if v.name.endswith("kernel")]


def _shape(path, name):
    from ai_edge_litert.interpreter import Interpreter

    details = Interpreter(str(path)).get_tensor_details()
    return next(tuple(each["shape"]) for each in details if each["name"] == name)
