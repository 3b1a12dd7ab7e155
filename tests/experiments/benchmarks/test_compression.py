"""`limbeck bench compression`: who wins where, and that both get the same job."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.benchmarks import compression, compression_process, compression_table
from experiments.benchmarks.compression import DENSE, LIMBECK, METHODS, TFMOT
from experiments.stages.prune import Prune
from experiments.stages.tfmot import TfmotCluster, TfmotPrune, TfmotQuantize
from tests.experiments.benchmarks.test_prune import SETTING


def row(method, engine, top1, zipped, seconds, memory):
    return {
        "net": "lenet5_caffe",
        "method": method,
        "engine": engine,
        "top1": top1,
        "bytes": 1_700_000,
        "bytes_zipped": zipped,
        "epoch_seconds": seconds,
        "peak_memory_bytes": memory,
        "precision": "float32",
    }


def test_the_table_says_who_wins_in_what():
    result = {
        "seeds": 3,
        "quick": False,
        "cases": {"lenet5_caffe": {"images": 3500, "epochs": 6, "data": "mnist5k"}},
        "setting": SETTING,
        "skipped": {"resnet20": "there is no cifar10"},
        "results": [
            row(DENSE, LIMBECK, [0.97, 0.98, 0.96], 1_500_000, [3.0] * 3, 900),
            # Differences 0.4, 0.5, 0.6 points: 0.5, standard error 0.1 / sqrt(3).
            row("prune", LIMBECK, [0.974, 0.985, 0.966], 300_000, [3.0] * 3, 1000),
            row("prune", TFMOT, [0.970, 0.980, 0.960], 300_900, [3.0, 3.6, 3.3], 800),
            row("cluster", LIMBECK, [0.95, 0.97, 0.96], 200_000, [5.0] * 3, 1000),
            row("cluster", TFMOT, [0.96, 0.96, 0.96], 200_000, [5.0] * 3, 1000),
        ],
    }
    text = compression_table.as_text(result)
    assert (
        "lenet5_caffe, prune: limbeck's top-1 less tfmot's +0.50 ± 0.06 points; tfmot "
        "wins in memory 1.25 times; limbeck wins in top-1 by 0.50 points, seconds an "
        "epoch 1.10 times."
    ) in " ".join(text.split())
    assert "less tfmot's +0.00 ± 0.58 points; neither wins." in " ".join(text.split())
    assert "Left out: resnet20, there is no cifar10." in text
    assert "97.00 ± 1.00" in text and "Quick" not in text


def test_both_get_the_same_job(tmp_path):
    case, dense = compression.CASES["resnet20"], tmp_path / "net.keras"
    dense.touch()
    kinds = {"prune": TfmotPrune, "cluster": TfmotCluster, "quantize": TfmotQuantize}
    for method in METHODS:
        ours, theirs = (
            compression_process.stage(case, method, engine, dense)
            for engine in (LIMBECK, TFMOT)
        )
        assert isinstance(theirs, kinds[method]) and not isinstance(ours, kinds[method])
        assert ours.training == theirs.training and ours.exports == theirs.exports
        assert ours.start == theirs.start
    pruned = compression_process.stage(case, "prune", LIMBECK, dense)
    assert isinstance(pruned, Prune) and pruned.sparsity == 0.8


def test_memory_is_that_of_the_process_alone():
    """A child of a process with much memory has little of its own."""
    held = bytearray(b"1") * 150_000_000
    code = (
        "from experiments.benchmarks.compression_process import peak_memory\n"
        "print(peak_memory())"
    )
    root = Path(__file__).resolve().parents[3]
    environment = os.environ | {"PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert 1_000_000 < int(done.stdout) < len(held)
    assert compression_process.peak_memory() > len(held)


def test_an_unknown_net_is_refused():
    with pytest.raises(
        ValueError, match="no benchmark of 'alexnet'; choose from lenet"
    ):
        compression.run(("alexnet",))


@pytest.mark.slow
def test_a_quick_run_is_complete():
    pytest.importorskip("tensorflow_model_optimization")
    lines = []
    result = compression.run(quick=True, log=lines.append)
    json.dumps(result)
    ways = {(row["method"], row["engine"]) for row in result["results"]}
    pairs = {(method, engine) for method in METHODS for engine in compression.ENGINES}
    assert ways == {(DENSE, LIMBECK)} | pairs
    for each in result["results"]:
        assert 0 <= each["top1"][0] <= 1 and each["epoch_seconds"][0] > 0
        assert each["bytes_zipped"] < each["bytes"] * 1.01
        assert 1e8 < each["peak_memory_bytes"] < 1e10
    by_way = {(row["method"], row["engine"]): row for row in result["results"]}
    for engine in compression.ENGINES:
        zipped = by_way["prune", engine]["bytes_zipped"]
        assert zipped < 0.4 * by_way[DENSE, LIMBECK]["bytes_zipped"]
    assert "Quick" in compression_table.as_text(result)
