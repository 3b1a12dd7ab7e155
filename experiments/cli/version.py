"""`limbeck --version`, from the package's metadata; nothing heavy is imported."""

import argparse
from importlib.metadata import PackageNotFoundError, version


class ShowVersion(argparse.Action):
    """Prints the version and ends; looks it up only then."""

    def __init__(self, option_strings, dest, **options):
        super().__init__(
            option_strings, dest, nargs=0, help="show the version and exit", **options
        )

    def __call__(self, parser, namespace, values, option_string=None):
        try:
            print(f"limbeck {version('limbeck')}")
        except PackageNotFoundError:
            parser.error(
                "limbeck is not installed, so it has no version: pip install ."
            )
        parser.exit()
