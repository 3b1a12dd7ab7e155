"""Distillation: a student learns from a teacher's outputs as well as from labels."""

from compression.distillation.bias_shift import best_bias_shift, shift_bias
from compression.distillation.distiller import Distiller, check_parts
from compression.distillation.ensemble import ensemble
from compression.distillation.generations import generations
from compression.distillation.losses.base import DistillationLoss
from compression.distillation.losses.batch import Batch
from compression.distillation.losses.feature_loss import FeatureLoss
from compression.distillation.losses.features.attention import AttentionTransfer
from compression.distillation.losses.features.boundaries import ActivationBoundaries
from compression.distillation.losses.features.congruence import CorrelationCongruence
from compression.distillation.losses.features.contrast import ContrastiveRepresentation
from compression.distillation.losses.features.factors import FactorTransfer
from compression.distillation.losses.features.flow import FlowOfSolution
from compression.distillation.losses.features.hints import Hints
from compression.distillation.losses.features.overhaul import OverhaulFeatures
from compression.distillation.losses.features.own_depth import OwnDepth
from compression.distillation.losses.features.probabilistic import ProbabilisticTransfer
from compression.distillation.losses.features.relational import (
    RelationalAngle,
    RelationalDistance,
)
from compression.distillation.losses.features.review import KnowledgeReview
from compression.distillation.losses.features.selectivity import NeuronSelectivity
from compression.distillation.losses.features.similarity import SimilarityPreserving
from compression.distillation.losses.features.singular_vectors import SingularVectors
from compression.distillation.losses.features.variational import VariationalInformation
from compression.distillation.losses.logit_loss import LogitLoss
from compression.distillation.losses.logits.class_relations import ClassRelations
from compression.distillation.losses.logits.decoupled import DecoupledSoftTargets
from compression.distillation.losses.logits.regression import LogitRegression
from compression.distillation.losses.logits.soft_targets import (
    SoftTargets,
    soft_target_loss,
)
from compression.distillation.losses.logits.standardized import StandardizedSoftTargets
from compression.distillation.mutual import MutualDistiller
from compression.distillation.taps import stages, tap
from compression.distillation.teacher import (
    Renormalise,
    teacher_features,
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
    "DistillationLoss",
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
    "check_parts",
    "ensemble",
    "generations",
    "shift_bias",
    "soft_target_loss",
    "stages",
    "tap",
    "teacher_features",
    "teacher_logits",
    "teacher_outputs",
]
