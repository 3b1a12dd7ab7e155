"""The catalogue: what it lists, and that its cards are complete."""

import re

import pytest

import architectures
from architectures.catalogue import BUILDERS, CARDS

OURS = {f"vgg{n}_cifar" for n in (11, 13, 16, 19)} | {
    *("mlp", "alexnet_small", "zfnet_small", "zfnet_residual", "googlenet_cifar")
}


def test_every_net_has_a_builder_and_a_card():
    assert architectures.names() == sorted(BUILDERS) == sorted(CARDS)
    assert len(architectures.names()) == 37


@pytest.mark.parametrize("name", architectures.names())
def test_a_card_is_complete(name):
    card = architectures.card(name)
    assert card.paper
    assert card.source
    assert 1998 <= card.year <= 2015
    assert card.parameters > 0
    assert card.macs > 0
    published = card.top1 is not None or card.top5 is not None
    assert published == (name not in OURS)
    if card.top1 and card.top5:
        assert 50 < card.top1 < card.top5 < 100


def test_published_weights_carry_their_hash():
    released = [card.weights for card in CARDS.values() if card.weights]
    assert len(released) == 20
    assert len(set(released)) == 20
    for address in released:
        assert re.fullmatch(r"https://[\w./-]+-[0-9a-f]{8}\.p?th", address)


@pytest.mark.parametrize("ask", [architectures.build, architectures.card])
def test_an_unknown_net_is_refused_with_the_names(ask):
    with pytest.raises(ValueError, match="no net called 'vgg12'.*vgg11, "):
        ask("vgg12")


def test_build_passes_options_on():
    model = architectures.build("mlp", widths=(3,), classes=2, name="tiny")
    assert model.name == "tiny"
    assert model.count_params() == 784 * 3 + 3 + 3 * 2 + 2
