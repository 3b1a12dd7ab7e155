"""`limbeck pretrain`: a net learns from images, with or without their labels."""

import dataclasses

from experiments.cli import model_names, small_recipe
from experiments.cli.options import start_training
from experiments.cli.running import run_recipe

EXAMPLES = """
limbeck pretrain resnet20 --data cifar10 --method simclr
limbeck pretrain resnet20 --data unlabelled:photos --image-size 64
limbeck pretrain lenet5_caffe --data mnist5k --method autoencoder
limbeck pretrain resnet20 --data cifar10 --method supervised
"""
EPOCHS = 20
SETTINGS = {
    "batch_size": 128,
    "learning_rate": 2e-3,
    "weight_decay": 0.01,
    "warmup_epochs": 1,
}
METHODS = ("rotation", "simclr", "autoencoder", "supervised")
JITTER = 0.4  # SimCLR, section 3: without strong changes views have too much in common


def add(commands):
    command = commands.add_parser(
        "pretrain",
        help="a net learns from images, for limbeck transfer to go on from",
        description="What is learned: how far an image was turned (rotation, Gidaris "
        "2018), which views are of one image (simclr, Chen 2020), to draw the image "
        "again (autoencoder), all without labels, so that --data unlabelled:PATH will "
        "do, any folder of images; or the labels (supervised). AdamW, "
        "128 images a step, a cosine from 0.002, weight decay 0.01. Of a net that has "
        "seen no labels, a linear probe is measured where the data have some. Go on "
        "with limbeck transfer RUN:pretrain.",
        examples=EXAMPLES,
    )
    command.add_argument("net", metavar="NET", help=model_names.HELP)
    command.add_argument(
        "--method",
        choices=METHODS,
        metavar="METHOD",
        default="rotation",
        help=f"{', '.join(METHODS)} (rotation)",
    )
    small_recipe.add_options(command, epochs=EPOCHS)
    command.set_defaults(run=run)


def run(options):
    start_training(options)
    net = model_names.start(options.net)
    stages = _stages(options, net)
    recipe = small_recipe.made("pretrain", stages, options, like=net)
    words = [options.method, model_names.in_paths(options.net)]
    run_recipe(recipe, options, words=words)


def _stages(options, net):
    from experiments.data.augment import Augment
    from experiments.stages.pretrain import Pretrain
    from experiments.stages.probe import Probe
    from experiments.stages.tasks import Autoencoder, Rotation, SimCLR
    from experiments.stages.train import Train
    from experiments.training.settings import Training

    training = Training(epochs=options.epochs, **SETTINGS)
    if options.method == "supervised":
        return [Train("pretrain", net, training)]
    tasks = {"rotation": Rotation, "simclr": SimCLR, "autoencoder": Autoencoder}
    stage = Pretrain("pretrain", net, training, task=tasks[options.method]())
    if options.method == "simclr":
        strong = Augment(random_resized_crop=True, colour_jitter=JITTER)
        stage = dataclasses.replace(stage, augment=strong)
    if "unlabelled:" in options.data.partition("/")[0]:  # grey:unlabelled:photos, too
        return [stage]
    return [stage, Probe("probe", "pretrain")]
