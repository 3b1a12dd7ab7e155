"""`limbeck cluster`, `prune --sparsity`, `quantize --aware`, by either engine."""

from importlib.util import find_spec

import keras
import numpy as np
import pytest

from compression import export
from compression.quantization import is_quantized
from experiments import deployment
from experiments.cli import main as cli
from experiments.deployment import Deployment

pytestmark = pytest.mark.usefixtures("eagerly")

TFMOT = pytest.param(
    "tfmot",
    marks=pytest.mark.skipif(
        find_spec("tensorflow_model_optimization") is None,
        reason="tensorflow-model-optimization is not installed",
    ),
)
ENGINES = pytest.mark.parametrize("engine", ["limbeck", TFMOT])
DATA = ("--data", "digits")
ONCE = ("--epochs", "1", "--batch-size", "400")


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    """A net of two layers for `digits`, with a softmax, and what it takes beside it."""
    keras.utils.set_random_seed(0)
    x = image = keras.Input((8, 8, 1), name="image")
    x = keras.layers.Conv2D(4, 3, strides=2, activation="relu", name="conv")(x)
    x = keras.layers.Flatten(name="flat")(x)
    x = keras.layers.Dense(10, activation="softmax", name="logits")(x)
    path = tmp_path_factory.mktemp("models") / "net.keras"
    keras.Model(image, x, name="net").save(path)
    Deployment((8, 8, 1), (0.3,), (0.4,), tuple("0123456789")).write_beside(path)
    return path


def done(*words):
    assert cli.main(list(map(str, words))) == 0


def kernels(path):
    model = keras.saving.load_model(path)
    return [np.asarray(w) for w in model.weights if w.name == "kernel"]


@ENGINES
def test_a_kernel_gets_few_values(engine, net, tmp_path, capsys):
    out = tmp_path / "shared.keras"
    words = ("--clusters", 4, "--engine", engine, "--out", out)
    done("cluster", net, *DATA, *ONCE, *words)
    for kernel, before in zip(kernels(out), kernels(net), strict=True):
        assert len(np.unique(kernel)) <= 4
        assert len(np.unique(before)) == before.size
    printed = capsys.readouterr().out.splitlines()
    assert "net.keras with 4 values for the weights of a layer" in printed[0]
    assert any("epoch   1/1" in line for line in printed)
    assert " validation images: " in printed[-3] and printed[-3].endswith("% after")
    assert printed[-2].startswith(f"{out.stat().st_size:,} bytes, zipped ")
    assert printed[-1] == str(out)
    assert deployment.beside(out).std == (0.4,)  # as the model was trained before
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "shared.deploy.json",
        "shared.keras",
    ]


def test_a_record_of_another_file_is_seen_before_the_training(net, tmp_path, refusal):
    (other := tmp_path / "shared.limbeck").touch()
    Deployment((8, 8, 1), (0.1,), (0.4,), tuple("0123456789")).write_beside(other)
    words = ("--clusters", 4, "--out", out := tmp_path / "shared.keras")
    line = refusal("cluster", net, *DATA, *ONCE, *words)
    assert f"{out} must have another name than {other}" in line and not out.exists()


def test_weights_are_reassigned(net, tmp_path):
    found = []
    for words in ((), ("--reassign",)):
        out = tmp_path / f"{len(found)}.keras"
        done("cluster", net, *DATA, *ONCE, "--clusters", 4, *words, "--out", out)
        found.append(kernels(out))
    for kernel, other in zip(*found, strict=True):
        assert len(np.unique(other)) == 4
        assert (kernel != other).any()


@ENGINES
def test_weights_become_zero(engine, net, tmp_path):
    out = tmp_path / "sparse.keras"
    words = ("--sparsity", 0.75, "--exempt", "conv", "--engine", engine, "--out", out)
    done("prune", net, *DATA, *ONCE, *words)
    conv, dense = kernels(out)
    assert (conv != 0).all()
    assert (dense == 0).mean() == 0.75


@pytest.mark.slow
@ENGINES
def test_the_file_is_the_net_alone(engine, net, tmp_path):
    """No optimizer, three times as large, and no loss that Keras does not know."""
    out = tmp_path / "sparse.keras"
    words = ("--sparsity", 0.5, "--engine", engine, "--out", out)
    done("prune", net, *DATA, *ONCE, *words)
    assert not keras.saving.load_model(out).compiled
    assert out.stat().st_size < 1.2 * net.stat().st_size


