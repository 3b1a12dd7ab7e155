"""Recipes that compare with papers have tables and pictures of their own."""

from collections.abc import Sequence
from types import ModuleType

from experiments.recipes.distill_methods import tables as distill_methods
from experiments.recipes.hinton2015 import tables as hinton2015
from experiments.tables.summary import Line

# Recipe and data -> what has `tables(lines)` and `pictures(lines)`. On other data the
# paper's figures say nothing.
PAPERS: dict[tuple[str, str], ModuleType] = {
    ("distill_methods", "cifar10"): distill_methods,
    ("hinton2015", "mnist"): hinton2015,
}


def paper_of(recipe: str | None, lines: Sequence[Line]) -> ModuleType | None:
    """The module of the paper that a recipe of that name repeats, if it does."""
    data = {line.about("data") for line in lines}
    return PAPERS.get((recipe, data.pop())) if len(data) == 1 else None
