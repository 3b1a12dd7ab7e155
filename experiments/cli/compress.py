"""`limbeck compress`: a small net in place of somebody's own, within limits."""

import argparse
import contextlib
import dataclasses
import json
import sys

from experiments.cli import model_data, report
from experiments.cli.options import add_json, model_file, path, start_tensorflow
from experiments.cli.running import data_in_paths

EXAMPLES = """
limbeck compress net.keras --data folder:photos --max-drop 0.5
limbeck compress net.keras --data cifar10 --bytes 50k --hours 2
limbeck compress net.keras --data mnist5k --arena 16k --bytes 16k
limbeck compress net.keras --data cifar10 --zipped 50k  # in an app's package
"""
HOURS = 1.0


def add(commands):
    command = commands.add_parser(
        "compress",
        help="search for a small net in place of a .keras model, and train it",
        description="Cuts channels of the model, tries students that it teaches and "
        "weights of 8 or 4 bits (with --zipped, many of them zero), trains the best "
        "candidate in full, and writes net.tflite, net.h and net.deploy.json into the "
        "run folder. With limits on the file the most accurate one that meets them is "
        "taken, with --max-drop the smallest that keeps it. Choices are made on "
        "validation images. The same command goes on where it was interrupted.",
        examples=EXAMPLES,
    )
    command.add_argument(
        "model", metavar="MODEL", type=model_file, help="a .keras file, or RUN:STAGE"
    )
    model_data.add_options(command, "trains and judges on")
    command.add_argument(
        "--max-drop",
        type=float,
        metavar="POINTS",
        help="of top-1 that may be lost (0.5, where there is no limit)",
    )
    for name, unit, what in (
        ("bytes", "bytes", "of the .tflite file, as 200k or 64KiB"),
        ("zipped", "bytes", "likewise after deflate: many weights may be zero"),
        ("latency", "latency", "of one image on this machine, as 5ms"),
        ("arena", "bytes", "RAM in TensorFlow Lite Micro, as 64k"),
    ):
        command.add_argument(f"--{name}", metavar="LIMIT", type=_limit(unit), help=what)
    command.add_argument(
        "--macs",
        type=float,
        metavar="FRACTION",
        help="of the model's multiply-accumulates that may be left, as 0.5",
    )
    command.add_argument(
        "--hours",
        type=float,
        default=HOURS,
        metavar="N",
        help=f"that all of it may take ({HOURS:g})",
    )
    command.add_argument(
        "--out", metavar="DIR", type=path, help="run folder (runs/compress-...)"
    )
    command.add_argument("--seed", type=int, default=0, metavar="N", help="(0)")
    command.add_argument(
        "--storage",
        metavar="URL",
        help="of a database, as postgresql://..., that several machines share for "
        "the search (a file in the run folder)",
    )
    add_json(command)
    command.set_defaults(run=run)


def _limit(kind):
    def limit(text):
        from experiments.search.units import parsed

        try:
            return parsed(text, kind)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return limit


def run(options):
    if options.data is None:
        raise ValueError("it trains and judges on images: give --data")
    if options.macs is not None and not 0 < options.macs <= 1:
        raise ValueError(f"--macs must be in (0, 1], got {options.macs}")
    start_tensorflow()
    import architectures  # noqa: F401, registers the layers that a .keras file may hold
    from experiments.search.compress import carry_out
    from experiments.search.limits import Limits
    from experiments.search.request import Request
    from experiments.stages.file import File

    def whole(value):
        return None if value is None else int(value)

    limits = Limits(
        bytes=whole(options.bytes),
        latency_ms=options.latency,
        arena_bytes=whole(options.arena),
        macs=_macs(options),
        max_drop=options.max_drop,
        bytes_zipped=whole(options.zipped),
    )
    request = Request(
        model=File(str(options.model)),
        data=options.data,
        limits=limits,
        hours=options.hours,
        seed=options.seed,
        image_size=options.image_size,
        skip_bad_images=options.skip_bad_images,
        normalisation=options.normalisation,
    )
    name = f"compress-{options.model.stem}-{data_in_paths(options.data)}"
    out = options.out or path("runs") / name
    with contextlib.redirect_stdout(sys.stderr if options.json else sys.stdout):
        found = carry_out(
            request, out, storage=options.storage, command=options.command_line
        )
    if options.json:
        record = dataclasses.asdict(found) | {"file": str(found.file)}
        print(json.dumps(record, indent=1))
        return
    print()
    report.show(out)
    print(as_text(found))


def _macs(options):
    """The fraction, as a number of multiply-accumulates."""
    if options.macs is None:
        return None
    from compression import export, measure

    model = model_data.sized(export.load_model(options.model), options)
    if None in export.of_model(model, options.model).input_shape:
        raise ValueError(
            f"{options.model} leaves the size of images open, and with it its "
            "MACs: give --image-size"
        )
    return int(options.macs * measure.macs(model))


def as_text(found) -> str:
    """What came of it, for a person; `found` is a `Compressed`."""
    arena = "" if found.arena_bytes is None else f", {found.arena_bytes:,} of RAM"
    if found.bytes_zipped is not None:
        arena = f", {found.bytes_zipped:,} zipped{arena}"
    lines = [
        f"{found.words}: {found.why}",
        f"{found.bytes:,} bytes, {found.latency_ms:.3f} ms{arena}, {found.macs:,} MACs",
        f"top-1 on test: {found.test_top1:.2%}, the model's {found.model_top1:.2%}",
        *found.steps,
        str(found.file),
    ]
    return "\n".join(lines)
