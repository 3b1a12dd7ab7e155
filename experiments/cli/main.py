"""The command line: which verbs there are, their errors and the exit status."""

import logging
import os
import shlex
import sys
from collections.abc import Sequence

from experiments.cli import bench, demo, export, measure, nets, report, reproduce, table
from experiments.cli.parser import Parser
from experiments.cli.version import ShowVersion

# One more verb is one more file here and its name in this tuple. The file has
# `add(commands)`, which adds its parser and sets `run=`, a function of the options.
# It imports Keras, TensorFlow and Matplotlib in `run` only: `--help` is quick.
VERBS = (demo, reproduce, nets, measure, export, report, table, bench)

EXAMPLES = """
limbeck demo                        # the main job on 5,000 real digits
limbeck nets resnet20               # a net layer by layer
limbeck export net.keras net.tflite --precision int8 --data mnist5k
limbeck measure net.tflite --data mnist5k
"""

# What a person can act on: it ends in one line and exit status 2, without a trace.
EXPECTED = (ValueError, OSError, FloatingPointError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0, or 2 after bad input.

    Raises:
        SystemExit: as argparse does, after `--help` (0) or for words that cannot be
            parsed (2).
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow loads
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    options = parser().parse_args(arguments)
    options.command_line = shlex.join(["limbeck", *arguments])
    try:
        options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough, as in `limbeck nets | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except EXPECTED as error:
        print(f"limbeck: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nlimbeck: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def parser() -> Parser:
    """The parser of all verbs; what it parses has `run`, a function of the options."""
    top = Parser(
        prog="limbeck",
        description="Makes image classifiers small.",
        examples=EXAMPLES,
    )
    top.add_argument("--version", action=ShowVersion)
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for verb in VERBS:
        verb.add(commands)
    return top
