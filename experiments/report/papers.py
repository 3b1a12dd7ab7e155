"""An experiment that repeats a paper has tables and pictures of its own."""

from collections.abc import Sequence
from types import ModuleType

from experiments import recipes
from experiments.tables.summary import Summary


def paper_of(recipe: str | None, summaries: Sequence[Summary]) -> ModuleType | None:
    """The tables.py of the experiment that the recipe belongs to.

    None where it has none, and for other data than the paper's, for which the paper's
    figures mean nothing.
    """
    experiment = recipes.experiment_of(recipe)
    module = recipes.tables_module(experiment) if experiment else None
    data = {summary.about("data") for summary in summaries}
    return module if module and data == {module.DATA} else None
