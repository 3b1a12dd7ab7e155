"""An experiment cut short enough for a test."""

import dataclasses
from collections.abc import Collection

from experiments.recipe import Recipe


def only(recipe: Recipe, names: Collection[str], *, data: str) -> Recipe:
    """The recipe with these stages alone, which train for one epoch, on other data."""
    stages = tuple(
        dataclasses.replace(
            stage,
            training=dataclasses.replace(stage.training, epochs=1, batch_size=256),
        )
        for stage in recipe.stages
        if stage.name in names
    )
    return dataclasses.replace(recipe, data=data, stages=stages)
