"""Stages that prune: what they offer, what they leave, resumed and refused."""

import dataclasses
import shutil
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from compression import pruning
from experiments.data import load
from experiments.recipe import Recipe
from experiments.runs.layout import RunFolder
from experiments.runs.run import run
from experiments.stages import fitting, learn_sparsity
from experiments.stages.base import Export
from experiments.stages.dynamic_surgery import DynamicSurgery
from experiments.stages.learn_sparsity import LearnSparsity
from experiments.stages.net import Net
from experiments.stages.prune import Prune
from experiments.stages.rigl import RigL
from experiments.stages.teaching import Teaching
from experiments.stages.ticket import Ticket
from experiments.stages.train import Train
from experiments.training import progress
from experiments.training.settings import Training

pytestmark = pytest.mark.usefixtures("eagerly")

NET = Net("mlp", {"widths": (16, 12)})
SHORT = Training(epochs=2, batch_size=600, learning_rate=3e-3)
QUIET = {"exports": ()}
STAGES = {
    "targets": Prune(
        "targets",
        "dense",
        SHORT,
        sparsity=0.5,
        targets={"fc1": 0.75},
        exports=(Export("litert"),),
    ),
    "snip": Prune("snip", NET, SHORT, until=0.0, saliency="snip", **QUIET),
    "wanda": Prune(
        "wanda", "dense", SHORT, Teaching("dense"), saliency="wanda", **QUIET
    ),
    "surgery": DynamicSurgery("surgery", "dense", SHORT, every=2, **QUIET),
    "rigl": RigL("rigl", NET, SHORT, sparsity=0.75, every=2, **QUIET),
    "l0": LearnSparsity(
        "l0", "dense", SHORT, method="l0", rate=400.0, options={"closed": 0.5}, **QUIET
    ),
    "ticket": Ticket("ticket", NET, SHORT, rounds=2, rewind_epochs=1, **QUIET),
}


def recipe(*names):
    dense = Train("dense", NET, SHORT, **QUIET)
    stages = (dense, *(STAGES[name] for name in names))
    return Recipe(name="small", data="digits", stages=stages)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "whole"
    return RunFolder(run(recipe(*STAGES), out))


def kernels(out, stage):
    model = keras.models.load_model(out.stage(stage, 0).model)
    return {w.path.split("/")[0]: np.asarray(w) for w in model.weights if w.ndim > 1}


def share(kernel):
    return np.mean(kernel == 0)


@pytest.mark.slow
def test_each_leaves_the_zeros_that_were_asked_for(finished):
    found = {name: kernels(finished, name) for name in STAGES}
    together = {
        name: np.mean(np.concatenate([k.ravel() for k in each.values()]) == 0)
        for name, each in found.items()
    }
    assert share(found["targets"]["fc1"]) == 0.75
    rest = [found["targets"][name].ravel() for name in ("fc2", "logits")]
    assert share(np.concatenate(rest)) == 0.5
    for name in ("snip", "wanda", "surgery"):
        assert together[name] == pytest.approx(0.8, abs=1e-3)
    for kernel in found["rigl"].values():
        assert share(kernel) == 0.75
    assert together["ticket"] == pytest.approx(0.9, abs=1e-3)
    assert 0.05 < together["l0"] < 1
    logged = finished.stage("l0", 0).read_history()["sparsity"]
    assert logged[-1] == pytest.approx(together["l0"])


def test_a_model_of_the_same_kinds_of_layers_is_written(finished):
    dense = keras.models.load_model(finished.stage("dense", 0).model)
    for name in STAGES:
        model = keras.models.load_model(finished.stage(name, 0).model)
        assert list(map(type, model.layers)) == list(map(type, dense.layers))


def test_a_ticket_is_the_early_weights_under_a_mask(finished):
    """At a rate next to nothing, what is left are the first weights."""
    still = dataclasses.replace(SHORT, learning_rate=1e-12, batch_size=1200)
    stage = dataclasses.replace(STAGES["ticket"], training=still, rewind_epochs=0)
    alone = dataclasses.replace(recipe(), stages=(stage,))
    out = RunFolder(run(alone, finished.path.parent / "still"))
    weights = list(kernels(out, "ticket").values())
    sizes = np.concatenate([np.abs(w[w != 0]) for w in weights])
    total = sum(w.size for w in weights)
    assert sizes.size == round(0.1 * total)
    assert sizes.min() > 0.2  # the largest tenth of He's numbers


def test_each_round_of_a_ticket_begins_with_the_first_weights(monkeypatch):
    begun = []

    def fit(stage, net, job, part=None):
        begun.append(net.get_weights())
        net.set_weights([weight + 0.5 for weight in begun[-1]])
        return None, {}

    monkeypatch.setattr(fitting, "fit", fit)
    stage = dataclasses.replace(STAGES["ticket"], rewind_epochs=0)
    stage.trained(NET.built(load("digits")), None)
    first, *rounds = begun
    assert len(rounds) == 2
    for weights in rounds:
        for early, weight in zip(first, weights, strict=True):
            kept = weight != 0
            np.testing.assert_array_equal(weight[kept], early[kept])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["l0", "ticket"])
