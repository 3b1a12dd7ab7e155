"""Verbs that train a .keras file on: one stage of an experiment, with one command."""

import shutil
import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from experiments.cli import model_data
from experiments.cli.file_size import size_line
from experiments.cli.options import positive, require_free, start_tensorflow

if TYPE_CHECKING:  # they need Keras
    import keras

    from experiments.data import Data
    from experiments.runs.layout import StageFolder

ENGINES = ("limbeck", "tfmot")
# What is taken where an option is not given, so that one that is can be refused.
DEFAULTS = {"epochs": 5, "batch_size": 64, "learning_rate": 1e-3, "seed": 0}


class Done(NamedTuple):
    """A stage that has run, and what it started from."""

    home: "StageFolder"
    before: "keras.Model"
    data: "Data"


def add_options(command) -> None:
    """Those of a training, beside `--engine`, which a verb may have already."""
    command.add_argument("--epochs", metavar="N", type=positive, help="of training (5)")
    command.add_argument(
        "--batch-size", metavar="N", type=positive, help="images a step (64)"
    )
    command.add_argument(
        "--learning-rate",
        metavar="RATE",
        type=float,
        help="of AdamW at first, falling to zero as a cosine (0.001)",
    )
    command.add_argument("--seed", metavar="N", type=int, help="of all chance (0)")


def require(options: Namespace, suffix: str) -> None:
    """Raises ValueError unless there are data, and `--out` is a new file."""
    if not options.data:
        raise ValueError(
            "it learns from images: give --data, such as --data cifar10 or --data "
            "folder:PATH"
        )
    out = options.out
    if out is None or out.suffix != suffix:
        raise ValueError(f"--out must be the {suffix} file to write, got {out}")
    require_free(out)
    engine(options)


def engine(options: Namespace) -> str:
    """The engine asked for, limbeck's own by default.

    Raises:
        ValueError: there is none of that name.
    """
    name = options.engine or ENGINES[0]
    if name not in ENGINES:
        raise ValueError(
            f"no engine called {name!r} trains; choose from {', '.join(ENGINES)}"
        )
    return name


@contextmanager
def done(
    options: Namespace, kinds: Callable[[], Mapping[str, type]], **settings: Any
) -> Iterator[Done]:
    """A stage, run on the model and data of the command line.

    Its folder is there as long as the block.

    Args:
        options: with `add_options`, `model_data.add_options` and a `model`.
        kinds: function that gives the kind of stage of each of `ENGINES`, which is
            called when TensorFlow is there.
        settings: of the stage.

    Raises:
        ValueError: the model or the data do not suit the stage.
    """
    start_tensorflow()
    import architectures  # noqa: F401, registers the layers that a .keras file may hold
    from compression import export
    from experiments.data.augment import Augment
    from experiments.deployment import Deployment
    from experiments.runs.layout import StageFolder
    from experiments.stages.file import File
    from experiments.stages.one import check_one, run_one
    from experiments.training.settings import Training

    chosen = {
        name: value if vars(options)[name] is None else vars(options)[name]
        for name, value in DEFAULTS.items()
    }
    seed = chosen.pop("seed")
    if seed < 0:
        raise ValueError(f"--seed must not be negative, got {seed}")
    before = export.load_model(options.model)
    data = model_data.load_for(export.of_model(before, options.model), options)
    Deployment.of(data).require_beside(options.out)
    kind = kinds()[engine(options)]
    stage = kind(
        kind.__name__.lower(), File(str(options.model)), Training(**chosen), **settings
    )
    augment = Augment()
    check_one(stage, data, augment)
    print(stage.what)
    with tempfile.TemporaryDirectory(prefix="limbeck-") as folder:
        home = StageFolder(Path(folder))
        run_one(stage, data, home.path, seed=seed, augment=augment)
        yield Done(home, before, data)


def write(found: Done, file: Path, out: Path) -> None:
    """Writes one of the stage's files to `out`, and what it was trained on beside it.

    Prints how right it is on the validation images, against the model before.
    """
    import numpy as np

    from compression import export, measure
    from compression.atomic import replacing
    from experiments.data import pipeline
    from experiments.deployment import Deployment

    batches = pipeline.first_batches(found.data, "validation")
    labels = np.concatenate([labels for _, labels in batches])
    before, after = (
        100 * measure.accuracy(measure.logits(each, batches), labels)
        for each in (found.before, export.load(file))
    )
    with replacing(out) as beside:
        shutil.copyfile(file, beside)
    Deployment.of(found.data).write_beside(out)
    print(
        f"top-1 on {len(labels)} validation images: {before:.2f} % before, "
        f"{after:.2f} % after\n"
        f"{size_line(out)}\n{out}"
    )
