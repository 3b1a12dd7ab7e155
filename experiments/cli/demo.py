"""`limbeck demo`: the main job, on data of one's choice."""

import dataclasses

from experiments.cli.options import (
    DATA_HELP,
    add_image_size,
    add_normalisation,
    add_run_options,
    add_skip_bad_images,
    start_training,
)
from experiments.cli.running import run_recipe

EXAMPLES = """
limbeck demo                        # 5,000 real digits, a few minutes
limbeck demo --smoke --out runs/trial  # does everything run?
limbeck demo --data cifar10 --seeds 3  # mean and standard deviation
limbeck demo --data folder:photos --image-size 64 --skip-bad-images
limbeck demo --set teacher.training.epochs=30 --out runs/longer
"""


def add(commands):
    command = commands.add_parser(
        "demo",
        help="the main job: teacher, distilled and pruned students, int8, report",
        description="A ResNet teaches a small AlexNet-style student, which then "
        "loses weights or channels and is quantized; every stage is exported and "
        "measured. Run it again to go on where it was stopped.",
        examples=EXAMPLES,
    )
    command.add_argument("--data", metavar="NAME", help=f"{DATA_HELP} (mnist5k)")
    add_image_size(command)
    add_normalisation(command)
    add_skip_bad_images(command)
    add_run_options(command, seeds=1)
    command.set_defaults(run=run)


def run(options):
    start_training(options)
    from experiments.recipes.demo.recipe import RECIPE

    recipe = dataclasses.replace(
        RECIPE,
        data=options.data or RECIPE.data,
        image_size=options.image_size,
        normalisation=options.normalisation,
        skip_bad_images=options.skip_bad_images,
    )
    run_recipe(recipe, options, words=())