def test_an_interrupted_stage_ends_like_a_whole_one(finished, name, tmp_path):
    out = RunFolder(shutil.copytree(finished.path, tmp_path / "cut"))
    shutil.rmtree(out.path / f"stages/seed0/{name}")
    epochs = []

    def interrupt(self, epoch, logs=None):
        epochs.append(epoch)
        if len(epochs) == 3:  # a ticket's first after pruning
            raise KeyboardInterrupt

    if name == "l0":
        epochs += [0, 0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progress.Progress, "on_epoch_end", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(recipe(*STAGES), out.path)
    run(recipe(*STAGES), out.path)
    expected = kernels(finished, name)
    for layer, kernel in kernels(out, name).items():
        np.testing.assert_array_equal(kernel, expected[layer])


@pytest.mark.parametrize(
    ("stage", "settings", "message"),
    [
        ("snip", {"until": -0.1}, r"until must be in \[0, 1\], got -0.1"),
        ("snip", {"saliency": "luck"}, "no saliency called 'luck'"),
        ("snip", {"scored_on": 0}, "scored_on must be at least 1, got 0"),
        ("targets", {"targets": {"fc1": 1.0}}, r"targets\['fc1'\] must be in \[0, 1\)"),
        ("surgery", {"settled": 0.1}, "settled must be from until, 0.6, to 1, got 0.1"),
        ("surgery", {"saliency": "random"}, "takes no other saliency"),
        ("rigl", {"scope": "layer"}, "RigL has no scope to choose"),
        ("l0", {"method": "l1"}, "no method called 'l1'; choose from variational"),
        ("l0", {"rate": 0}, "rate must be positive, got 0"),
        ("l0", {"warmup": -1}, "warmup must not be negative, got -1"),
        ("ticket", {"rounds": 0}, "rounds must be at least 1, got 0"),
        ("ticket", {"sparsity": 1.0}, r"sparsity must be in \(0, 1\), got 1.0"),
        ("ticket", {"rewind_epochs": 2}, "rewind_epochs must be from 0 to 1, before"),
    ],
)
def test_settings_are_refused_when_the_stage_is_made(stage, settings, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(STAGES[stage], **settings)


@pytest.mark.parametrize(
    ("stage", "settings", "message"),
    [
        ("l0", {"options": {"gate": 1}}, "stage 'l0': .* argument 'gate'"),
        ("l0", {"exempt": ("fc9",)}, "stage 'l0': .* called 'fc9'"),
        ("ticket", {"exempt": ("*",)}, "stage 'ticket': mlp has nothing to prune"),
        ("targets", {"targets": {"fc9": 0.5}}, "called 'fc9'"),
    ],
)
def test_what_cannot_be_pruned_is_known_before_training(
    stage, settings, message, tmp_path
):
    stages = recipe(stage).stages
    stages = (stages[0], dataclasses.replace(stages[1], **settings))
    with pytest.raises(ValueError, match=message):
        run(dataclasses.replace(recipe(), stages=stages), tmp_path / "run")
    assert not list(tmp_path.rglob("*.keras"))


def test_few_labels_that_are_shown_again_are_counted_once(monkeypatch):
    seen = {}
    monkeypatch.setitem(
        learn_sparsity.METHODS,
        "l0",
        lambda model, **options: seen.update(options) or model,
    )
    stage = LearnSparsity("l0", "dense", SHORT, method="l0", labels=100)
    train = SimpleNamespace(size=1000, labels=np.arange(1000) % 10)
    data = SimpleNamespace(name="toy", train=train, class_names=tuple("0123456789"))
    stage.made(SimpleNamespace(data=data, load=lambda name: name))
    assert seen["examples"] == 100
    dataclasses.replace(stage, labels=0.2).made(
        SimpleNamespace(data=data, load=lambda name: name)
    )
    assert seen["examples"] == 200


def test_snip_looks_at_train_images_before_the_first_step(finished):
    """The mask is that of the untrained net: zeros stay where its score was least."""
    callback = STAGES["snip"].callbacks(steps=4)[0]
    assert isinstance(callback.saliency, pruning.Snip)
    assert callback.schedule(0) == 0.8
    assert finished.stage("snip", 0).read_history()["sparsity"] == [0.8, 0.8]


def test_a_training_of_one_step_prunes_before_it():
    """Images that fill no more than a batch: a schedule would not come to its end."""
    stage = Prune("prune", "dense", dataclasses.replace(SHORT, epochs=1))
    [callback] = stage.callbacks(steps=1)
    assert callback.schedule(0) == 0.8
    assert stage.best_from(1) == 0


@pytest.mark.parametrize(("epochs", "first"), [(10, 14), (3, 10), (1, 4)])
def test_movement_is_gathered_before_the_first_mask(epochs, first):
    """An epoch of 8 steps, or a quarter of those until the end; then each 2 steps."""
    training = dataclasses.replace(SHORT, epochs=epochs)
    stage = Prune("movement", "dense", training, saliency="movement")
    [callback] = stage.callbacks(steps=8)
    steps = range(8 * epochs)
    assert next(step for step in steps if callback.schedule(step)) == first
    assert callback.schedule(steps[-1]) == 0.8
    with pytest.raises(ValueError, match="until must be above 0"):
        dataclasses.replace(stage, until=0.0)
