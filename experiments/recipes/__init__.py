"""The experiments: one small Python file each, and the table of their names."""

from experiments.recipe import Recipe
from experiments.recipes import demo

RECIPES: dict[str, Recipe] = {"demo": demo.RECIPE}
