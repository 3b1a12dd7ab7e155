"""In how few bytes LeNet-300-100 and Caffe's LeNet-5 know MNIST.

    limbeck reproduce han2016           # two CPU cores
    limbeck reproduce han2016 --full    # for a GPU

Han, Mao, Dally (2016), "Deep Compression", https://arxiv.org/abs/1510.00149, prune,
share weights and code them. Their steps stand first: `dense`, `pruned` (twelvefold),
`shared` (6 bits; LeNet-5: 8 in convolutions, 5 in dense layers). Then what came later:

- `sparse`, `sparse_tuned`: variational dropout finds the zeros (Molchanov et al. 2017,
  https://arxiv.org/abs/1701.05369), and the net is trained on with them;
- `taught`, `taught_tuned`: likewise, but on jittered images, with soft targets of a
  LeNet-5 that was trained on such images;
- `rounded`: a net's weights become whole multiples of a step for each array, as coarse
  as a bound on validation accuracy allows.

Every net of `shared` and `rounded` is a .limbeck file, entropy-coded. Epochs and the
weights of penalties were chosen on the validation split with seed 100, which is not
reported.
"""

from dataclasses import dataclass, replace
from typing import Any

from experiments.data.augment import Augment
from experiments.recipe import Recipe
from experiments.stages.base import Export
from experiments.stages.cluster import Cluster
from experiments.stages.learn_sparsity import LearnSparsity
from experiments.stages.net import Net
from experiments.stages.prune import Prune
from experiments.stages.rate_distortion import RateDistortion
from experiments.stages.teaching import Teaching
from experiments.stages.train import Train
from experiments.training.settings import Training

LITERT = (Export("litert"),)
BOTH = (*LITERT, Export("archive"))
JITTER = Augment(pad=2)
TEACHING = Teaching(
    "teacher", temperature=4.0, soft_weight=0.9, label_weight=0.1, views=8
)
DROPS = {"0": 0.0, "1": 0.1, "3": 0.3, "6": 0.6}  # points of validation accuracy


@dataclass(frozen=True)
class Lengths:
    """Epochs of each kind of stage."""

    dense: int
    pruned: int
    shared: int
    learnt: int
    warmup: int
    tuned: int


@dataclass(frozen=True)
class Plan:
    """What is done with one net.

    Attributes:
        net: its name.
        lengths: epochs.
        weight: of the penalty of variational dropout, from labels and when taught.
        clusters: values of a kernel.
        targets: others, by patterns of layers' names.
        decay: of the weights, while the net is trained dense and pruned.
    """

    net: str
    lengths: Lengths
    weight: tuple[float, float]
    clusters: int
    targets: dict[str, int]
    decay: tuple[float, float] = (0.0, 0.0)


FC = Plan(
    "lenet_300_100",
    Lengths(dense=10, pruned=8, shared=4, learnt=50, warmup=20, tuned=20),
    weight=(4.0, 12.0),
    clusters=64,
    targets={},
)
CONV = Plan(
    "lenet5_caffe",
    Lengths(dense=5, pruned=4, shared=3, learnt=18, warmup=8, tuned=8),
    weight=(4.0, 16.0),
    clusters=32,
    targets={"conv*": 256},
    decay=(1.0, 0.1),
)


def _training(epochs: int, learning_rate: float = 2e-3, **options: Any) -> Training:
    return Training(
        epochs,
        batch_size=128,
        optimizer="adamw",
        learning_rate=learning_rate,
        **options,
    )


def _stages(prefix: str, plan: Plan) -> list:
    lengths = plan.lengths
    dense, pruned = f"{prefix}_dense", f"{prefix}_pruned"
    made = [
        Train(
            dense,
            Net(plan.net),
            _training(lengths.dense, weight_decay=plan.decay[0]),
            exports=BOTH,
        ),
        Prune(
            pruned,
            dense,
            _training(lengths.pruned, 3e-3, weight_decay=plan.decay[1]),
            sparsity=1 - 1 / 12,
            until=0.4,
            exports=BOTH,
        ),
        Cluster(
            f"{prefix}_shared",
            pruned,
            _training(lengths.shared, 1e-4),
            clusters=plan.clusters,
            targets=plan.targets,
            exports=BOTH,
        ),
        RateDistortion(f"{pruned}_rounded_1", pruned, max_drop=DROPS["1"]),
    ]
    for name, weight, lesson in (
        ("sparse", plan.weight[0], {}),
        ("taught", plan.weight[1], {"teaching": TEACHING, "augment": JITTER}),
    ):
        learnt, tuned = f"{prefix}_{name}", f"{prefix}_{name}_tuned"
        made += [
            LearnSparsity(
                learnt,
                dense,
                _training(lengths.learnt, 3e-3),
                weight=weight,
                warmup=lengths.warmup,
                rate=2.0,
                options={"initial_log_variance": -6.0},
                exports=LITERT,
                **lesson,
            ),
            Train(
                tuned,
                learnt,
                _training(lengths.tuned),
                keep_zeros=True,
                exports=LITERT,
                **lesson,
            ),
            *(
                RateDistortion(
                    f"{prefix}_{name}_rounded_{drop}", tuned, max_drop=points
                )
                for drop, points in DROPS.items()
            ),
        ]
    return made


def _recipe(name: str, teacher: int, *plans: Plan) -> Recipe:
    first = Train(
        "teacher",
        Net("lenet5_caffe"),
        _training(teacher, weight_decay=0.01),
        augment=JITTER,
        exports=LITERT,
    )
    stages = [
        stage
        for prefix, plan in zip(("fc", "conv"), plans, strict=True)
        for stage in _stages(prefix, plan)
    ]
    return Recipe(name=name, data="mnist", stages=(first, *stages))


def _longer(plan: Plan) -> Plan:
    lengths = Lengths(dense=40, pruned=40, shared=20, learnt=200, warmup=80, tuned=40)
    return replace(plan, lengths=lengths)


RECIPE = _recipe("han2016", 12, FC, CONV)
FULL = _recipe("han2016_full", 40, _longer(FC), _longer(CONV))
