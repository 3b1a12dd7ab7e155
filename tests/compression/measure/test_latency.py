"""Latency of calls whose length is known."""

import time

import keras
import numpy as np
import pytest
from keras import layers

from compression import export, measure


def sleeping(milliseconds, order=None, name=""):
    def run(images):
        if order is not None:
            order.append(name)
        time.sleep(milliseconds / 1000)
        return np.zeros((len(images), 2), np.float32)

    return export.Runner("keras", None, (4, 4, 1), None, run)


def test_latencies_are_those_of_the_calls_and_interleaved():
    order = []
    named = {
        "slow": sleeping(6, order, "slow"),
        "quick": sleeping(2, order, "quick"),
    }
    got = measure.latencies(named, rounds=3)
    assert list(got) == ["slow", "quick"]
    assert got["slow"].low_ms >= 6
    assert got["quick"].low_ms >= 2
    assert got["quick"].median_ms < got["slow"].median_ms
    for latency in got.values():
        assert latency.low_ms <= latency.median_ms <= latency.high_ms
        assert latency.calls == 15
    bursts = order[10:]  # after the warm-up
    assert bursts == (["slow"] * 5 + ["quick"] * 5) * 3


def test_latency_stops_by_itself():
    got = measure.latencies({"": sleeping(1)})[""]
    assert got.calls >= 50
    got = measure.latencies({"": sleeping(100)})[""]
    assert 5 <= got.calls <= 20
    with pytest.raises(ValueError, match="rounds must be positive, got 0"):
        measure.latencies({"": sleeping(1)}, rounds=0)


def test_sizes_are_those_of_the_nets_own_layers_where_channels_come_first():
    first = {"data_format": "channels_first"}
    net = keras.Sequential(
        [
            keras.Input((3, None, None)),
            layers.Conv2D(2, 3, **first),
            layers.GlobalAveragePooling2D(**first),
            layers.Dense(2),
        ]
    )
    profile = measure.profile(net, latency=False, image_size=(8, 6))
    assert profile.macs == 6 * 4 * 27 * 2 + 2 * 2
    data = [(np.zeros((5, 3, 8, 6)), np.zeros(5, int))]
    from_data = measure.profile(net, data, latency=False)
    assert (from_data.macs, from_data.examples) == (profile.macs, 5)


def test_an_open_image_size_is_asked_for():
    net = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            layers.Conv2D(2, 3),  # cannot run on one pixel
            layers.GlobalAveragePooling2D(),
            layers.Dense(2),
        ]
    )
    with pytest.raises(ValueError, match=r"leaves their size open: give image_size"):
        measure.latencies({"net": net}, rounds=1)
    got = measure.latencies({"net": net}, rounds=1, image_size=8)
    assert got["net"].calls == 5
    profile = measure.profile(net, image_size=(8, 6))
    assert profile.latency_ms > 0
    assert profile.macs == 6 * 4 * 27 * 2 + 2 * 2
    assert profile.parameters == 27 * 2 + 2 + 2 * 2 + 2
    data = iter([(np.zeros((5, 8, 6, 3)), np.zeros(5, int))])
    from_data = measure.profile(net, data)  # of the size of its images
    assert (from_data.macs, from_data.examples) == (profile.macs, 5)
    with pytest.raises(ValueError, match=r"\(4, 4, 1\), not of size 5 x 5"):
        measure.latencies({"": sleeping(1)}, image_size=5)
