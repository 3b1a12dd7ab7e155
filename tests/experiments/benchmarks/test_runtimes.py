"""`limbeck bench runtimes`: what the report says, that runtimes compute alike."""

import json

import numpy as np
import pytest

import architectures
from experiments.benchmarks import keras_peers, onnx_peers, runtimes, runtimes_table
from experiments.benchmarks.keras_process import KerasProcess

SETTING = {"cores": 2, "load_average": 0.1, "versions": {"keras": "3"}}


def result_of(milliseconds):
    """Of two rounds; what is given is that of (runtime, threads)."""
    seconds = {case: [ms / 1e3, ms / 1e3] for case, ms in milliseconds.items()}
    return {
        "rounds": 2,
        "quick": False,
        "setting": SETTING,
        "skipped": {"ONNX Runtime": "onnx is not installed"},
        "results": runtimes._rows("n", seconds, {"LiteRT int8": 1234}),
    }


MILLISECONDS = {
    ("LiteRT float32", 1): 1.2, ("LiteRT float32", 2): 2.4,
    ("LiteRT float16", 1): 2.4, ("LiteRT float16", 2): 2.4,
    ("LiteRT dynamic", 1): 0.5, ("LiteRT dynamic", 2): 0.25,
    ("LiteRT int8", 1): 0.4, ("LiteRT int8", 2): 0.5,
    ("Keras predict", 1): 30.0, ("Keras predict", 2): 30.0,
}  # fmt: skip


def test_the_report_says_what_is_slower_than_it_should_be():
    text = " ".join(runtimes_table.as_text(result_of(MILLISECONDS)).split())
    assert (
        "fastest in 1 of 2 cases, which is the aim, but not of n on 2 (LiteRT dyn"
        in text
    )
    assert (
        "Two threads are slower than one: n in LiteRT float32 on 2 (0.50x), n in "
        "LiteRT int8 on 2 (0.80x). Slower than float32: n in LiteRT float16 on 1 "
        "(0.50x)."
    ) in text
    assert "Left out: ONNX Runtime, onnx is not installed." in text
    quick = {case: 1.0 for case in MILLISECONDS} | {("LiteRT int8", 2): 0.9}
    text = " ".join(runtimes_table.as_text(result_of(quick)).split())
    assert "Two threads are slower than one: nowhere." in text
    assert "Slower than float32: nowhere." in text


def test_an_unknown_net_is_refused():
    with pytest.raises(
        ValueError, match="no benchmark of 'lenet'; choose from resnet20"
    ):
        runtimes.run(["lenet"])


def test_other_logits_are_an_error():
    net = runtimes._Net.__new__(runtimes._Net)
    net.expected = np.array([[1.0, 2.0]])

    class model:
        name = "n"

    net.model = model
    net._check("LiteRT float32", net.expected + 1e-4)
    net._check("LiteRT int8", net.expected + 0.1)
    net._check("Keras predict", None)
    with pytest.raises(
        RuntimeError, match="n: PyTorch eager does not compute the same"
    ):
        net._check("PyTorch eager", net.expected + 0.1)
    with pytest.raises(RuntimeError, match="LiteRT int8 does not compute"):
        net._check("LiteRT int8", net.expected * np.nan)


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr(onnx_peers, "PACKAGES", ("no_such_package",))
    assert onnx_peers.missing() == (
        "no_such_package is not installed: pip install tf2onnx onnxruntime"
    )


def test_the_twin_of_vgg_computes_the_same():
    pytest.importorskip("torch", reason="the peers are in the extra `parity`")
    from experiments.benchmarks import torch_peers

    model = architectures.build("vgg16_cifar", width=0.125)
    keras_peers.randomize_batch_norm(model, np.random.default_rng(0))
    image = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype("float32")
    call = torch_peers.inference(torch_peers.twin(model, "cpu"), image, "cpu")
    wanted = model(image)
    np.testing.assert_allclose(call(), wanted, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(torch_peers.with_threads(call, 1)(), call())


@pytest.mark.slow
def test_a_quick_run_is_complete():
    result = runtimes.run(quick=True)
    assert json.loads(json.dumps(result)) == result
    cases = {(row["runtime"], row["threads"]) for row in result["results"]}
    names = {f"LiteRT {p}" for p in runtimes.PRECISIONS}
    names |= {f"Keras {call}" for call in runtimes.KERAS_CALLS}
    assert {(name, threads) for name in names for threads in (1, 2)} <= cases
    sizes = {row["runtime"]: row["bytes"] for row in result["results"]}
    assert sizes["LiteRT int8"] < 0.4 * sizes["LiteRT float32"]
    assert "Quick: " in runtimes_table.as_text(result)


@pytest.mark.slow
def test_a_process_that_ends_is_an_error(tmp_path):
    process = KerasProcess(1)
    with pytest.raises(
        RuntimeError, match="the process that runs Keras ended at 'load"
    ):
        process.load(tmp_path / "none.keras", tmp_path / "none.npy")
    process.close()
