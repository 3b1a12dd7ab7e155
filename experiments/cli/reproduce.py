"""`limbeck reproduce`: a published experiment, run again beside the paper's figures."""

from compression.nearest import did_you_mean
from experiments.cli.options import add_run_options, start_training
from experiments.cli.running import run_recipe

EXAMPLES = """
limbeck reproduce                   # which experiments there are
limbeck reproduce hinton2015        # needs MNIST, see TFDS_DATA_DIR
limbeck reproduce hinton2015 --smoke --seeds 1 --set data=mnist5k
limbeck reproduce hinton2015 --prepare  # the folder alone, for limbeck work
limbeck reproduce distill_methods --full  # the long setting, for a GPU
"""


def add(commands):
    command = commands.add_parser(
        "reproduce",
        help="a published experiment, run again, beside the paper's figures",
        description="Without NAME: which experiments there are. Run it again to go on "
        "where it was stopped.",
        examples=EXAMPLES,
    )
    command.add_argument("name", metavar="NAME", nargs="?", help="such as hinton2015")
    command.add_argument(
        "--full", action="store_true", help="the full-length setting, for a GPU"
    )
    add_run_options(command, seeds=3)
    command.set_defaults(run=run)


def run(options):
    from experiments import recipes

    if options.name is None:
        for name in recipes.REPRODUCIBLE:
            print(f"{name:<16} {recipes.title(name)}")
        return
    if options.name not in recipes.REPRODUCIBLE:
        raise ValueError(
            f"no published experiment called {options.name!r}"
            f"{did_you_mean(options.name, recipes.REPRODUCIBLE)}; choose from "
            f"{', '.join(recipes.REPRODUCIBLE)}"
        )
    start_training(options)
    module = recipes.recipe_module(options.name)
    recipe = getattr(module, "FULL", None) if options.full else module.RECIPE
    if recipe is None:
        raise ValueError(f"{options.name} has no longer setting than its ordinary one")
    run_recipe(recipe, options)
