"""Images as PyTorch users load them: torchvision's transforms in a DataLoader.

Needs the extra `parity`.
"""

from pathlib import Path

import numpy as np
from PIL import Image
from torch.utils.data import DataLoader, Dataset, RandomSampler
from torchvision import datasets, transforms

from experiments.benchmarks.distill_data import MEAN, SIDE, STD
from experiments.data.normalisation import FIXED, IMAGENET

FOREVER = 10**9  # images of an epoch that goes on through all turns


class Arrays(Dataset):
    """Images in memory, as torchvision's CIFAR10 holds them."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, transform):
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple:
        image = Image.fromarray(self.images[index])
        return self.transform(image), int(self.labels[index])


def of_files(folder: Path, size: int, jitter: float) -> Dataset:
    """Random windows of the images in a folder, a class a folder."""
    colours = [transforms.ColorJitter(jitter, jitter, jitter)] if jitter else []
    changes = [
        transforms.RandomResizedCrop(size),
        transforms.RandomHorizontalFlip(),
        *colours,
        transforms.ToTensor(),
        transforms.Normalize(*FIXED[IMAGENET]),
    ]
    return datasets.ImageFolder(str(folder), transforms.Compose(changes))


def of_arrays(images: np.ndarray, labels: np.ndarray, pad: int) -> Dataset:
    """Shifted images."""
    changes = [
        transforms.RandomCrop(SIDE, padding=pad),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
    ]
    return Arrays(images, labels, transforms.Compose(changes))


def batches(images: Dataset, batch: int, workers: int) -> DataLoader:
    """So many images at once, for ever, by so many processes."""
    sampler = RandomSampler(images, replacement=True, num_samples=FOREVER)
    # A fork of a process in which TensorFlow has threads may hang.
    return DataLoader(
        images,
        batch,
        sampler=sampler,
        num_workers=workers,
        multiprocessing_context="spawn",
    )
