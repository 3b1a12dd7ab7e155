"""Table 6 of "Deep Residual Learning for Image Recognition", on CIFAR-10 as JPEG.

He et al. (2016), https://arxiv.org/abs/1512.03385, section 4.2.

    limbeck reproduce he2016                 # two CPU cores, under an hour
    limbeck reproduce he2016 --full          # the paper's 164 epochs: for a GPU

Four nets have weights that others trained by the paper's recipe and published; they are
only measured. ResNet-20 is also trained here, by the paper's recipe (SGD with momentum
0.9 from 0.1, a tenth of it after half and after three quarters of the training, weight
decay 1e-4, batches of 128, crops from 4 pixels of padding, flips) but for its length.
"""

from experiments.recipe import Recipe
from experiments.recipes.on_cifar10 import on_cifar10
from experiments.stages.base import Export
from experiments.stages.load import Load
from experiments.stages.net import Net
from experiments.stages.train import Train
from experiments.training.settings import Training

LITERT = (Export("litert"),)
PUBLISHED = ("resnet20", "resnet32", "resnet44", "resnet56")


def _recipe(name: str, epochs: int) -> Recipe:
    return on_cifar10(
        name,
        (
            *(
                Load(net, Net(net, weights="published"), exports=LITERT, once=True)
                for net in PUBLISHED
            ),
            Train(
                "trained",
                Net("resnet20"),
                Training(
                    epochs=epochs,
                    batch_size=128,
                    optimizer="sgd",
                    learning_rate=0.1,
                    weight_decay=1e-4,
                    schedule="step",
                ),
                exports=LITERT,
            ),
        ),
    )


RECIPE = _recipe("he2016", epochs=12)
FULL = _recipe("he2016_full", epochs=164)
