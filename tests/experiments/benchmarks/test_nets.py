"""`limbeck bench nets`: peers compute the same, figures are computed right."""

import importlib.util
import itertools
import json

import keras
import numpy as np
import pytest

import architectures
from architectures.resnet import resnet_cifar
from experiments.benchmarks import (
    faster_training,
    keras_peers,
    nets,
    nets_table,
    progress,
    turns,
)
from experiments.cli import main as cli

HAS_TORCH = importlib.util.find_spec("torch") is not None


def random_net(name):
    side = nets.CASES[name].least_side
    keras.utils.set_random_seed(0)
    model = architectures.build(name, input_shape=(side, side, 3), classes=10)
    random = np.random.default_rng(0)
    keras_peers.randomize_batch_norm(model, random)
    pixels = nets.CASES[name].pixels * random.normal(size=(2, side, side, 3))
    return model, pixels.astype("float32")


def test_turns_by_hand(monkeypatch):
    """A clock that each call moves on: a takes 1 s, b 2 s, then 3 s."""
    now, order, finished = [0.0], [], []
    durations = itertools.chain([2.0] * 3, itertools.repeat(3.0))

    def work(name, duration):
        order.append(name)
        now[0] += duration

    monkeypatch.setattr(turns.time, "perf_counter", lambda: now[0])
    seconds = turns.seconds_in_turns(
        {"a": lambda: work("a", 1.0), "b": lambda: work("b", next(durations))},
        rounds=2,
        burst=2,
        on_round=finished.append,
    )
    assert "".join(order) == "aaabbbbbbaaa"  # one untimed call before each two
    assert seconds == {"a": [1.0, 1.0], "b": [2.0, 3.0]}
    assert finished == [1, 2]
    ratio = turns.speed_ratio(seconds["a"], seconds["b"])
    assert ratio == pytest.approx((2.5, 2.1, 2.9))  # between 2 and 3, linearly


def test_fastest_by_hand():
    seconds = {
        "limbeck": [3.0, 3.0, 3.0],
        "plain Keras": [1.0, 1.0, 1.0],  # neither side's
        "limbeck, bfloat16": [2.0, 2.0, 2.0],
        "PyTorch": [4.0, 4.0, 4.0],
        "PyTorch, bfloat16": [9.0, 1.0, 5.0],  # its median is the slower one
    }
    best = faster_training.fastest(seconds)
    assert best["limbeck"] == "limbeck, bfloat16" and best["PyTorch"] == "PyTorch"
    assert best["times"]["median"] == 2.0
    del seconds["PyTorch"], seconds["PyTorch, bfloat16"]
    assert faster_training.fastest(seconds) is None


def test_faster_ways_learn_the_same():
    """Five steps at once are five steps; bfloat16 rounds and no more."""

    def build():
        return resnet_cifar(8, input_shape=(8, 8, 3), classes=10)

    keras.utils.set_random_seed(0)
    model = build()
    random = np.random.default_rng(0)
    images = random.normal(size=(16, 8, 8, 3)).astype("float32")
    labels = random.integers(0, 10, 16)
    calls = faster_training.calls(build, model, images, labels)
    step = keras_peers.training(model, images, labels)
    means = [step() for _ in range(2 * faster_training.LAUNCH)]
    launched = calls["limbeck, 5 a launch"]
    assert [launched(), launched()] == pytest.approx(means[4::5], rel=1e-4)
    assert calls["limbeck, bfloat16"]() == pytest.approx(means[0], rel=2e-2)


def test_turns_refuse():
    with pytest.raises(ValueError, match="must be positive, got 0 rounds of 1"):
        turns.seconds_in_turns({}, rounds=0, burst=1)


SLOW = [pytest.param(n, marks=pytest.mark.slow) for n in ("googlenet", "googlenet_bn")]


@pytest.mark.parametrize("name", ["resnet20", *SLOW])
def test_plain_keras_computes_the_same(name):
    model, images = random_net(name)
    plain = keras_peers.plain(model)
    for layer, twin in zip(model.layers, plain.layers, strict=True):
        assert type(twin) is keras_peers.PLAIN.get(type(layer), type(layer))
    assert any(type(layer) in keras_peers.PLAIN for layer in model.layers)
    ours = keras_peers.inference(model, images)()
    theirs = keras_peers.inference(plain, images)()
    assert abs(ours - theirs).max() <= 1e-5 * abs(ours).max()


def test_there_is_no_plain_form_of_a_plain_net():
    assert keras_peers.plain(architectures.build("lenet5")) is None


@pytest.mark.slow
def test_a_plain_net_learns_apart_from_ours():
    keras.utils.set_random_seed(0)
    model = resnet_cifar(8, input_shape=(8, 8, 3), classes=10)
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    before = [w.copy() for w in model.get_weights()]
    step = keras_peers.training(keras_peers.plain(model), images, np.array([1, 2]))
    assert step() != step()
    for w, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(w, now)


@pytest.mark.skipif(not HAS_TORCH, reason="needs the extra `parity`")
@pytest.mark.parametrize("name", nets.CASES)
def test_pytorch_computes_the_same(name):
    from experiments.benchmarks import torch_peers

    model, images = random_net(name)
    ours = keras_peers.inference(model, images)()
    net = torch_peers.twin(model, "cpu")
    theirs = torch_peers.inference(net, images, "cpu")()
    assert abs(ours - theirs).max() <= 1e-4 * abs(ours).max()
    weights = sum(p.numel() for p in net.parameters())
    assert weights == sum(np.prod(w.shape) for w in model.trainable_weights)


