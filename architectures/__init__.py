"""What the nets are: the classic image classifiers as plain functional Keras models."""

from architectures.catalogue import Card, build, card, names

__all__ = ["Card", "build", "card", "names"]
