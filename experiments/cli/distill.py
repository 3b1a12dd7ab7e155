"""`limbeck distill`: a student learns from a teacher."""

import sys
from dataclasses import replace
from pathlib import Path

from experiments.cli import model_names, small_recipe
from experiments.cli.options import positive, start_training
from experiments.cli.running import run_recipe
from experiments.cli.train import EPOCHS, USUAL

EXAMPLES = """
limbeck distill --teacher net.keras --student resnet20 --data folder:photos
limbeck distill --teacher resnet56 --student resnet20 --data cifar10 --alone
limbeck distill --teacher runs/a:train --student mlp --data mnist5k --trials 5
"""
QUARTER = 4  # of the epochs, in a trial


def add(commands):
    command = commands.add_parser(
        "distill",
        help="a student learns from a teacher",
        description="A teacher that comes in a file, or from a run, teaches as it is; "
        "a net by name is trained first. The student learns from its soft targets "
        "(temperature 4, weight 0.9) and from the labels (0.1), with the settings of "
        "limbeck train. What the teacher answers for 8 views of each image is computed "
        "once. Both are exported and measured. Run it again to go on where it was "
        "stopped.",
        examples=EXAMPLES,
    )
    command.add_argument(
        "--teacher", metavar="MODEL", required=True, help=model_names.HELP
    )
    command.add_argument(
        "--student", metavar="MODEL", required=True, help="likewise, to be trained"
    )
    command.add_argument(
        "--alone",
        action="store_true",
        help="train the student without its teacher, too, to compare",
    )
    command.add_argument(
        "--trials",
        type=positive,
        metavar="N",
        help="choose by validation images how much the teacher's loss weighs: N "
        "trainings of a quarter of the epochs first",
    )
    small_recipe.add_options(command, epochs=EPOCHS)
    command.set_defaults(run=run)


def run(options):
    start_training(options)
    from experiments.stages.choose_weight import ChooseWeight
    from experiments.stages.distill import Distill
    from experiments.stages.file import File
    from experiments.stages.load import Load
    from experiments.stages.teaching import Teaching
    from experiments.stages.train import Train
    from experiments.training.settings import Training

    teacher = model_names.start(options.teacher)
    student = model_names.start(options.student)
    training = Training(epochs=options.epochs, **USUAL)
    stages = [
        Load("teacher", teacher, once=True)
        if isinstance(teacher, File)
        else Train("teacher", teacher, training)
    ]
    if options.alone:
        stages.append(Train("student", student, training))
    teaching = Teaching("teacher")
    if options.trials:
        trial = replace(training, epochs=max(1, options.epochs // QUARTER))
        stages.append(
            ChooseWeight("weight", student, trial, teaching, trials=options.trials)
        )
        teaching = replace(teaching, weighed_by="weight")
    stages.append(Distill("distill", student, training, teaching))
    recipe = small_recipe.made("distill", stages, options, like=teacher, must_know=True)
    _check_pixels(student, recipe.normalisation, options)
    words = map(model_names.in_paths, (options.teacher, options.student))
    run_recipe(recipe, options, words=list(words))


def _check_pixels(student, given, options):
    """Does the student want the pixels that it is given, which are its teacher's?

    Raises:
        ValueError: it scales pixels itself that are scaled already.
    """
    from experiments.data.normalisation import AS_STORED, are_alike, in_words

    itself, wants, way_out = _own_pixels(student)
    pixels = f"pixels normalised as {in_words(given)}, as its teacher does"
    what = f"the student {options.student}"
    if wants is None:
        if are_alike(given, AS_STORED):
            _warn(
                f"{what} is given pixels from 0 to 255, as its teacher, which scales "
                "them itself, and has no such layer: keras.layers.Rescaling(1 / 255) "
                "in front of it may help"
            )
        return
    if are_alike(wants, given):
        return
    if not itself:
        _warn(
            f"{what} has learned from pixels normalised as {in_words(wants)}, and is "
            f"given {pixels}: it may begin as if it knew nothing"
        )
        return
    twice = f"{what} takes pixels of {wants} and scales them itself, and is given "
    twice += f"{pixels}: they would be scaled twice; {way_out}"
    if options.normalisation is None:
        raise ValueError(twice)
    _warn(twice)  # it was asked for


def _own_pixels(student):
    """Whether a net scales pixels itself, which it wants or None, and a way without."""
    from compression import export
    from experiments import deployment
    from experiments.data import normalisation
    from experiments.stages.application import Application
    from experiments.stages.file import File

    if not isinstance(student, File):
        itself = isinstance(student, Application) and student.weights is None
        way_out = f"give it as {model_names.APPLICATIONS}{student.name}"
        return itself, student.normalisation, f"{way_out}(include_preprocessing=False)"
    wants, reason = normalisation.of_graph(export.load_model(student.path))
    if wants is not None:
        return True, wants, f"save it without what does that ({reason})"
    known = deployment.of_file(Path(student.path))
    return False, known and (known.mean, known.std), ""


def _warn(text):
    print(f"limbeck: warning: {text}", file=sys.stderr)
