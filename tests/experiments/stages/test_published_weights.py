"""Where an experiment finds published weights."""

import pytest

import architectures
from experiments.data import load
from experiments.stages import published_weights as published
from experiments.stages.net import Net


@pytest.fixture
def asked(monkeypatch):
    """The files that are loaded, and whether the catalogue's address is fetched."""
    calls = []
    monkeypatch.setattr(
        architectures,
        "load_published_weights",
        lambda model, path, *, download: calls.append((path, download)),
    )
    return calls


def test_a_path_is_a_path(asked):
    published.load_into(architectures.build("resnet20"), "some/file.safetensors")
    assert asked == [("some/file.safetensors", False)]


def test_a_folder_is_searched_for_the_net(asked, tmp_path, monkeypatch):
    for name in ("cifar10_resnet20", "cifar10_resnet32"):
        (tmp_path / f"{name}.safetensors").touch()
    monkeypatch.setenv("LIMBECK_WEIGHTS", str(tmp_path))
    published.load_into(architectures.build("resnet20"), "published")
    assert asked == [(tmp_path / "cifar10_resnet20.safetensors", False)]
    monkeypatch.setenv("HOME", str(tmp_path.parent))
    monkeypatch.setenv("LIMBECK_WEIGHTS", f"~/{tmp_path.name}")
    published.load_into(architectures.build("resnet20"), "published")
    assert asked[1] == asked[0]
    with pytest.raises(FileNotFoundError, match=r"no file \*resnet44.safetensors"):
        published.load_into(architectures.build("resnet44"), "published")


def test_without_a_folder_the_address_is_fetched(asked, monkeypatch):
    monkeypatch.delenv("LIMBECK_WEIGHTS", raising=False)
    published.load_into(architectures.build("resnet20"), "published")
    assert asked == [(None, True)]


def test_a_net_that_has_no_such_file_is_refused_at_once():
    net = Net("mlp", weights="none.safetensors")
    with pytest.raises((ValueError, OSError), match=r"none.safetensors"):
        net.built(load("digits"))


def test_pixels_are_normalised_as_the_weights_expect():
    """GoogLeNet's were trained on pixels from -1 to 1, all others on ImageNet's."""
    for name, expected in (("resnet18", "imagenet"), ("googlenet_bn", "-1..1")):
        assert Net(name, weights="published").normalisation == expected
        assert Net(name).normalisation is None
