"""The experiments: a folder each, and a word in one of these tuples.

    NAME/__init__.py   its title: the first line of the docstring
    NAME/recipe.py     RECIPE, and FULL where there is a longer setting
    NAME/tables.py     the paper's figures and the columns of its own tables, see
                       `tables_module`; an experiment without it has the usual table
    NAME/README.md     what was measured, and what was missed
    NAME/results/      the committed records, one JSON a run and seed

Nothing of an experiment is imported before it is asked for: recipes need Keras.
"""

import importlib
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from compression.nearest import did_you_mean

# For `limbeck reproduce NAME`.
REPRODUCIBLE = (
    *("hinton2015", "distill_methods", "distill_ranks"),
    *("transfer_digits", "transfer_classes"),
    *("pretraining", "he2016", "classic_nets", "ablation"),
    *("channels", "sparsity", "quantization", "han2016", "cifar_bytes"),
    *("resnet_to_alexnet", "resnet_to_alexnet_mnist"),
)
EXPERIMENTS = ("demo", *REPRODUCIBLE)
ROOT = Path(__file__).parent
LONGER = "_full"  # how the name of an experiment's longer recipe ends


def recipe_module(name: str) -> ModuleType:
    """The experiment's recipe.py, with RECIPE and perhaps FULL; imports Keras.

    Raises:
        ValueError: there is no such experiment; lists them.
    """
    return importlib.import_module(f"{__name__}.{_known(name)}.recipe")


def tables_module(name: str) -> ModuleType | None:
    """The experiment's tables.py, None where it has none; needs no Keras.

    It holds `DATA`, the dataset for which its figures mean something, and
    `tables(summaries)` and `pictures(summaries)`, which give a list of
    `experiments.tables.table.Table` and one of SVG texts.

    Raises:
        ValueError: there is no such experiment; lists them.
    """
    module = f"{__name__}.{_known(name)}.tables"
    return importlib.import_module(module) if find_spec(module) else None


def title(name: str) -> str:
    """What the experiment is, in one line.

    Raises:
        ValueError: there is no such experiment; lists them.
    """
    package = importlib.import_module(f"{__name__}.{_known(name)}")
    return package.__doc__.splitlines()[0]


def folder(name: str) -> Path:
    """Where the experiment's files are.

    Raises:
        ValueError: there is no such experiment; lists them.
    """
    return ROOT / _known(name)


def experiment_of(recipe: str | None) -> str | None:
    """The experiment that a recipe of that name belongs to, if it belongs to one.

    The longer setting of an experiment belongs to it, a smoke run to none.
    """
    for name in EXPERIMENTS:
        if recipe in (name, name + LONGER):
            return name
    return None


def _known(name):
    if name not in EXPERIMENTS:
        raise ValueError(
            f"no experiment called {name!r}{did_you_mean(name, EXPERIMENTS)}; choose "
            f"from {', '.join(EXPERIMENTS)}"
        )
    return name
