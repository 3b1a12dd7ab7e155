"""Losses between features inside teacher and student, one method a file."""

from compression.distillation.losses.features.attention import (
    AttentionTransfer,
    attention_loss,
)
from compression.distillation.losses.features.boundaries import (
    ActivationBoundaries,
    boundary_loss,
)
from compression.distillation.losses.features.congruence import (
    CorrelationCongruence,
    congruence_loss,
)
from compression.distillation.losses.features.contrast import (
    ContrastiveRepresentation,
    contrast_loss,
)
from compression.distillation.losses.features.factors import FactorTransfer, factor_loss
from compression.distillation.losses.features.flow import FlowOfSolution, flow_loss
from compression.distillation.losses.features.hints import Hints, hint_loss
from compression.distillation.losses.features.overhaul import (
    OverhaulFeatures,
    partial_loss,
)
from compression.distillation.losses.features.own_depth import OwnDepth
from compression.distillation.losses.features.probabilistic import (
    ProbabilisticTransfer,
    probabilistic_transfer_loss,
)
from compression.distillation.losses.features.relational import (
    RelationalAngle,
    RelationalDistance,
    angle_loss,
    distance_loss,
)
from compression.distillation.losses.features.review import (
    KnowledgeReview,
    context_loss,
)
from compression.distillation.losses.features.selectivity import (
    NeuronSelectivity,
    selectivity_loss,
)
from compression.distillation.losses.features.similarity import (
    SimilarityPreserving,
    similarity_loss,
)
from compression.distillation.losses.features.singular_vectors import (
    SingularVectors,
    relation_loss,
)
from compression.distillation.losses.features.variational import (
    VariationalInformation,
    gaussian_loss,
)

__all__ = [
    "ActivationBoundaries",
    "AttentionTransfer",
    "ContrastiveRepresentation",
    "CorrelationCongruence",
    "FactorTransfer",
    "FlowOfSolution",
    "Hints",
    "KnowledgeReview",
    "NeuronSelectivity",
    "OverhaulFeatures",
    "OwnDepth",
    "ProbabilisticTransfer",
    "RelationalAngle",
    "RelationalDistance",
    "SimilarityPreserving",
    "SingularVectors",
    "VariationalInformation",
    "angle_loss",
    "attention_loss",
    "boundary_loss",
    "congruence_loss",
    "context_loss",
    "contrast_loss",
    "distance_loss",
    "factor_loss",
    "flow_loss",
    "gaussian_loss",
    "hint_loss",
    "partial_loss",
    "probabilistic_transfer_loss",
    "relation_loss",
    "selectivity_loss",
    "similarity_loss",
]
