"""`limbeck train`: a net learns from labelled images."""

from experiments.cli import model_names, small_recipe
from experiments.cli.options import start_training
from experiments.cli.running import run_recipe

EXAMPLES = """
limbeck train resnet20 --data mnist5k
limbeck train "alexnet_small(width=0.125)" --data cifar10 --seeds 3
limbeck train keras.applications:MobileNetV2 --data folder:photos
limbeck train net.keras --data npz:images.npz --epochs 5  # goes on from it
limbeck train lenet5 --data mnist --set train.training.learning_rate=3e-3
"""
EPOCHS = 20
# Of all verbs that train a net from random weights; AdamW with a cosine to zero.
USUAL = {"learning_rate": 1e-3, "weight_decay": 0.05, "warmup_epochs": 1}


def add(commands):
    command = commands.add_parser(
        "train",
        help="train a net on labelled images",
        description="AdamW, 64 images a step, a learning rate that rises to 0.001 in "
        "the first epoch and falls to zero along a cosine, weight decay 0.05; images "
        "are shifted, or from 96 px on cut at random, and mirrored where that keeps "
        "the label. The epoch that is best on validation is kept, exported and "
        "measured on test. Run it again to go on where it was stopped.",
        examples=EXAMPLES,
    )
    command.add_argument("net", metavar="NET", help=model_names.HELP)
    small_recipe.add_options(command, epochs=EPOCHS)
    command.set_defaults(run=run)


def run(options):
    start_training(options)
    from experiments.stages.train import Train
    from experiments.training.settings import Training

    net = model_names.start(options.net)
    training = Training(epochs=options.epochs, **USUAL)
    stages = [Train("train", net, training)]
    recipe = small_recipe.made("train", stages, options, like=net)
    run_recipe(recipe, options, words=[model_names.in_paths(options.net)])
