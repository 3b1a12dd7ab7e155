"""All losses of `compression.distillation`, each at its published weight.

A method is what multiplies the labels' loss, and the losses with their options, as
`experiments.stages.teaching.Teaching` takes them. Weights are those of the papers or,
where RepDistiller (https://github.com/HobbitLong/RepDistiller) compares the methods by
one protocol, its. Where a paper's loss is a sum and ours a mean, so that no published
weight fits (boundaries, overhaul, flow, singular vectors, regression), it is one which
makes the loss about as large as the labels' at the start.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Method(NamedTuple):
    """How a student is taught.

    Attributes:
        title: in words, with the paper.
        label_weight: factor of the labels' loss.
        parts: class of `compression.distillation` -> its options.
    """

    title: str
    label_weight: float
    parts: Mapping[str, Mapping[str, Any]]


def methods(stages: Sequence[str], channels: int) -> dict[str, Method]:
    """name -> method, for a pair of nets.

    Args:
        stages: two stages whose maps are compared, the deeper one last; of the student
            and of the teacher alike.
        channels: of ReviewKD's fused maps.
    """
    maps = {"teacher": list(stages), "student": list(stages)}
    last = {"teacher": stages[-1], "student": stages[-1]}
    embedding = {"teacher": "embedding", "student": "embedding"}
    every = {side: [*stages, "embedding"] for side in maps}
    return {
        "soft_targets": Method(
            "soft targets (Hinton 2015)",
            0.1,
            {"SoftTargets": {"temperature": 4.0, "weight": 0.9}},
        ),
        "standardized": Method(
            "standardised logits (Sun 2024)",
            0.1,
            {"StandardizedSoftTargets": {"temperature": 2.0, "weight": 9.0}},
        ),
        "decoupled": Method(
            "DKD (Zhao 2022)",
            1.0,
            {"DecoupledSoftTargets": {"temperature": 4.0, "non_target_weight": 8.0}},
        ),
        "class_relations": Method(
            "DIST (Huang 2022)", 1.0, {"ClassRelations": {"temperature": 4.0}}
        ),
        "regression": Method(
            "logit regression (Ba 2014)",
            0.0,
            {"LogitRegression": {"weight": 1.0}},
        ),
        "attention": Method(
            "attention transfer (Zagoruyko 2017)",
            1.0,
            {"AttentionTransfer": maps | {"weight": 1000.0}},
        ),
        "hints": Method(
            "FitNets hints, joint (Romero 2015)", 1.0, {"Hints": last | {"weight": 100}}
        ),
        "similarity": Method(
            "similarity preserving (Tung 2019)",
            1.0,
            {"SimilarityPreserving": last | {"weight": 3000.0}},
        ),
        "congruence": Method(
            "correlation congruence (Peng 2019)",
            1.0,
            {"CorrelationCongruence": embedding | {"weight": 0.02}},
        ),
        "variational": Method(
            "VID (Ahn 2019)", 1.0, {"VariationalInformation": maps | {"weight": 1.0}}
        ),
        "relational": Method(
            "RKD (Park 2019)",
            1.0,
            {
                "RelationalDistance": embedding | {"weight": 25.0},
                "RelationalAngle": embedding | {"weight": 50.0},
            },
        ),
        "probabilistic": Method(
            "PKT (Passalis 2018)",
            1.0,
            {"ProbabilisticTransfer": embedding | {"weight": 30000.0}},
        ),
        "boundaries": Method(
            "AB, joint (Heo 2019)",
            1.0,
            {"ActivationBoundaries": maps | {"weight": 1.0}},
        ),
        "factors": Method(
            "factor transfer, joint (Kim 2018)",
            1.0,
            {"FactorTransfer": last | {"weight": 200.0}},
        ),
        "flow": Method(
            "FSP, joint (Yim 2017)",
            1.0,
            {"FlowOfSolution": maps | {"weight": 1.0}},
        ),
        "selectivity": Method(
            "NST (Huang 2017)", 1.0, {"NeuronSelectivity": maps | {"weight": 25.0}}
        ),
        "contrast": Method(
            "CRD (Tian 2020)", 1.0, {"ContrastiveRepresentation": {"weight": 0.8}}
        ),
        "review": Method(
            "ReviewKD (Chen 2021)",
            1.0,
            {
                "KnowledgeReview": every
                | {"weight": 1.0, "average_teacher": True, "channels": channels}
            },
        ),
        "overhaul": Method(
            "overhaul of features (Heo 2019)",
            1.0,
            {"OverhaulFeatures": maps | {"weight": 1.0}},
        ),
        "singular_vectors": Method(
            "KD-SVD (Lee 2018)",
            1.0,
            {"SingularVectors": maps | {"weight": 1.0}},
        ),
        "own_depth": Method(
            "own depth, no teacher (Zhang 2019)",
            1.0,
            {"OwnDepth": {"student": list(stages), "weight": 1.0}},
        ),
    }
