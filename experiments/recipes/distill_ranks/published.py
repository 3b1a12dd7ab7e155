"""What Tian et al. found on CIFAR-100: quoted, to be set beside our ranks.

Tian, Krishnan, Isola, "Contrastive Representation Distillation" (ICLR 2020),
https://arxiv.org/abs/1910.10699, table 1: ResNet-56 -> ResNet-20, VGG-13 -> VGG-8.
"""

PAIRS = "ResNet-56 → 20", "VGG-13 → 8"
ALONE = 69.06, 70.36  # top-1 in percent
TOP1 = {
    "soft_targets": (70.66, 72.98),
    "hints": (69.21, 71.02),
    "attention": (70.55, 71.43),
    "similarity": (69.67, 72.68),
    "congruence": (69.63, 70.71),
    "variational": (70.38, 71.23),
    "relational": (69.61, 71.48),
    "probabilistic": (70.34, 72.88),
    "boundaries": (69.47, 70.94),
    "factors": (69.84, 70.58),
    "flow": (69.95, 70.23),
    "selectivity": (69.60, 71.53),
    "contrast": (71.16, 73.94),
}


def gains(method: str) -> tuple[float, ...] | None:
    """Points over labels alone, of each pair; None where the paper has none."""
    if method not in TOP1:
        return None
    return tuple(a - b for a, b in zip(TOP1[method], ALONE, strict=True))
