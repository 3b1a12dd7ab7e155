"""`limbeck quantize --aware`: the model is trained on with the rounding of its file."""

import argparse
from typing import Any

from experiments.cli import training
from experiments.cli.options import names, typed

BITS = {None: 8, "int8": 8, "int4": 4}  # of weights, by --precision
ELSEWHERE = ("explain", "draw", "max_drop", "plan", "float_ends", "images")


def run(options: argparse.Namespace) -> None:
    """Trains and writes what the options of `limbeck quantize` ask for."""
    training.require(options, ".tflite")
    settings = _settings(options)
    with training.done(options, _kinds, **settings) as found:
        training.write(found, found.home.exported("litert", "int8"), options.out)


def _settings(options) -> dict[str, Any]:
    if given := typed(options, ELSEWHERE):
        raise ValueError(
            f"--aware trains all layers alike: leave out {', '.join(given)}"
        )
    if options.precision not in BITS:
        raise ValueError(
            f"--aware trains for int8 or int4, not {options.precision}: leave one out"
        )
    left_out = tuple(names(options.skip) or ())
    if training.engine(options) == "tfmot":
        if options.precision == "int4":
            raise ValueError("tfmot trains for int8 alone: leave out --precision int4")
        return {"exempt": left_out}
    return {"bits": BITS[options.precision], "skip": left_out}


def _kinds():
    from experiments.stages.quantize_aware import QuantizeAware
    from experiments.stages.tfmot import TfmotQuantize

    return {"limbeck": QuantizeAware, "tfmot": TfmotQuantize}
