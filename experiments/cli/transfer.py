"""`limbeck transfer`: a net that learned other images learns these."""

import dataclasses

from experiments.cli import model_names, small_recipe
from experiments.cli.options import number_or_share, start_training
from experiments.cli.running import run_recipe

EXAMPLES = """
limbeck transfer net.keras --data folder:photos
limbeck transfer keras.applications:MobileNetV2 --data folder:photos
limbeck transfer runs/mine:pretrain --data csv:list.csv --labels 50
limbeck transfer 'resnet18(weights="published")' --data folder:photos
limbeck transfer runs/mine:train[seed2] --data npz:images.npz --unfreeze head
"""
EPOCHS = 10
SETTINGS = {"learning_rate": 5e-4, "weight_decay": 0.01, "warmup_epochs": 1}
UNFREEZE = ("all", "head", "staged")


def add(commands):
    command = commands.add_parser(
        "transfer",
        help="a net that learned other images learns these",
        description="The head of the net is taken off and a new one put on for the "
        "classes of the data. A net of keras.applications begins with ImageNet's "
        "weights, which Keras fetches. All of it is trained: AdamW, 64 images a step, "
        "a cosine from 0.0005, weight decay 0.01. Slower, the farther from the head: "
        "--set transfer.rate_decay=2.6. Run it again to go on where it was stopped.",
        examples=EXAMPLES,
    )
    command.add_argument("net", metavar="NET", help=model_names.HELP)
    command.add_argument(
        "--unfreeze",
        choices=UNFREEZE,
        metavar="PART",
        default="all",
        help="what learns: all; head, the new one alone; staged, from it down (all)",
    )
    command.add_argument(
        "--labels",
        metavar="N",
        type=number_or_share,
        help="learn from so many train images only, or below 1 from that share of "
        "them, chosen by the seed (all)",
    )
    small_recipe.add_options(command, epochs=EPOCHS)
    command.set_defaults(run=run)


def run(options):
    start_training(options)
    from experiments.stages.application import Application
    from experiments.stages.file import File
    from experiments.stages.transfer import Transfer
    from experiments.training.settings import Training

    net = model_names.start(options.net)
    if isinstance(net, Application):  # nobody means random ones
        net = dataclasses.replace(net, weights="imagenet")
    if not isinstance(net, File) and net.weights is None:
        raise ValueError(
            f"{options.net} has learned nothing that could be transferred: give a "
            ".keras file, RUN:STAGE, or its published weights, as in resnet20(weights="
            '"published"); limbeck train begins from random weights'
        )
    stage = Transfer(
        "transfer",
        net,
        Training(epochs=options.epochs, **SETTINGS),
        unfreeze=options.unfreeze,
        labels=options.labels,
    )
    recipe = small_recipe.made(
        "transfer", [stage], options, like=net, same_classes=False
    )
    run_recipe(recipe, options, words=[model_names.in_paths(options.net)])
