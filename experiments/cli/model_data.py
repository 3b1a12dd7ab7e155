"""Data as a model file takes them: its image size, its normalisation, its classes."""

import dataclasses
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.cli.options import (
    DATA_HELP,
    add_image_size,
    add_normalisation,
    add_skip_bad_images,
)

if TYPE_CHECKING:  # they need Keras
    import keras

    from compression.export.runners import Runner
    from experiments.data import Data
    from experiments.deployment import Deployment


def add_options(command, use: str) -> None:
    """`--data`, with what data of a model need.

    Args:
        command: the verb's parser.
        use: what the data are for.
    """
    command.add_argument("--data", metavar="NAME", help=f"{use}: {DATA_HELP}")
    add_image_size(command)
    add_normalisation(command)
    add_skip_bad_images(command)


def check(options: Namespace, *, open_size: bool = False) -> None:
    """Refuses what says how data are read where none are.

    Args:
        options: of the verb.
        open_size: whether `--image-size` is also that of a net which leaves it open.

    Raises:
        ValueError: names the option.
    """
    given = {
        "--image-size": options.image_size and not open_size,
        "--skip-bad-images": options.skip_bad_images,
        "--normalisation": options.normalisation,
    }
    lonely = [name for name, is_there in given.items() if is_there]
    if lonely and not options.data:
        raise ValueError(f"{' and '.join(lonely)} go with --data: give that, too")


def model_of(options: Namespace) -> "keras.Model":
    """The model of a verb, for any number of images at once.

    Raises:
        ValueError: it holds for one number of images alone.
        FileNotFoundError: there is no such file.
    """
    from compression import export
    from experiments.stages.images import of_any_batch

    return of_any_batch(export.load_model(options.model), str(options.model))


def sized(
    model: "keras.Model", options: Namespace, data: "Data | None" = None
) -> "keras.Model":
    """A model that leaves the size of images open, for those of data or a size alone.

    Args:
        model: of images; one of a size is given back as it is.
        options: of the verb, with `image_size`.
        data: as `load_for` gave them.

    Raises:
        ValueError: there are no data, and the model has a size other than that which
            was asked for.
    """
    from compression import export
    from experiments.stages.images import of_size

    if data is not None:
        return of_size(model, data.image_shape)
    side = options.image_size
    if side is None:
        return model
    runner = export.of_model(model, options.model)
    size = _side(runner, options, larger=1)
    return of_size(model, (size, size, _shape(runner)[-1]))


def load_for(
    runner: "Runner", options: Namespace, *, larger: float = 1, labelled: bool = True
) -> "Data":
    """`options.data`, fitted to the model; `larger` times its size, to be cropped.

    Of images without labels, where `labelled` is False, the classes are the model's.

    What lies beside the file, or in it (`experiments/deployment.py`), says how pixels
    are normalised and what the classes are called; without it, classes are matched by
    position, and how pixels are normalised is found out (`data/normalisation.py`),
    with a word on stderr. `--normalisation` has the last word.

    Raises:
        ValueError: the data do not fit the model; names how.
    """
    import numpy as np

    from experiments import deployment
    from experiments.data import load, normalisation
    from experiments.data.colours import other_colours

    size, channels = _side(runner, options, larger), _shape(runner)[-1]
    data = load(
        options.data,
        image_size=None if size is None else round(larger * size),
        skip_bad_images=options.skip_bad_images,
    )
    _require_sides(runner, data)
    if channels not in (None, data.image_shape[-1]):
        raise ValueError(
            f"{runner.path} takes images of {channels} channels, {data.name} has "
            f"{data.image_shape[-1]}{other_colours(options.data, channels)}"
        )
    if labelled and not data.class_names:
        raise ValueError(
            f"{data.name} has no labels, and they are needed: give images in a folder "
            "for each class, or a list of them"
        )
    has_labels = bool(data.class_names)
    known = deployment.of_file(runner.path)
    if known is not None:
        data = known.fitted(data)
    shape = data.image_shape if size is None else (size, size, data.image_shape[-1])
    classes = runner(np.zeros((1, *shape))).shape[-1]
    # One logit stands for two classes.
    if has_labels and max(classes, 2) != len(data.class_names):
        raise ValueError(
            f"{runner.path} gives {classes} logits, {data.name} has "
            f"{len(data.class_names)} classes: which is which?"
        )
    if known is None:
        return _found_out(runner, data, options.normalisation, size)
    if options.normalisation is not None:
        data = normalisation.normalised(data, options.normalisation)
    return data


