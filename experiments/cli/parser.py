"""An argparse parser whose errors are one line, and whose help shows examples."""

import argparse
import textwrap
from typing import NoReturn

from compression.nearest import did_you_mean

WIDTH = 78  # characters of a description's lines


def some_text(text: str) -> str:
    """Anything but nothing, as comes of a variable that is not set."""
    if not text.strip():
        raise argparse.ArgumentTypeError(f"must not be empty, got {text!r}")
    return text


class Parser(argparse.ArgumentParser):
    """Refuses bad input in one line that names a way out, with exit status 2.

    `examples` are the lines below the options in its help: commands that work as they
    stand, each with a comment behind it if it needs one.
    """

    def __init__(self, *, description: str = "", examples: str = "", **options):
        super().__init__(
            description=textwrap.fill(description, WIDTH),
            epilog=f"examples:\n{textwrap.indent(examples.strip(), '  ')}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **options,
        )
        self.register("type", None, some_text)  # of what has no type of its own

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")

    def parse_known_args(self, args=None, namespace=None):
        """As argparse's, but a verb itself refuses what it does not know."""
        options, unknown = super().parse_known_args(args, namespace)
        if flags := [word.partition("=")[0] for word in unknown if word[:1] == "-"]:
            known = [flag for action in self._actions for flag in action.option_strings]
            self.error(f"no option {flags[0]}{did_you_mean(flags[0], known)}")
        if unknown:
            self.error(f"one argument too many: {unknown[0]!r}")
        return options, []

    def _check_value(self, action, value):
        if action.choices is not None and value not in action.choices:
            wrong = f"no {(action.metavar or action.dest).lower()} {value!r}"
            choices = ", ".join(action.choices)
            raise argparse.ArgumentError(
                None,
                f"{wrong}{did_you_mean(value, action.choices)}; choose from {choices}",
            )