@ENGINES
def test_an_int8_file_that_was_trained_for(engine, net, tmp_path, monkeypatch):
    written = []
    litert = export.litert

    def watched(model, *words, **options):
        written.append(is_quantized(model))
        return litert(model, *words, **options)

    monkeypatch.setattr(export, "litert", watched)
    out = tmp_path / "net.tflite"
    done("quantize", net, *DATA, *ONCE, "--aware", "--engine", engine, "--out", out)
    assert written == ([True] if engine == "limbeck" else [])  # not calibrated
    runner = export.load(out)
    assert (runner.takes.dtype, runner.gives.dtype) == ("int8", "int8")
    assert deployment.beside(out).mean == (0.3,)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_file(net, tmp_path):
    outs = [tmp_path / f"{n}.keras" for n in range(3)]
    for out, seed in zip(outs, (1, 1, 2), strict=True):
        done("cluster", net, *DATA, *ONCE, "--seed", seed, "--out", out)
    one, same, other = (np.concatenate([k.ravel() for k in kernels(o)]) for o in outs)
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


OUT, FILE = ("--out", "a.keras"), ("--out", "a.tflite")
SPARSE = ("--sparsity", 0.5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("cluster", *OUT), "it learns from images: give --data"),
        (("cluster", *DATA), "--out must be the .keras file to write, got None"),
        (("cluster", *DATA, *FILE), "--out must be the .keras file to write, got a.tf"),
        (("cluster", *DATA, *OUT, "--engine", "luck"), "'luck' trains; choose from li"),
        (
            ("cluster", *DATA, *OUT, "--engine", "tfmot", "--reassign"),
            "tfmot always reassigns weights: leave out --reassign",
        ),
        (("cluster", *DATA, *OUT, "--clusters", 1), "clusters must be 2 to 256, got 1"),
        (("cluster", *DATA, *OUT, "--exempt", "fc"), "is called 'fc'"),
        (("cluster", *DATA, *OUT, "--scope", "wide"), "no scope called 'wide'"),
        (("cluster", *DATA, *OUT, "--epochs", 0), "must be at least 1, got 0"),
        (("cluster", *DATA, *OUT, "--learning-rate", -1), "learning_rate must be posi"),
        (("cluster", *DATA, *OUT, "--seed", -1), "--seed must not be negative, got -1"),
        (("cluster", "--data", "folder:none", *OUT), "none"),
        (("prune", *DATA, *OUT, "--sparsity", 1), "above 0 and below 1, got 1"),
        (("prune", *DATA, *OUT, "--sparsity", "x"), "must be a number, got 'x'"),
        (("prune", *DATA, *OUT, *SPARSE, "--macs", 0.5), "no channels: leave out --m"),
        (("prune", *DATA, *OUT, *SPARSE, "--saliency", "l1"), "leave out --saliency"),
        (("prune", *DATA, *OUT, "--macs", 0.5, "--epochs", 2), "leave out --epochs"),
        (("prune", *DATA, *OUT, *SPARSE, "--pattern", "x"), "no pattern called 'x'"),
        (
            ("prune", *DATA, *OUT, *SPARSE, "--scope", "layer", "--engine", "tfmot"),
            "tfmot prunes every kernel alike: leave out --scope",
        ),
        (("quantize", *DATA, *FILE, "--epochs", 1), "without --aware: --epochs"),
        (("quantize", *DATA, *FILE, "--engine", "tfmot"), "with --aware from limbeck"),
        (("quantize", "--aware", *DATA, *OUT), "--out must be the .tflite file to wri"),
        (
            ("quantize", "--aware", *DATA, *FILE, "--max-drop", 1),
            "leave out --max-drop",
        ),
        (
            ("quantize", "--aware", *DATA, *FILE, "--max-drop", 0),
            "leave out --max-drop",
        ),
        (
            ("quantize", "--aware", *DATA, *FILE, "--precision", "int16x8"),
            "not int16x8",
        ),
        (
            ("quantize", "--aware", *DATA, *FILE, "--engine", "tfmot")
            + ("--precision", "int4"),
            "tfmot trains for int8 alone",
        ),
    ],
)
def test_refusals(words, message, net, tmp_path, monkeypatch, refusal):
    monkeypatch.chdir(tmp_path)
    verb, *rest = words
    assert message in refusal(verb, net, *rest)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_there_is_not_replaced(net, tmp_path, refusal):
    out = tmp_path / "a.keras"
    out.write_text("mine")
    assert f"{out} exists" in refusal("cluster", net, *DATA, "--out", out)
    assert out.read_text() == "mine"
