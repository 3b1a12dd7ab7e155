"""Auxiliary heads: weighted losses, the main head is scored, the others come off."""

import keras
import numpy as np
import pytest
from keras import layers

import architectures
from architectures import catalogue
from experiments.recipe import Recipe
from experiments.runs.layout import RunFolder
from experiments.runs.run import run
from experiments.stages.base import Export
from experiments.stages.net import Net
from experiments.stages.teaching import Teaching
from experiments.stages.train import Train
from experiments.training import checkpoint
from experiments.training.auxiliary import AuxiliaryHeads
from experiments.training.optimizers import LabelLoss
from experiments.training.settings import Training

pytestmark = pytest.mark.usefixtures("eagerly", "no_board")

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(16, 4, 4, 1)).astype("float32")
EXPORTS = (Export("litert"),)
LABELS = RNG.integers(0, 3, 16)


def tiny(
    *,
    input_shape: tuple[int, int, int] = (4, 4, 1),
    classes: int = 3,
    auxiliary: bool = False,
    name: str = "tiny",
):
    """One hidden layer, with a head that reads it."""
    image = keras.Input(input_shape, name="image")
    hidden = layers.Dense(8, activation="relu")(layers.Flatten()(image))
    hidden = layers.BatchNormalization()(hidden)
    logits = layers.Dense(classes, name="logits")(hidden)
    heads = {"logits": logits}
    if auxiliary:
        heads["aux1_logits"] = layers.Dense(classes, name="aux1_logits")(hidden)
    return keras.Model(image, heads if auxiliary else logits, name=name)


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.slow
def test_the_step_is_that_of_weighted_losses(jit_compile):
    """Against Keras's own losses of several outputs."""
    nets = []
    for wrapped in (True, False):
        keras.utils.set_random_seed(0)
        net = tiny(auxiliary=True)
        names, loss = net.output.keys(), LabelLoss(0.1)
        if wrapped:
            model, labels, options = AuxiliaryHeads(net, 0.3), LABELS, {"loss": loss}
        else:
            model, labels = net, dict.fromkeys(names, LABELS)
            weights = {"logits": 1.0, "aux1_logits": 0.3}
            options = {"loss": dict.fromkeys(names, loss), "loss_weights": weights}
        model.compile("sgd", jit_compile=jit_compile, **options)
        for _ in range(2):
            logged = model.train_on_batch(IMAGES, labels, return_dict=True)
        nets.append((net, logged["loss"]))
    (ours, our_loss), (keras_own, keras_loss) = nets
    assert our_loss == pytest.approx(keras_loss, rel=1e-5)
    for a, b in zip(ours.get_weights(), keras_own.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_only_the_main_head_is_evaluated():
    net = tiny(auxiliary=True)
    model = AuxiliaryHeads(net, 0.3)
    model.compile("sgd", loss=LabelLoss(), metrics=["accuracy"])
    got = model.evaluate(IMAGES, LABELS, verbose=0, return_dict=True)
    logits = net(IMAGES)["logits"].numpy()
    assert got["accuracy"] == pytest.approx((logits.argmax(1) == LABELS).mean())
    assert got["loss"] == pytest.approx(float(LabelLoss()(LABELS, logits)), rel=1e-5)


@pytest.fixture
def with_tiny(monkeypatch):
    monkeypatch.setitem(catalogue.BUILDERS, "tiny", tiny)
    monkeypatch.setitem(catalogue.CARDS, "tiny", architectures.card("mlp"))


def recipe(name="tiny", exports=()):
    settings = Training(epochs=2, batch_size=600)
    stage = Train("net", Net(name), settings, auxiliary_weight=0.3, exports=exports)
    return Recipe("heads", "digits", (stage,))


@pytest.mark.slow
def test_the_stage_writes_the_net_without_heads(with_tiny, tmp_path, monkeypatch):
    whole = RunFolder(run(recipe(exports=EXPORTS), tmp_path / "whole"))
    model = keras.models.load_model(whole.stage("net", 0).model, compile=False)
    names = [layer.name for layer in model.layers]
    assert "logits" in names and "aux1_logits" not in names
    assert model.output.shape == (None, 10)

    write = checkpoint.Checkpoint._write

    def write_and_stop(keeper):
        write(keeper)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(checkpoint.Checkpoint, "_write", write_and_stop)
        run(recipe(), tmp_path / "cut")
    cut = RunFolder(run(recipe(), tmp_path / "cut"))
    again = keras.models.load_model(cut.stage("net", 0).model, compile=False)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_heads_that_cannot_be_are_refused_before_training(tmp_path):
    with pytest.raises(ValueError, match="mlp has no option 'auxiliary'; it takes"):
        run(recipe("mlp"), tmp_path / "a")
    with pytest.raises(ValueError, match="at least 64 px a side"):
        run(recipe("googlenet_bn"), tmp_path / "b")
    once, net = Training(epochs=1), Net("googlenet_bn")
    with pytest.raises(ValueError, match="start from a Net, not from the pre net"):
        Train("a", "pre", once, auxiliary_weight=0.3)
    with pytest.raises(ValueError, match="leave out teaching or auxiliary_weight"):
        Train("a", net, once, Teaching("t"), auxiliary_weight=0.3)
    with pytest.raises(ValueError, match="auxiliary_weight must be 0 or more, got -1"):
        Train("a", net, once, auxiliary_weight=-1)
    with pytest.raises(ValueError, match="tiny has no auxiliary heads"):
        AuxiliaryHeads(tiny(), 0.3)
