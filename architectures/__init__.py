"""What the nets are: the classic image classifiers as plain functional Keras models."""

from architectures.catalogue import Card, build, card, names
from architectures.published_weights import load_published_weights

__all__ = ["Card", "build", "card", "load_published_weights", "names"]
