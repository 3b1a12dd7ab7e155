"""`limbeck report`: a run folder's report, written again; or several compared."""

from pathlib import Path

from experiments.cli.options import path, require_file

EXAMPLES = """
limbeck report runs/demo-mnist5k
limbeck report runs/demo-mnist5k runs/train-resnet20-mnist5k  # side by side
limbeck report runs/a runs/b --out comparison.html  # and as a page with plots
"""


def add(commands):
    command = commands.add_parser(
        "report",
        help="write a run folder's report again, or compare several runs",
        description="Writes report.html and report.md from the rows and records of "
        "the run folder, and prints its tables. Of several runs the stages are printed "
        "in one table, ratios being those to the first stage of the first run. No "
        "model is run.",
        examples=EXAMPLES,
    )
    command.add_argument(
        "run_folders", metavar="RUN", type=path, nargs="+", help="a run folder"
    )
    command.add_argument(
        "--out", metavar="FILE", type=path, help="of several runs: an HTML page"
    )
    command.set_defaults(run=run)


def run(options):
    if len(options.run_folders) > 1:
        _compare(options.run_folders, options.out)
    elif options.out:
        raise ValueError("--out is of several runs: one has its own report.html")
    else:
        show(options.run_folders[0])


def show(folder: Path) -> None:
    """Write the report of a run folder and print its tables."""
    from experiments import report

    page = report.write(folder)
    print(f"{report.summary(folder)}\nReport: {page}")


def _compare(folders, out):
    if out is not None:
        require_file(out)
    from experiments import report

    print(report.compared(folders, out), end="")
    if out is not None:
        print(f"\nReport: {out}")
