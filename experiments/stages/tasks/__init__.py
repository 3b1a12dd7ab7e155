"""What a backbone can learn from images that have no labels; a file a task."""

from experiments.stages.tasks.autoencoder import Autoencoder
from experiments.stages.tasks.rotation import Rotation
from experiments.stages.tasks.simclr import SimCLR
from experiments.stages.tasks.task import Task

__all__ = ["Autoencoder", "Rotation", "SimCLR", "Task"]
