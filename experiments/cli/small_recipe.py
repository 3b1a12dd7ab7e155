"""A recipe of one's own nets and data, as the verbs that train make it of words."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.cli.options import (
    DATA_HELP,
    add_image_size,
    add_json,
    add_normalisation,
    add_run_options,
    add_skip_bad_images,
    positive,
)

if TYPE_CHECKING:  # they need Keras
    from experiments.data.augment import Augment
    from experiments.recipe import Recipe
    from experiments.stages.application import Application
    from experiments.stages.base import Stage
    from experiments.stages.file import File
    from experiments.stages.net import Net

PHOTOGRAPH = 96  # px a side, from which images are cut at random, not shifted
SHIFT = 12  # smaller ones are shifted by this part of their side


def add_options(command: argparse.ArgumentParser, *, epochs: int, of: str = "") -> None:
    """The options of every verb that trains; `made` reads them.

    Args:
        command: the verb's parser.
        epochs: how many there are without the option.
        of: what they are of, " of the student".
    """
    command.add_argument("--data", metavar="NAME", required=True, help=DATA_HELP)
    add_image_size(command)
    add_normalisation(command)
    add_skip_bad_images(command)
    command.add_argument(
        "--epochs",
        metavar="N",
        type=positive,
        default=epochs,
        help=f"passes over the train images{of} ({epochs})",
    )
    add_run_options(command, seeds=1)
    add_json(command)


def made(
    name: str,
    stages: Sequence["Stage"],
    options: argparse.Namespace,
    *,
    like: "Net | File | Application",
    same_classes: bool = True,
    must_know: bool = False,
) -> "Recipe":
    """The recipe, with images as `like` takes them where the options do not say.

    Args:
        name: of the verb.
        stages: what is run.
        options: of `add_options`.
        like: the model that decides on the size and the normalisation of images.
        same_classes: whether it knows the classes of the data.
        must_know: whether it is of no use if it does no better than guessing.

    Raises:
        ValueError: `like` cannot be loaded, or must know the images and does not.
    """
    from experiments.recipe import Recipe
    from experiments.stages.file import File

    size, normalisation = options.image_size, options.normalisation
    if isinstance(like, File):
        size = size or like.image_side
        if normalisation is None:
            normalisation = _of_file(like, options, size, same_classes, must_know)
    elif normalisation is None:
        normalisation = like.normalisation
    return Recipe(
        name=name,
        data=options.data,
        stages=tuple(stages),
        augment=usual_augment(size),
        image_size=size,
        normalisation=normalisation,
        skip_bad_images=options.skip_bad_images,
    )


def usual_augment(image_size: int | None) -> "Augment":
    """Photographs are cut at random; smaller images shifted a little (2 px of 28)."""
    from experiments.data.augment import Augment

    if image_size is not None and image_size >= PHOTOGRAPH:
        return Augment(random_resized_crop=True)
    return Augment(pad=2 if image_size is None else max(1, image_size // SHIFT))


def _of_file(file, options, size, same_classes, must_know):
    """As `Recipe.normalisation` takes it: what is known of the file, or found out."""
    from compression import export
    from experiments import deployment
    from experiments.data import load, normalisation
    from experiments.data.image_input import require_image_input
    from experiments.stages.images import of_size, require_images

    known = deployment.of_file(Path(file.path))
    if known is not None:
        return known.mean, known.std
    model = export.load_model(file.path)
    if not same_classes:
        name, reason = normalisation.of_graph(model)
        reason = reason or "nothing says otherwise; --normalisation does"
        _note(file, name or normalisation.TRAIN, reason)
        return name
    inputs = getattr(model, "inputs", None) or ()
    if len(inputs) == 1:
        require_image_input(str(file.path), inputs[0].shape[1:], model)
    data = load(options.data, image_size=size, skip_bad_images=options.skip_bad_images)
    if len(inputs) == 1:
        require_images(of_size(model, data.image_shape), data, file.path)
    found = normalisation.for_model(model, data)
    _note(file, found.name, found.reason)
    if found.is_guessing:
        warning = found.warning(file.path, data)
        if must_know:
            raise ValueError(warning)
        print(f"limbeck: warning: {warning}", file=sys.stderr)
    return None if found.name == normalisation.TRAIN else found.name


def _note(file, name, reason):
    print(
        f"limbeck: nothing beside {file.path} says how pixels are normalised: as "
        f"{name} ({reason})",
        file=sys.stderr,
    )
