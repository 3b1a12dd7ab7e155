"""`limbeck table`: tables and pictures of Markdown files, made from the records."""

from experiments.cli.options import path

EXAMPLES = """
limbeck table                       # the tables of all texts
limbeck table --check               # are they those of the records?
limbeck table README.md --record runs/demo-mnist5k
"""


def add(commands):
    command = commands.add_parser(
        "table",
        help="make tables and pictures of Markdown files again from the records",
        description="Without FILE: all texts whose tables and pictures come from the "
        "records, the README and those of the experiments. A table stands after "
        "`<!-- table: RUN -->`, pictures after `<!-- pictures: RUN -->`.",
        examples=EXAMPLES,
    )
    command.add_argument("file", metavar="FILE", type=path, nargs="?", help="(all)")
    command.add_argument(
        "--check",
        action="store_true",
        help="change nothing; exit status 2 if a table differs from its records",
    )
    command.add_argument(
        "--record", metavar="RUN", type=path, help="first keep this run's records"
    )
    command.set_defaults(run=run)


def run(options):
    from experiments import records

    if options.check and options.record:
        raise ValueError("--check changes nothing: leave out --record")
    if options.file and not options.file.is_file():
        raise FileNotFoundError(f"there is no file {options.file}")
    if options.record:
        for path in records.record(options.record):
            print(path)
    for file in [options.file] if options.file else records.texts():
        records.update(file, check=options.check)
