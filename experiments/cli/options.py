"""What the verbs share: options of the same name, and what a value may be."""

import argparse
import errno
import os
from collections.abc import Iterable
from pathlib import Path

from experiments.cli import model_names
from experiments.cli.parser import some_text

DATA_HELP = (
    "mnist5k, digits, a TFDS name such as mnist or cifar10 (see TFDS_DATA_DIR), "
    "folder:PATH with one sub-folder a class (or train, val, test that have them), "
    "csv:PATH with path,label[,split] in each row, or npz:PATH with x, y or x_train, "
    "y_train, x_test, y_test; grey: or rgb: in front for nets that take such images"
)
NORMALISATION_HELP = (
    "how pixels are normalised: train (by the train images), 0..255 (not at all: the "
    "net does), 0..1, -1..1, imagenet, or MEAN/STD of pixels from 0 to 1, as 0.13/0.31"
)


def add_run_options(command: argparse.ArgumentParser, *, seeds: int) -> None:
    """The options of every verb that runs a recipe; `running.run_recipe` reads them.

    Args:
        command: the verb's parser.
        seeds: how many there are without the option.
    """
    command.add_argument(
        "--out", metavar="DIR", type=path, help="run folder (runs/...)"
    )
    command.add_argument(
        "--seeds",
        metavar="N",
        type=positive,
        default=seeds,
        help=f"run it with this many seeds ({seeds})",
    )
    command.add_argument("--stages", metavar="A,B", help="only these stages (all)")
    command.add_argument(
        "--strategy",
        metavar="NAME",
        help="train on several devices at once: mirrored (all GPUs of this machine; "
        "mirrored:2 two of them, or two virtual CPUs) or multiworker (the machines "
        "that TF_CONFIG names). A batch is as large as without, and shared",
    )
    add_set(
        command,
        "FIELD=VALUE",
        help="change a setting, as in teacher.training.epochs=20; may be repeated",
    )
    command.add_argument(
        "--smoke", action="store_true", help="few epochs: does everything run?"
    )
    command.add_argument(
        "--prepare",
        action="store_true",
        help="make the run folder and end: `limbeck work` runs it",
    )


def add_set(command: argparse.ArgumentParser, metavar: str, *, help: str) -> None:
    """`--set`, which may be repeated: a list of assignments, empty without it."""
    command.add_argument(
        "--set", metavar=metavar, action="append", default=[], help=help
    )


def add_image_size(command: argparse.ArgumentParser) -> None:
    """`--image-size`: goes with `--data`."""
    command.add_argument(
        "--image-size", metavar="PX", type=positive, help="resize to this side"
    )


def add_normalisation(command: argparse.ArgumentParser) -> None:
    """`--normalisation`: goes with `--data`."""
    command.add_argument(
        "--normalisation", metavar="NAME", type=normalisation, help=NORMALISATION_HELP
    )


def add_skip_bad_images(command: argparse.ArgumentParser) -> None:
    """`--skip-bad-images`: goes with `--data`."""
    command.add_argument(
        "--skip-bad-images",
        action="store_true",
        help="leave unreadable images of a folder out, instead of stopping",
    )


def add_model(command: argparse.ArgumentParser) -> None:
    """MODEL, a Keras model that a verb changes."""
    command.add_argument(
        "model",
        metavar="MODEL",
        type=model_file,
        help="a .keras or .limbeck file, or RUN:STAGE",
    )


def add_json(command: argparse.ArgumentParser) -> None:
    """`--json`: what is printed is for a program."""
    command.add_argument("--json", action="store_true", help="print JSON")


def names(text: str | None) -> list[str] | None:
    """The names in "A,B"; None where the option was not given.

    Raises:
        ValueError: one is empty.
    """
    if text is None:
        return None
    found = [name.strip() for name in text.split(",")]
    if not all(found):
        raise ValueError(f"must be names as A,B, got {text!r}")
    return found


def positive(text: str) -> int:
    """A whole number from 1 on."""
    try:
        value = int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"must be a whole number, got {text!r}"
        ) from error
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


def number_or_share(text: str) -> int | float:
    """A whole number from 1 on, or a share between 0 and 1."""
    try:
        value = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be a number, got {text!r}") from error
    if 0 < value < 1:
        return value
    if value < 1 or value != value // 1:
        raise argparse.ArgumentTypeError(
            f"must be a whole number, or a share between 0 and 1, got {text}"
        )
    return int(value)


def typed(options: argparse.Namespace, names: Iterable[str]) -> list[str]:
    """Those of the options that were given, as they are typed.

    Without them they are None, or False if they are switches.
    """
    return [
        f"--{name.replace('_', '-')}"
        for name in names
        if vars(options)[name] is not None and vars(options)[name] is not False
    ]


def number(text: str) -> float:
    """A number; of which range is the caller's matter."""
    try:
        return float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be a number, got {text!r}") from error


def points(text: str) -> float:
    """Percentage points, 0 to 100."""
    value = number(text)
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(
            f"must be 0 to 100 percentage points, got {text}"
        )
    return value


def require_free(*files: Path) -> None:
    """Check, before any work is done, that files can be made there.

    Raises:
        ValueError: one is there already.
        OSError: its folder is none, or cannot be written.
    """
    for file in files:
        if file.exists():
            raise ValueError(f"{file} exists: give another --out, or remove it")
        folder = file.parent
        while not folder.exists():
            folder = folder.parent
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "is no folder", str(folder))
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "cannot be written to", str(folder))


def require_file(file: Path) -> None:
    """Check, before any work is done, that this is the name of a file.

    Raises:
        IsADirectoryError: it is a folder.
    """
    if file.is_dir():
        raise IsADirectoryError(
            errno.EISDIR, "is a folder: give the name of a file", str(file)
        )


def path(text: str) -> Path:
    """A path; `~` is the home folder, also where no shell saw to it."""
    try:
        return Path(some_text(text)).expanduser()
    except RuntimeError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from error


def normalisation(text: str) -> str:
    """How pixels are normalised, by name or in numbers."""
    from experiments.data.normalisation import check

    try:
        check(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def model_file(text: str) -> Path:
    """The path of a model, or RUN:STAGE for that of a stage of a run folder."""
    try:
        return model_names.of_stage(text) or path(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def shape(text: str) -> tuple[int, ...]:
    """Sizes with commas between them."""
    try:
        return tuple(positive(side) for side in text.split(","))
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"must be as 32,32,3, got {text}") from error


def start_training(options: argparse.Namespace) -> None:
    """Import TensorFlow, and put the strategy in place of its name.

    Args:
        options: of `add_run_options`; changed.

    Raises:
        ValueError: there is no such strategy, or it needs what is not here.
    """
    start_tensorflow()
    if options.strategy is None:
        return
    from experiments.training import strategies

    if options.prepare:
        raise ValueError(
            "--strategy is for the process that trains, and --prepare trains nothing: "
            "give one of them"
        )
    options.strategy = strategies.made(options.strategy)


def start_tensorflow() -> None:
    """Import TensorFlow without the dozen lines that its C++ prints on the way."""
    from compression.quiet import quiet

    with quiet():
        import tensorflow  # noqa: F401
