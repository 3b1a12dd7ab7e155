"""What the weights of AlexNet and ZFNet start at."""

import numpy as np
import pytest

import architectures

SMALL = {
    "alexnet": {"input_shape": (67, 67, 3)},
    "alexnet_owt": {"input_shape": (63, 63, 3)},
    "alexnet_small": {"batch_norm": False},
    "zfnet": {"input_shape": (47, 47, 3)},
}
LAYERS = [f"conv{i}" for i in range(1, 6)] + ["fc6", "fc7", "logits"]
ONES = {"conv2", "conv4", "conv5", "fc6", "fc7"}  # Krizhevsky et al. (2012), section 5


@pytest.mark.parametrize("name", SMALL)
def test_the_papers_weights(name):
    net = architectures.build(name, initialisation="paper", classes=10, **SMALL[name])
    starts = set()
    for layer in LAYERS:
        kernel, bias = net.get_layer(layer).get_weights()
        tolerance = 4 / np.sqrt(2 * kernel.size)  # of the sample's deviation
        assert kernel.std() == pytest.approx(0.01, rel=tolerance)
        assert abs(kernel.mean()) < 4 * 0.01 / np.sqrt(kernel.size)
        assert (bias == (layer in ONES and name != "zfnet")).all()
        starts.add(kernel.flat[0])
    assert len(starts) == len(LAYERS), "layers share their random numbers"


def test_weights_of_he():
    """He et al. (2015): a deviation of sqrt(2 / inputs), before its cut at two."""
    for name in ("alexnet_owt", "zfnet"):
        net = architectures.build(name, initialisation="he", classes=10, **SMALL[name])
        for layer in LAYERS[:-1]:
            kernel, bias = net.get_layer(layer).get_weights()
            inputs = kernel.size / kernel.shape[-1]
            assert kernel.std() == pytest.approx(np.sqrt(2 / inputs), rel=0.03)
            assert not bias.any()


def test_an_unknown_initialisation_is_refused():
    for name in SMALL:
        with pytest.raises(ValueError, match="initialisation must be one of"):
            architectures.build(name, initialisation="glorot")
