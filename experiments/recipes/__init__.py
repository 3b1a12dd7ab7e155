"""The experiments: one small Python file each, and the tables of their names."""

from types import ModuleType

from experiments.recipe import Recipe
from experiments.recipes.demo import recipe as demo
from experiments.recipes.distill_methods import recipe as distill_methods
from experiments.recipes.hinton2015 import recipe as hinton2015

# Published ones, for `limbeck reproduce`: a module's RECIPE, and its docstring's title.
REPRODUCIBLE: dict[str, ModuleType] = {
    "distill_methods": distill_methods,
    "hinton2015": hinton2015,
}
RECIPES: dict[str, Recipe] = {
    "demo": demo.RECIPE,
    **{name: module.RECIPE for name, module in REPRODUCIBLE.items()},
}
