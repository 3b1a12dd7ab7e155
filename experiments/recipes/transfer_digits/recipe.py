"""What MNIST is worth where there are few labels: a LeNet on scikit-learn's digits.

    limbeck reproduce transfer_digits

One net learns MNIST; it starts all transfers of all seeds. The digits (8x8 pixels of
other writers, another scanner) are enlarged to its 28 pixels. A seed chooses which
images are labelled, and all methods of that seed see the same ones. An epoch takes as
many steps with 10 labels as with all. Nothing was tuned: learning rate and epochs were
set once, the same for every method.
"""

from experiments.data.augment import Augment
from experiments.recipe import Recipe
from experiments.recipes import few_labels
from experiments.stages.base import Export
from experiments.stages.net import Net
from experiments.stages.train import Train
from experiments.stages.transfer import Transfer
from experiments.training.settings import Training

NET = Net("lenet5_caffe")
TRAINING = Training(epochs=15, batch_size=64, learning_rate=1e-3, weight_decay=0.01)
LITERT = (Export("litert"),)
BUDGETS = (10, 20, 50, 100, 500, None)

METHODS = {
    "scratch": lambda name, labels: Train(
        name, NET, TRAINING, labels=labels, exports=LITERT
    ),
    **{
        method: lambda name, labels, unfreeze=unfreeze: Transfer(
            name, "mnist", TRAINING, unfreeze=unfreeze, labels=labels, exports=LITERT
        )
        for method, unfreeze in (
            ("frozen", "head"),
            ("staged", "staged"),
            ("full", "all"),
        )
    },
}
RECIPE = Recipe(
    name="transfer_digits",
    data="digits",
    image_size=28,
    augment=Augment(pad=2),
    stages=(
        Train(
            "mnist",
            NET,
            Training(epochs=3, batch_size=128, learning_rate=1e-3, weight_decay=0.01),
            data="mnist",
            exports=(),
            once=True,
        ),
        *few_labels.stages(METHODS, BUDGETS),
    ),
)