@pytest.mark.skipif(not HAS_TORCH, reason="needs the extra `parity`")
def test_pytorch_learns_the_same():
    """Three steps of SGD with momentum from the same weights, the same losses."""
    from experiments.benchmarks import torch_peers

    keras.utils.set_random_seed(0)
    model = architectures.build("resnet20")
    random = np.random.default_rng(0)
    images = random.normal(size=(16, 32, 32, 3)).astype("float32")
    labels = random.integers(0, 10, 16)
    net = torch_peers.twin(model, "cpu")
    theirs = torch_peers.training(net, images, labels, "cpu")
    ours = keras_peers.training(model, images, labels)
    losses = [theirs() for _ in range(3)]
    means = np.cumsum(losses) / [1, 2, 3]  # what ours gives, as `fit` does
    assert [ours() for _ in losses] == pytest.approx(list(means), rel=1e-3)


@pytest.mark.skipif(not HAS_TORCH, reason="needs the extra `parity`")
def test_other_nets_have_no_twin():
    from experiments.benchmarks import torch_peers

    with pytest.raises(ValueError, match="no PyTorch twin of 'lenet5'"):
        torch_peers.twin(architectures.build("lenet5"), "cpu")


@pytest.fixture(scope="module")
def quick():
    logged = []
    result = nets.run(["resnet20", "googlenet"], quick=True, log=logged.append)
    return result, logged


@pytest.mark.slow
def test_a_quick_run_is_complete(quick):
    result, logged = quick
    assert json.loads(json.dumps(result)) == result
    ways = ["limbeck, bfloat16", "limbeck, 5 a launch"]
    peers = {
        "training": ["limbeck", "plain Keras", *ways]
        + ["PyTorch, bfloat16", "PyTorch, compiled", "PyTorch"] * HAS_TORCH,
        "inference": ["limbeck", "plain Keras"] + ["PyTorch"] * HAS_TORCH,
    }
    assert [case["net"] for case in result["results"]] == ["resnet20", "googlenet"]
    assert [case["task"] for case in result["results"]] == ["training", "inference"]
    for case in result["results"]:
        assert [peer["peer"] for peer in case["peers"]] == peers[case["task"]]
        ours, plain, *others = case["peers"]
        assert "times_plain_keras" in ours and "times_plain_keras" not in plain
        assert plain["difference"] <= 1e-5
        for peer in others:
            assert peer["difference"] <= nets.SAME[peer["peer"]]
        if HAS_TORCH:
            assert "times_pytorch" not in others[-1]
        timed = case["task"] == "training" and HAS_TORCH
        assert ("fastest" in case) is timed
        for peer in case["peers"]:
            rate = peer["images_per_second"]
            assert 0 < rate["low"] <= rate["median"] <= rate["high"]
    assert set(result["skipped"]) == (set() if HAS_TORCH else {"PyTorch"})
    assert result["setting"]["threads"] is None and result["setting"]["cores"] >= 1
    assert "resnet20: round 2/2, 0:00 left" in logged


@pytest.mark.slow
def test_the_table_notes_how_it_was_measured(quick):
    result, _ = quick
    text = nets_table.as_text(result)
    assert max(map(len, text.splitlines())) <= 110
    assert "training, 2 x 8 px" in text and "inference, 2 x 32 px" in text
    words = " ".join(text.split())
    assert "Threads of each framework: its own choice" in words
    assert "of 2 rounds in turns" in words
    assert "the speeds mean nothing" in words
    assert ("Left out: PyTorch, it is not installed" in words) is not HAS_TORCH


def test_peers_that_compute_something_else_are_refused(monkeypatch):
    def other(model):
        return keras.models.clone_model(model)  # with other weights

    monkeypatch.setattr(keras_peers, "plain", other)
    with pytest.raises(RuntimeError, match="plain Keras does not compute the same"):
        nets.run(["resnet20"], quick=True)


def test_threads_cannot_change_under_way():
    keras.ops.ones(1) + 1  # TensorFlow has started
    with pytest.raises(ValueError, match="has started with other threads than 77"):
        nets.run(["resnet20"], quick=True, threads=77)


@pytest.mark.slow
def test_the_command(quick, monkeypatch, capsys):
    asked = {}

    def run(only, **options):
        asked.update(options, only=only)
        return quick[0]

    monkeypatch.setattr(nets, "run", run)
    command = ["bench", "nets", "--only", "resnet20,googlenet", "--rounds", "3"]
    assert cli.main([*command, "--threads", "2", "--batch", "4", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == quick[0]
    assert asked.pop("log") is progress.report_progress
    assert asked == {
        "only": ["resnet20", "googlenet"],
        "rounds": 3,
        "threads": 2,
        "batch": 4,
        "quick": False,
    }
    assert cli.main(["bench", "nets"]) == 0
    assert asked["only"] is None and asked["threads"] >= 1
    assert capsys.readouterr().out.startswith("net  ")


def test_the_command_refuses(capsys):
    assert cli.main(["bench", "nets", "--only", "resnet21"]) == 2
    [line] = capsys.readouterr().err.strip().splitlines()
    assert "no benchmark of 'resnet21'; choose from resnet20, alexnet" in line
