"""Distillation: a student learns from a teacher's outputs as well as from labels."""

from compression.distillation.bias_shift import best_bias_shift, shift_bias
from compression.distillation.distiller import Distiller
from compression.distillation.ensemble import ensemble
from compression.distillation.generations import generations
from compression.distillation.losses.batch import Batch
from compression.distillation.losses.feature_loss import FeatureLoss
from compression.distillation.losses.features import (
    ActivationBoundaries,
    AttentionTransfer,
    ContrastiveRepresentation,
    CorrelationCongruence,
    FactorTransfer,
    FlowOfSolution,
    Hints,
    KnowledgeReview,
    NeuronSelectivity,
    OverhaulFeatures,
    OwnDepth,
    ProbabilisticTransfer,
    RelationalAngle,
    RelationalDistance,
    SimilarityPreserving,
    SingularVectors,
    VariationalInformation,
)
from compression.distillation.losses.logits import (
    ClassRelations,
    DecoupledSoftTargets,
    LogitRegression,
    StandardizedSoftTargets,
)
from compression.distillation.losses.logits.soft_targets import (
    LogitLoss,
    SoftTargets,
    soft_target_loss,
)
from compression.distillation.mutual import MutualDistiller
from compression.distillation.taps import stages, tap
from compression.distillation.teacher import (
    Renormalise,
    heard_by,
    teacher_outputs,
)
from compression.distillation.teacher_cache import (
    CachedOutputs,
    Views,
    cached_outputs,
    teacher_logits,
)

__all__ = [
    "ActivationBoundaries",
    "AttentionTransfer",
    "Batch",
    "CachedOutputs",
    "ClassRelations",
    "ContrastiveRepresentation",
    "CorrelationCongruence",
    "DecoupledSoftTargets",
    "Distiller",
    "FactorTransfer",
    "FeatureLoss",
    "FlowOfSolution",
    "Hints",
    "KnowledgeReview",
    "LogitLoss",
    "LogitRegression",
    "MutualDistiller",
    "NeuronSelectivity",
    "OverhaulFeatures",
    "OwnDepth",
    "ProbabilisticTransfer",
    "RelationalAngle",
    "RelationalDistance",
    "Renormalise",
    "SimilarityPreserving",
    "SingularVectors",
    "SoftTargets",
    "StandardizedSoftTargets",
    "VariationalInformation",
    "Views",
    "best_bias_shift",
    "cached_outputs",
    "ensemble",
    "generations",
    "heard_by",
    "shift_bias",
    "soft_target_loss",
    "stages",
    "tap",
    "teacher_logits",
    "teacher_outputs",
]