def _side(runner, options, larger):
    """Pixels a side of the model's images; None: as they are stored."""
    *sides, _ = _shape(runner)
    size = options.image_size
    if None not in sides:
        if len(set(sides)) != 1:
            if size is not None or larger != 1:
                raise ValueError(
                    f"{runner.path} takes images of {_by(sides)} px, no squares: leave "
                    f"out {'--crops' if size is None else '--image-size'}"
                )
            return None
        if size not in (None, sides[0]):
            raise ValueError(
                f"{runner.path} takes images of {sides[0]} px: leave out --image-size "
                f"{size}"
            )
        size = sides[0]
    if larger != 1 and size is None:
        raise ValueError(
            f"{runner.path} leaves the size of images open: crops of which size? Give "
            "--image-size"
        )
    return size


def _require_sides(runner, data):
    """Images are cut to squares; those of arrays come as they are, and may fit."""
    *sides, _ = _shape(runner)
    given = data.image_shape[:2]
    if None not in sides and len(set(sides)) > 1 and tuple(sides) != tuple(given):
        raise ValueError(
            f"{runner.path} takes images of {_by(sides)} px, those of {data.name} are "
            f"{_by(given)}: images are cut to squares only, but arrays (npz:PATH) are "
            "taken as they are"
        )


def _by(sides):
    return " x ".join(map(str, sides))


def known_of(
    options: Namespace,
    data: "Data | None" = None,
    image_shape: "Sequence[int | None] | None" = None,
) -> "Deployment | None":
    """What an app must know of `options.out`, asked before that is written.

    Args:
        options: of the verb, with `model` and `out`.
        data: as `load_for` gave them, if the file is made by them; None: what is known
            of the model is known of the file.
        image_shape: of the file's images, where the model may have left it open.

    Raises:
        ValueError: what is known of the model cannot be read, or something else is
            known of another file whose name has the same stem as that of `out`.
    """
    from experiments.deployment import Deployment, of_file

    known = of_file(options.model)
    if data is not None and data.class_names:  # as was asked for, or found out
        known = Deployment.of(data)
    if known is not None and None in known.image_shape and image_shape:
        known = dataclasses.replace(known, image_shape=tuple(image_shape))
    if known is not None:
        known.require_beside(options.out)
    return known


def write_deployment(out: Path, known: "Deployment | None") -> None:
    """Write beside a new file `out` what is known of it; None: nothing."""
    from experiments import whose

    if known is not None:
        known.write_beside(out)
    elif record := whose.forget_replaced(out):
        state = "says no more of it" if record.exists() else "is removed"
        print(
            f"limbeck: {record} was of the file that {out} has replaced, and {state}; "
            "nothing says how this one's pixels are normalised",
            file=sys.stderr,
        )


def _found_out(runner, data, asked, size):
    """`data` as a file may want them that nothing says anything of."""
    from experiments.data import normalisation
    from experiments.whose import NAME

    found = normalisation.for_model(runner, data, asked, size=size)
    count = len(data.class_names)
    matched = f"its {count} classes are matched by position, and " if count else ""
    print(
        f"limbeck: there is no {NAME} of it beside {runner.path}: {matched}"
        f"pixels are normalised as {found.name} ({found.reason})",
        file=sys.stderr,
    )
    if found.is_guessing:
        warning = found.warning(str(runner.path), data)
        print(f"limbeck: warning: {warning}", file=sys.stderr)
    return found.applied(data)


def _shape(runner):
    """(height, width, channels) of its images."""
    from experiments.data.image_input import require_image_input

    shape = runner.input_shape
    require_image_input(str(runner.path), shape, runner.model)
    return shape
