"""The command line: which verbs there are, their errors and the exit status."""

import contextlib
import importlib
import io
import logging
import os
import shlex
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from compression.one_line import in_one_line
from experiments.cli import (
    bench,
    cluster,
    compress,
    demo,
    distill,
    export,
    measure,
    nets,
    pretrain,
    prune,
    quantize,
    report,
    reproduce,
    table,
    train,
    transfer,
    work,
)
from experiments.cli.parser import Parser
from experiments.cli.version import ShowVersion

# One more verb is one more file here and its name in this tuple. The file has
# `add(commands)`, which adds its parser and sets `run=`, a function of the options.
# It imports Keras, TensorFlow and Matplotlib in `run` only: `--help` is quick.
VERBS = (
    *(demo, reproduce, work, nets, compress),
    *(train, pretrain, transfer, distill),
    *(prune, cluster, quantize, measure, export),
    *(report, table, bench),
)

EXAMPLES = """
limbeck demo                        # the main job on 5,000 real digits
limbeck nets resnet20               # a net layer by layer
limbeck train resnet20 --data folder:photos
limbeck export net.keras net.tflite --precision int8 --data mnist5k
limbeck measure net.tflite --data mnist5k
limbeck --import my_layers measure net.keras  # a net with layers of one's own
"""

# What a person can act on: it ends in one line and exit status 2, without a trace.
EXPECTED = (ValueError, OSError, FloatingPointError, RuntimeError, MemoryError)
INSISTENCE = 0.5  # seconds between two attempts to end a run
STOPPED = {signal.SIGINT: 130, signal.SIGTERM: 143}  # exit status, as shells have it


class Terminated(KeyboardInterrupt):
    """SIGTERM: it ends a run as Ctrl-C does, so that temporary files are removed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0, or 2 after bad input.

    Raises:
        SystemExit: as argparse does, after `--help` (0) or for words that cannot be
            parsed (2).
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow loads
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # no report is lost to a dash
            stream.reconfigure(errors="replace")
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    options = parser().parse_args(arguments)
    options.command_line = shlex.join(["limbeck", *arguments])
    try:
        with _terminable(), _plain_warnings():
            _import(options.imports)
            options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough, as in `limbeck nets | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt as error:
        print("\nlimbeck: stopped; the same command goes on from here", file=sys.stderr)
        terminated = isinstance(error, Terminated)
        return STOPPED[signal.SIGTERM if terminated else signal.SIGINT]
    except Exception as error:
        if not _is_expected(error):
            raise
        print(f"limbeck: {_in_one_line(error)}", file=sys.stderr)
        return 2
    return 0


def _import(modules: Sequence[str]) -> None:
    """Import what registers layers that a file holds, also from the working folder."""
    if not modules:
        return
    from experiments.cli.options import start_tensorflow

    start_tensorflow()
    for name in modules:
        path = Path(name).expanduser()
        is_file = path.suffix == ".py"
        folder = str(path.parent.absolute() if is_file else Path.cwd())
        sys.path += [] if folder in sys.path else [folder]  # last: it hides nothing
        try:
            importlib.import_module(path.stem if is_file else name)
        except Exception as error:  # whatever a stranger's module may raise
            raise ValueError(f"--import {name}: {in_one_line(error)}") from error


@contextlib.contextmanager
def _plain_warnings() -> Iterator[None]:
    """A warning is one line, without the place in our code that gives it."""

    def formatted(message, *_, **__):
        return f"limbeck: warning: {in_one_line(message)}\n"

    before, warnings.formatwarning = warnings.formatwarning, formatted
    try:
        yield
    finally:
        warnings.formatwarning = before


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM raises `Terminated` while the block runs.

    Again and again until the block is left: raised in a `__del__`, or in Python that
    C++ has called and whose errors it clears, an exception is lost. Not while the
    block cleans up after it, which nothing shall interrupt.
    """
    asked, left = [], threading.Event()

    def terminate(*_):
        asked.append(True)
        if not _is_handled(Terminated):
            raise Terminated

    def insist(main_thread):
        while not left.wait(INSISTENCE):
            if asked:
                signal.pthread_kill(main_thread, signal.SIGTERM)

    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    before = signal.signal(signal.SIGTERM, terminate)
    insists = threading.Thread(target=insist, args=[threading.get_ident()], daemon=True)
    insists.start()
    try:
        yield
    finally:
        left.set()
        insists.join()
        signal.signal(signal.SIGTERM, before)


def _is_handled(kind):
    """Whether an exception of that kind is on its way: a `finally` or `with` runs."""
    error = sys.exception()
    while error is not None and not isinstance(error, kind):
        error = error.__context__
    return error is not None


def _is_expected(error):
    tensorflow = sys.modules.get("tensorflow")  # if a verb has loaded it
    kinds = (tensorflow.errors.OpError,) if tensorflow else ()
    return isinstance(error, EXPECTED + kinds)


def _in_one_line(error):
    if isinstance(error, MemoryError):
        return f"out of memory {error}".strip()
    return in_one_line(error)


def parser() -> Parser:
    """The parser of all verbs; what it parses has `run`, a function of the options."""
    top = Parser(
        prog="limbeck",
        description="Makes image classifiers small.",
        examples=EXAMPLES,
    )
    top.add_argument("--version", action=ShowVersion)
    top.add_argument(
        "--import",
        metavar="MODULE",
        dest="imports",
        action="append",
        default=[],
        help="import this module first, which registers layers of one's own; a name, "
        "or the path of a .py file; may be repeated",
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    commands.type = str  # a verb itself refuses empty words
    for verb in VERBS:
        verb.add(commands)
    return top
