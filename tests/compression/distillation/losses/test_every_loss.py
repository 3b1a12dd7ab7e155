"""What holds for every loss of `compression.distillation`, of logits or features."""

import inspect

import keras
import pytest
from keras.optimizers.schedules import PolynomialDecay

from compression import distillation
from compression.distillation import DistillationLoss, FeatureLoss, LogitLoss

PAIRS = {"teacher": ["a", "b"], "student": ["c", "d"]}
OPTIONS = {
    distillation.ActivationBoundaries: PAIRS | {"margin": 0.5},
    distillation.AttentionTransfer: PAIRS,
    distillation.ClassRelations: {
        "temperature": 2.5,
        "inter_weight": 0.3,
        "intra_weight": 0.4,
    },
    distillation.ContrastiveRepresentation: {
        "teacher": ["stage3"],
        "student": ["fc"],
        "images": 9,
        "negatives": 7,
        "dimension": 6,
        "temperature": 0.2,
        "momentum": 0.1,
        "seed": 4,
    },
    distillation.CorrelationCongruence: PAIRS | {"sharpness": 0.7, "order": 3},
    distillation.DecoupledSoftTargets: {
        "temperature": 2.5,
        "target_weight": 0.3,
        "non_target_weight": 0.4,
    },
    distillation.FactorTransfer: PAIRS | {"rate": 0.75},
    distillation.FlowOfSolution: PAIRS,
    distillation.Hints: PAIRS,
    distillation.KnowledgeReview: PAIRS | {"channels": 2, "average_teacher": True},
    distillation.LogitRegression: {},
    distillation.NeuronSelectivity: PAIRS | {"kernel": "linear"},
    distillation.OverhaulFeatures: PAIRS,
    distillation.OwnDepth: {
        "student": ["a", "b"],
        "temperature": 2.0,
        "soft_weight": 0.4,
        "hint_weight": 0.1,
    },
    distillation.ProbabilisticTransfer: PAIRS,
    distillation.RelationalAngle: PAIRS,
    distillation.RelationalDistance: PAIRS,
    distillation.SimilarityPreserving: PAIRS,
    distillation.SingularVectors: PAIRS | {"vectors": 3},
    distillation.SoftTargets: {"temperature": 2.5},
    distillation.StandardizedSoftTargets: {"temperature": 2.5},
    distillation.VariationalInformation: PAIRS | {"initial_variance": 0.3},
}
RAMP = PolynomialDecay(0.0, 100, end_learning_rate=1.0)
EVERY = pytest.mark.parametrize("kind", OPTIONS)


def copied(loss):
    return keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(loss)
    )


def test_none_is_forgotten_here():
    public = [getattr(distillation, name) for name in distillation.__all__]
    kinds = {
        kind
        for kind in public
        if inspect.isclass(kind) and issubclass(kind, DistillationLoss)
    }
    assert kinds - {DistillationLoss, FeatureLoss, LogitLoss} == OPTIONS.keys()


@EVERY
def test_default_names_are_the_classes_in_snake_case(kind):
    words = "".join(f"_{c.lower()}" if c.isupper() else c for c in kind.__name__)
    assert kind(**OPTIONS[kind]).name == words.strip("_")


@EVERY
@pytest.mark.parametrize("weight", [0.7, RAMP])
def test_survives_serialisation(kind, weight):
    loss = kind(**OPTIONS[kind], weight=weight, name="mine")
    again = copied(loss)
    assert type(again) is kind
    assert again.get_config() == loss.get_config()
    assert again.get_config().items() >= (OPTIONS[kind] | {"name": "mine"}).items()
    assert set(vars(again)) == set(vars(loss))
    assert again.student_layers == loss.student_layers
    assert isinstance(again.weight, type(weight))


@pytest.mark.parametrize("kind", [k for k in OPTIONS if issubclass(k, LogitLoss)])
def test_numbers_of_logit_losses_may_be_schedules(kind):
    loss = kind(**dict.fromkeys(OPTIONS[kind], RAMP))
    again = copied(loss)
    assert again.get_config() == loss.get_config()
    for option in OPTIONS[kind]:
        assert isinstance(getattr(again, option), PolynomialDecay)


@EVERY
def test_weights_must_not_be_negative(kind):
    with pytest.raises(ValueError, match="weight must not be negative, got -0.5"):
        kind(**OPTIONS[kind], weight=-0.5)


@pytest.mark.parametrize("kind", [k for k, o in OPTIONS.items() if "teacher" in o])
def test_each_layer_of_the_teacher_has_one_of_the_student(kind):
    with pytest.raises(ValueError, match="as many student layers as teacher layers"):
        kind(**OPTIONS[kind] | {"teacher": ["a", "b"], "student": "c"})


def test_batch_norms_have_the_constants_of_the_papers_code():
    """PyTorch's: epsilon 1e-5, and 0.1 for the batch's share of the statistics."""
    shapes = [(None, 8, 8, 4), (None, 4, 4, 6)]
    own = [(None, 8, 8, 3), (None, 4, 4, 5)]
    found = []
    for kind in (
        distillation.ActivationBoundaries,
        distillation.KnowledgeReview,
        distillation.OverhaulFeatures,
    ):
        loss = kind(**OPTIONS[kind])
        loss.build(shapes, own)
        layers = loss._flatten_layers()
        norms = [x for x in layers if isinstance(x, keras.layers.BatchNormalization)]
        assert norms, kind
        found += norms
    assert {(norm.epsilon, norm.momentum) for norm in found} == {(1e-5, 0.9)}


@pytest.mark.parametrize(
    "shape", [(None, 4, 4, 400), (None, 400)], ids=["map", "vector"]
)
@pytest.mark.parametrize(
    "kind", [distillation.ActivationBoundaries, distillation.OverhaulFeatures]
)
def test_connectors_start_as_in_their_papers_code(kind, shape):
    """Normal, of variance 2 over the kernel's size (1) times the output's channels."""
    channels = 50
    loss = kind("a", "b")
    loss.build([(*shape[:-1], channels)], [shape])
    [regressor] = loss.regressors
    kernel = keras.ops.convert_to_numpy(regressor.project.kernel)
    assert kernel.size == 400 * channels
    assert kernel.std() == pytest.approx((2 / channels) ** 0.5, rel=0.03)
    assert kernel.mean() == pytest.approx(0, abs=0.01)
    # 4.6 % of a normal's numbers lie beyond two deviations; of a truncated one's none.
    assert (abs(kernel) > 2 * kernel.std()).mean() == pytest.approx(0.0455, abs=0.008)
    assert regressor.project.bias is None
    gamma, beta = map(
        keras.ops.convert_to_numpy, (regressor.norm.gamma, regressor.norm.beta)
    )
    assert (gamma == 1).all() and (beta == 0).all()
