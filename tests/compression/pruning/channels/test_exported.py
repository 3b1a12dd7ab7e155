"""Budgets of files and of time: counts against real files, times that are given."""

import keras
import pytest
from keras import layers

from compression import export, measure, pruning
from compression.pruning.channels import exported
from compression.pruning.channels.budget import Costs
from compression.pruning.channels.groups import couple
from tests.compression.pruning.channels.cutting import some_go
from tests.compression.small_nets import on_images, shaken

of_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="only TensorFlow exports"
)


def net(width=32):
    return shaken(
        on_images(
            layers.Conv2D(width, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(width, 3),
            layers.ReLU(),
            layers.BatchNormalization(),  # behind a ReLU: not folded
            layers.DepthwiseConv2D(3, use_bias=False),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(8),
        )
    )


@of_tensorflow
@pytest.mark.slow
def test_bytes_are_those_of_the_file(tmp_path):
    model = net()
    plan = pruning.plan_channels(model, bytes=0.4)
    sizes = [
        measure.size(export.litert(made, tmp_path / f"{made.name}.tflite"))
        for made in (model, pruning.remove_channels(model, plan))
    ]
    assert 0.35 < sizes[1] / sizes[0] <= 0.4


@pytest.mark.slow
@of_tensorflow
def test_the_count_of_bytes_is_near_without_a_look_at_the_file():
    model = net()
    coupling = couple(model)
    costs, stays = Costs(model, coupling), some_go(coupling)
    counted = costs.bytes(stays)
    assert abs(counted - costs.check_bytes(stays)) < 64  # files are padded
    assert costs.bytes(stays) == costs.check_bytes(stays)
    assert len(exported.folded_norms(coupling.graph)) == 2


def test_ram_is_that_of_the_smaller_net():
    model = net()
    plan = pruning.plan_channels(model, ram=0.6)
    small = measure.peak_activations(pruning.remove_channels(model, plan))
    whole = measure.peak_activations(model)  # 8 * 8 * 32 twice, or 4 channels before
    assert whole == 8 * 8 * 32 + 6 * 6 * 32
    assert 0.5 * whole < small <= 0.6 * whole
    # The input and one channel of the first convolution, of nothing less.
    with pytest.raises(ValueError, match=r"ram=0.01 cannot be .*: ram=0.1\d* is left"):
        pruning.plan_channels(model, ram=0.01)


class Clock:
    """A machine on which a net takes a tenth, and the rest goes with the MACs."""

    def __init__(self, model):
        self.whole, self.nets = measure.macs(model), 0

    def __call__(self, smaller):
        self.nets += 1
        return 0.1 + 0.9 * (measure.macs(smaller) / self.whole) ** 0.7


@pytest.mark.parametrize("latency", [0.3, 0.9])
def test_latency_is_met_after_a_few_nets(latency):
    model = net(48)
    clock = Clock(model)
    plan = pruning.plan_channels(model, latency=latency, timed=clock)
    assert clock.nets <= 7
    reached = clock(pruning.remove_channels(model, plan))
    assert latency - 0.06 < reached <= latency


def test_latency_beside_another_budget():
    model = net()
    both = pruning.plan_channels(model, latency=0.95, macs=0.3, timed=Clock(model))
    assert both == pruning.plan_channels(model, macs=0.3)
    assert pruning.plan_channels(model, latency=1.0, timed=lambda _: 0.5).kept == {
        path: tuple(range(count)) for path, count in both.channels.items()
    }


def test_a_time_that_cannot_be_reached():
    with pytest.raises(
        ValueError, match=r"latency=0.05 cannot be .* latency=0.2000 is left when"
    ):
        pruning.plan_channels(net(), latency=0.05, timed=lambda _: 0.2)


@of_tensorflow
def test_nets_are_timed_as_files():
    model = net(64)
    left = pruning.latency_left(model, rounds=10)
    plan = pruning.plan_channels(model, macs=0.1)
    assert 0 < left(pruning.remove_channels(model, plan)) < 1


def test_planned_bytes_need_a_net_that_can_be_exported():
    image = keras.Input((4, 4, 3))
    x = layers.Conv2D(8, 1)(image)
    model = keras.Model(image, [layers.Dense(2)(x), layers.Dense(3)(x)])
    with pytest.raises(ValueError, match="one output"):
        pruning.plan_channels(model, bytes=0.5)
