"""`limbeck work`: takes part in a run that any number of processes share."""

from experiments.cli.options import names, path, positive, start_tensorflow

EXAMPLES = """
limbeck work runs/hinton2015            # as often as you like, on any machine
limbeck work runs/hinton2015 --seeds 5  # other seeds than were asked for
limbeck work runs/hinton2015 --no-wait  # end where others do what is left
"""


def add(commands):
    command = commands.add_parser(
        "work",
        help="do what is ready of a run, beside other processes and machines",
        description="A stage is run as soon as those are finished that it needs, by "
        "one process; the last ones measure the seeds and write the report. Make the "
        "run folder with --prepare, as in `limbeck reproduce hinton2015 --prepare`, "
        "and start workers on every machine that sees it. What was begun by a process "
        "that has died goes on from its last epoch. What fails is left to whoever "
        "comes later.",
        examples=EXAMPLES,
    )
    command.add_argument(
        "run_folder", metavar="RUN", type=path, help="made by --prepare, or begun"
    )
    command.add_argument(
        "--seeds",
        metavar="N",
        type=positive,
        help="work on this many seeds (as were asked for)",
    )
    command.add_argument(
        "--stages", metavar="A,B", help="only these stages (as were asked for)"
    )
    command.add_argument(
        "--no-wait",
        action="store_true",
        help="end where others do what is left, instead of waiting for them",
    )
    command.set_defaults(run=run)


def run(options):
    from experiments.runs.layout import RunFolder

    out = options.run_folder
    RunFolder(out).require()  # before seconds of imports
    start_tensorflow()
    from experiments import report
    from experiments.runs.share import take_part

    found = take_part(
        out,
        seeds=None if options.seeds is None else range(options.seeds),
        stages=names(options.stages),
        wait=not options.no_wait,
        report=lambda: report.write(out),
    )
    if found.failed:
        raise RuntimeError(_failures(found, out))
    if "report" not in found.finished:
        return  # others go on
    if RunFolder(out).read_rows():
        print(f"\n{report.summary(out)}\nReport: {RunFolder(out).page}")
    else:
        print(f"\nNothing was to be measured. Models: {out / 'stages'}")


def _failures(found, out):
    """What has failed, and what that holds up, in one line."""
    lines = [
        f"{name} ({failure.get('by', 'unknown process')}): {failure.get('error')}"
        for name, failure in found.failed.items()
    ]
    waiting = f"; not begun: {', '.join(found.held_up)}" if found.held_up else ""
    return f"failed: {'; '.join(lines)}{waiting}; `limbeck work {out}` tries it again"
