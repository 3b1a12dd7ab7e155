"""Section 3 of "Distilling the Knowledge in a Neural Network", again.

Hinton, Vinyals, Dean (2015), https://arxiv.org/abs/1503.02531.

    limbeck reproduce hinton2015

A large net teaches smaller ones on MNIST: one that knows all digits, narrow ones at
several temperatures, and two whose transfer sets lack digits. Only the teacher sees
jittered images, and students see no labels: all that they know of a digit that they
were not shown comes from the teacher's soft targets. Beside the paper's transfer set,
the images as they are, stands a jittered one, and a student of it that has no teacher:
what does the jitter do by itself? What the paper leaves open (epochs, rates, dropout,
the bound on the weights) follows trials on the validation split, of a seed that is not
reported. The paper's figures stand in `tables.py` beside this file.
"""

from experiments.data.augment import Augment
from experiments.recipe import Recipe
from experiments.stages.base import Export
from experiments.stages.correct_bias import CorrectBias
from experiments.stages.distill import Distill
from experiments.stages.net import Net
from experiments.stages.teaching import Teaching
from experiments.stages.train import Train
from experiments.training.settings import Training

TEACHER = Net("mlp_1200", {"dropout": 0.3, "input_dropout": 0.1, "max_norm": 3.0})
STUDENT = Net("mlp_800")
NARROW = Net("mlp", {"widths": (30, 30), "name": "mlp_30"})
TEMPERATURES = (1, 2, 3, 4, 8, 20)  # of the narrow students
NO_3 = (0, 1, 2, 4, 5, 6, 7, 8, 9)
EXPORTS = (Export("litert"),)


JITTER = Augment(pad=2)


def _training(epochs: int, **options) -> Training:
    return Training(epochs, optimizer="adam", **{"batch_size": 256, **options})


# Where processors multiply in bfloat16, wide nets train in half the time.
WIDE = {"precision": "measure"}
NARROW_TRAINING = _training(60, learning_rate=2e-3)
# Validation has the classes that are lacking: the best epoch would know of them.
LACKING = _training(100, keep="last", **WIDE)
LONG = _training(200, keep="last", **WIDE)


def _soft(temperature: float, views: int = 1) -> Teaching:
    """Soft targets alone; one view is the images as they are."""
    return Teaching(
        "teacher", float(temperature), soft_weight=1.0, label_weight=0.0, views=views
    )


def _distill(name, net, training, temperature=20, **options) -> Distill:
    teaching = _soft(temperature)
    return Distill(name, net, training, teaching, exports=EXPORTS, **options)


RECIPE = Recipe(
    name="hinton2015",
    data="mnist",
    stages=(
        Train(
            "teacher",
            TEACHER,
            _training(100, batch_size=512, learning_rate=1.5e-3, **WIDE),
            exports=EXPORTS,
            augment=JITTER,
        ),
        Train("student", STUDENT, _training(12), exports=EXPORTS),
        Train(
            "student_jittered",
            STUDENT,
            _training(100, **WIDE),
            exports=EXPORTS,
            augment=JITTER,
        ),
        _distill("distill", STUDENT, _training(100, **WIDE)),
        Distill(
            "distill_jittered",
            STUDENT,
            _training(100, **WIDE),
            _soft(20, views=8),
            exports=EXPORTS,
            augment=JITTER,
        ),
        Train("units30", NARROW, NARROW_TRAINING, exports=EXPORTS),
        *(
            _distill(f"units30_t{temperature}", NARROW, NARROW_TRAINING, temperature)
            for temperature in TEMPERATURES
        ),
        _distill("without_3", STUDENT, LACKING, classes=NO_3),
        CorrectBias("without_3_bias", "without_3", (3,), exports=EXPORTS),
        _distill("only_7_8", STUDENT, LONG, classes=(7, 8)),
        CorrectBias("only_7_8_bias", "only_7_8", (7, 8), exports=EXPORTS),
    ),
)
