"""Losses between the logits of teacher and student, one method a file.

The first of them, Hinton's soft targets, stands with their base in `losses`."""

from compression.distillation.losses.logits.class_relations import (
    ClassRelations,
    class_relation_loss,
    inter_class_loss,
    intra_class_loss,
)
from compression.distillation.losses.logits.decoupled import (
    DecoupledSoftTargets,
    non_target_loss,
    target_loss,
)
from compression.distillation.losses.logits.regression import (
    LogitRegression,
    logit_regression_loss,
)
from compression.distillation.losses.logits.standardized import (
    StandardizedSoftTargets,
    standardized_soft_target_loss,
)

__all__ = [
    "ClassRelations",
    "DecoupledSoftTargets",
    "LogitRegression",
    "StandardizedSoftTargets",
    "class_relation_loss",
    "inter_class_loss",
    "intra_class_loss",
    "logit_regression_loss",
    "non_target_loss",
    "standardized_soft_target_loss",
    "target_loss",
]
