"""`limbeck prune --sparsity`: weights become zero while the model trains on."""

import argparse

from experiments.cli import training
from experiments.cli.options import names, number

OPTIONS = ("pattern", "engine")  # beside those of every training


def add_options(command) -> None:
    """What `limbeck prune` knows of single weights."""
    command.add_argument(
        "--sparsity",
        metavar="ZEROS",
        type=sparsity,
        help="fraction of the weights that become zero while the model trains on",
    )
    command.add_argument(
        "--pattern",
        metavar="NAME",
        help="of the zeros: element, 2:4, block(1,4); of limbeck's engine also kernel "
        "(element)",
    )
    command.add_argument(
        "--engine", metavar="NAME", help="limbeck, or tfmot through tf_keras (limbeck)"
    )
    training.add_options(command)


def sparsity(text: str) -> float:
    """A number in (0, 1): what becomes zero."""
    zeros = number(text)
    if not 0 < zeros < 1:
        raise argparse.ArgumentTypeError(
            f"must be what becomes zero, above 0 and below 1, got {text}"
        )
    return zeros


def run(options: argparse.Namespace) -> None:
    """Trains and writes what the options of `limbeck prune` ask for."""
    training.require(options, ".keras")
    scope = {} if options.scope is None else {"scope": options.scope}
    if scope and training.engine(options) == "tfmot":
        raise ValueError("tfmot prunes every kernel alike: leave out --scope")
    with training.done(
        options,
        _kinds,
        sparsity=options.sparsity,
        pattern=options.pattern or "element",
        exempt=tuple(names(options.exempt) or ()),
        exports=(),
        **scope,
    ) as found:
        training.write(found, found.home.model, options.out)


def _kinds():
    from experiments.stages.prune import Prune
    from experiments.stages.tfmot import TfmotPrune

    return {"limbeck": Prune, "tfmot": TfmotPrune}
