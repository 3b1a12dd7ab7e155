"""What we train on: data by name, augmentation, and the way to the device."""

from experiments.data.datasets import Data, Split, load

__all__ = ["Data", "Split", "load"]
