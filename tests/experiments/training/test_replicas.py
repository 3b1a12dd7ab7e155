"""Devices that share batches train the net that one device trains."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from experiments.data import load, pipeline
from experiments.training import strategies

ROOT = Path(__file__).resolve().parents[3]
SAME = 1e-4  # of a weight, as two orders of adding floats differ after a few steps


def process(strategy, folder, cases, **environment):
    """What is started in the background."""
    module = "tests.experiments.training.replicas_process"
    return subprocess.Popen(
        [sys.executable, "-m", module, strategy, str(folder), *cases],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(started):
    out, err = started.communicate(timeout=500)
    assert started.returncode == 0, err[-3000:]
    return out


def weights(folder, name):
    with np.load(folder / f"{name}.npz") as file:
        return {path.removesuffix(".npy"): file[path] for path in file.files}


def furthest(one, other):
    """The largest difference of any weight, relative to those above 1."""
    assert one.keys() == other.keys()
    return max(
        np.max(np.abs(one[k] - other[k]) / np.maximum(1, np.abs(one[k]))) for k in one
    )


def test_two_devices_train_and_prune_as_one_does(tmp_path):
    ended(process("mirrored:2", tmp_path, ["pruned"]))
    alone, shared = (
        weights(tmp_path, f"pruned-{kind}") for kind in ("alone", "shared")
    )
    assert furthest(alone, shared) < SAME
    kernels = [path for path in alone if path.endswith("kernel")]
    for path in kernels:
        np.testing.assert_array_equal(alone[path] == 0, shared[path] == 0)
    assert max(np.mean(shared[path] == 0) for path in kernels) > 0.3


def cluster(index, ports):
    workers = [f"127.0.0.1:{port}" for port in ports]
    task = {"type": "worker", "index": index}
    return json.dumps({"cluster": {"worker": workers}, "task": task})


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@pytest.mark.slow
@pytest.mark.parametrize("case", ["plain", "swa"])
def test_so_without_a_mask_and_with_averaged_weights(case, tmp_path):
    ended(process("mirrored:2", tmp_path, [case]))
    alone, shared = (
        weights(tmp_path, f"{case}-{kind}") for kind in ("alone", "shared")
    )
    assert furthest(alone, shared) < SAME


@pytest.mark.slow
def test_two_workers_train_what_one_trains(tmp_path):
    ports, cases = free_ports(2), ["plain", "pruned", "quantized"]
    workers = [
        process("multiworker", tmp_path, cases, TF_CONFIG=cluster(index, ports))
        for index in range(2)
    ]
    for one in workers:
        ended(one)
    for case in cases:
        chief, other = (weights(tmp_path, f"{case}-shared-{i}") for i in range(2))
        assert furthest(chief, other) == 0
        if case != "quantized":  # ranges are means of those of both halves
            assert furthest(chief, weights(tmp_path, f"{case}-alone-0")) < SAME


def command(index, ports, out):
    """`limbeck train` of one of two workers, in the background."""
    words = "train lenet5 --data digits --image-size 28 --strategy multiworker"
    return subprocess.Popen(
        [sys.executable, "-m", "experiments.cli", *words.split(), "--out", str(out)],
        cwd=ROOT,
        env=os.environ | {"TF_CONFIG": cluster(index, ports)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_an_epoch(tmp_path):
    ports, out = free_ports(2), tmp_path / "run"
    chief, other = (command(index, ports, out) for index in range(2))
    seen = ""
    while " 2/20" not in seen:  # of 20 epochs
        seen = chief.stdout.readline()
        assert seen, chief.stderr.read()[-3000:]
    other.kill()
    _, error = chief.communicate(timeout=200)
    assert (chief.returncode, error.splitlines()[-1][:42]) == (
        2,
        "limbeck: another worker has ended; start a",
    )
    other.communicate()
    again = [command(index, ports, out) for index in range(2)]
    said = [ended(one) for one in again]
    assert " 1/20" not in said[0] and "20/20" in said[0]
    assert "the chief measures" in said[1]
    assert len((out / "rows.jsonl").read_text().splitlines()) == 1


def test_parts_of_a_batch_are_the_batch():
    data = load("digits")
    whole = first(data, (0, 1))
    parts = [first(data, (k, 4)) for k in range(4)]
    together = np.stack(parts, axis=1).reshape(whole.shape)
    np.testing.assert_array_equal(together, whole)
    with pytest.raises(ValueError, match="3 machines cannot share a batch of 64"):
        first(data, (0, 3))


def first(data, part):
    """The images of the first train batch."""
    batches = pipeline.training_batches(data, batch_size=64, seed=0, part=part)
    return next(iter(batches.dataset))[0].numpy()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mirror", "no strategy called 'mirror'; choose mirrored"),
        ("mirrored:x", "no strategy called 'mirrored:x'"),
        ("mirrored", "takes all GPUs, and TensorFlow sees none"),
        ("mirrored:0", "asks for 0 devices; there are 1"),
        ("mirrored:2", "comes too late"),
        ("multiworker", "needs the environment variable TF_CONFIG"),
    ],
)
def test_what_is_not_here_is_refused(name, message, monkeypatch):
    import tensorflow as tf

    tf.constant(0)  # now its devices are made
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(ValueError, match=message):
        strategies.made(name)


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[]",
        '{"cluster": {"worker": ["a:1"]}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "chief", "index": 0}}',
    ],
)
def test_a_cluster_that_does_not_say_who_is_who_is_refused(text, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match="names all workers and this one"):
        strategies.made("multiworker")
