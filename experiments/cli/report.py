"""`limbeck report`: a run folder's report, written again."""

from pathlib import Path

from experiments.cli.options import path

EXAMPLES = """
limbeck report runs/demo-mnist5k
"""


def add(commands):
    command = commands.add_parser(
        "report",
        help="write a run folder's report again",
        description="Writes report.html and report.md from the rows and records of "
        "the run folder, and prints its tables. No model is run.",
        examples=EXAMPLES,
    )
    command.add_argument("run_folder", metavar="RUN", type=path, help="a run folder")
    command.set_defaults(run=run)


def run(options):
    show(options.run_folder)


def show(folder: Path) -> None:
    """Write the report of a run folder and print its tables."""
    from experiments import report

    page = report.write(folder)
    print(f"{report.summary(folder)}\nReport: {page}")
