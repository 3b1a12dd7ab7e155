"""The command line: `limbeck demo | nets | measure | export | report | ...`."""

import argparse
import logging
import os
import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

# What a person can act on: it ends in one line and exit status 2, without a trace.
EXPECTED = (ValueError, OSError, FloatingPointError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0, or 2 after bad input."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow loads
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    options = _parser().parse_args(arguments)
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


def _parser():
    parser = argparse.ArgumentParser(
        prog="limbeck", description="Makes image classifiers small."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_demo(commands)
    _add_reproduce(commands)
    _add_nets(commands)
    _add_measure(commands)
    _add_export(commands)
    _add_report(commands)
    _add_table(commands)
    _add_bench(commands)
    return parser


DATA_HELP = (
    "mnist5k, digits, a TFDS name such as mnist or cifar10 (see TFDS_DATA_DIR), or "
    "folder:PATH with one sub-folder a class"
)


def _add_demo(commands):
    demo = commands.add_parser(
        "demo",
        help="the main job: teacher, student, distill, prune, int8, report",
        description="A ResNet teaches a small AlexNet-style student, which is then "
        "pruned and quantized; every stage is exported and measured. Run it again to "
        "go on where it was stopped.",
    )
    demo.add_argument("--data", metavar="NAME", help=f"{DATA_HELP} (mnist5k)")
    demo.add_argument(
        "--image-size", metavar="PX", type=_positive, help="resize to this side"
    )
    demo.add_argument("--skip-bad-images", action="store_true")
    _add_run_options(demo, seeds=1)
    demo.set_defaults(run=_demo)


def _add_run_options(command, *, seeds):
    """What is asked of a recipe's run, whichever recipe it is."""
    command.add_argument(
        "--out", metavar="DIR", type=Path, help="run folder (runs/...)"
    )
    command.add_argument(
        "--seeds", metavar="N", type=_positive, default=seeds, help=f"({seeds})"
    )
    command.add_argument("--stages", metavar="A,B", help="only these stages (all)")
    command.add_argument(
        "--set",
        metavar="FIELD=VALUE",
        action="append",
        default=[],
        help="change a setting, as in teacher.training.epochs=20; may be repeated",
    )
    command.add_argument(
        "--smoke", action="store_true", help="few epochs: does everything run?"
    )


def _start_tensorflow():
    """Import TensorFlow without the dozen lines that its C++ prints on the way."""
    from compression.quiet import quiet

    with quiet():
        import tensorflow  # noqa: F401


def _demo(options):
    import dataclasses

    _start_tensorflow()

    from experiments.recipes.demo import recipe as demo

    recipe = dataclasses.replace(
        demo.RECIPE,
        data=options.data or demo.RECIPE.data,
        image_size=options.image_size,
        skip_bad_images=options.skip_bad_images,
    )
    _run_recipe(recipe, options, _folder_name)


def _run_recipe(recipe, options, folder_name):
    """Run the recipe as the options say and show the report."""
    from experiments.recipe import replaced, smoke
    from experiments.runs import run as runs

    if options.smoke:
        recipe = smoke(recipe)
    for assignment in options.set:
        recipe = replaced(recipe, assignment)
    out = options.out or Path("runs") / folder_name(recipe)
    runs.run(
        recipe,
        out,
        seeds=range(options.seeds),
        stages=options.stages.split(",") if options.stages else None,
        command=options.command_line,
    )
    print()
    _show_report(out)


def _folder_name(recipe):
    data = recipe.data.removeprefix("folder:").rstrip("/").rpartition("/")[2]
    return f"{recipe.name}-{data.replace(':', '-')}"


def _add_reproduce(commands):
    reproduce = commands.add_parser(
        "reproduce",
        help="a published experiment, run anew, beside the paper's figures",
        description="Without NAME: which experiments there are. Run it again to go on "
        "where it was stopped.",
    )
    reproduce.add_argument("name", metavar="NAME", nargs="?", help="such as hinton2015")
    reproduce.add_argument(
        "--full", action="store_true", help="the full-length setting, for a GPU"
    )
    _add_run_options(reproduce, seeds=3)
    reproduce.set_defaults(run=_reproduce)


def _reproduce(options):
    _start_tensorflow()
    from experiments.recipes import REPRODUCIBLE

    if options.name is None:
        for name, module in REPRODUCIBLE.items():
            print(f"{name:<16} {module.__doc__.splitlines()[0]}")
        return
    if options.name not in REPRODUCIBLE:
        raise ValueError(
            f"no published experiment called {options.name!r}; choose from "
            f"{', '.join(REPRODUCIBLE)}"
        )
    module = REPRODUCIBLE[options.name]
    if options.full and not hasattr(module, "FULL"):
        raise ValueError(f"{options.name} has no longer setting than its ordinary one")
    recipe = module.FULL if options.full else module.RECIPE
    _run_recipe(recipe, options, lambda recipe: recipe.name)


def _add_nets(commands):
    nets = commands.add_parser(
        "nets",
        help="the catalogue of nets; or one of them layer by layer, and drawn",
        description="Without NET the catalogue: papers, parameters, multiply-"
        "accumulates, published accuracy and weights. With NET its layers.",
    )
    nets.add_argument("net", metavar="NET", nargs="?", help="one of the catalogue's")
    nets.add_argument(
        "--input-shape", metavar="H,W,C", type=_shape, help="such as 32,32,3"
    )
    nets.add_argument("--classes", metavar="N", type=_positive, help="logits")
    nets.add_argument(
        "--set",
        metavar="OPTION=VALUE",
        action="append",
        default=[],
        help="an option of the net, as in shortcut=B; may be repeated",
    )
    nets.add_argument(
        "--draw", metavar="FILE", type=Path, help="draw the graph to a .png or .svg"
    )
    nets.add_argument("--json", action="store_true", help="print JSON")
    nets.set_defaults(run=_nets)


def _nets(options):
    import json

    if options.net is None:
        alone = ("input_shape", "classes", "set", "draw")
        given = [f"--{name.replace('_', '-')}" for name in alone if vars(options)[name]]
        if given:
            raise ValueError(f"{', '.join(given)}: of which net? limbeck nets NET ...")
    _start_tensorflow()
    if options.draw:
        from experiments.nets import drawing as net_drawing

        net_drawing.check_path(options.draw)
    from experiments.nets import listing as nets

    if options.net is None:
        everything = nets.catalogue()
        print(
            json.dumps(everything, indent=1) if options.json else nets.catalogue_text()
        )
        return
    model = nets.build(
        options.net, options.input_shape, options.classes, settings=options.set
    )
    if options.draw:
        net_drawing.draw(model, options.draw)
    if options.json:
        print(json.dumps(nets.as_dict(options.net, model), indent=1))
    else:
        print(nets.layers_text(model))
        if options.draw:
            print(f"Drawing: {options.draw}")


def _add_measure(commands):
    measure = commands.add_parser(
        "measure", help="size, latency and accuracy of a model file"
    )
    measure.add_argument("model", type=Path, help=".keras, .tflite or SavedModel")
    measure.add_argument("--data", metavar="NAME", help=f"test images of: {DATA_HELP}")
    measure.add_argument("--image-size", metavar="PX", type=_positive)
    measure.add_argument("--json", action="store_true", help="print JSON")
    measure.set_defaults(run=_measure)


def _measure(options):
    import json

    _start_tensorflow()
    import architectures  # noqa: F401, registers the layers that a .keras file may hold
    from compression import measure

    test = None
    if options.data:
        from experiments.data import load, pipeline

        data = load(options.data, image_size=options.image_size)
        test = pipeline.evaluation_batches(data, "test").as_numpy_iterator()
    row = measure.profile(options.model, test).as_row()
    if options.json:
        print(json.dumps(row, indent=1))
        return
    for name, value in row.items():
        if value is not None:
            print(f"{name:<16} {value}")


def _add_export(commands):
    export = commands.add_parser("export", help="write a .keras model for deployment")
    export.add_argument("model", type=Path, help="a .keras file")
    export.add_argument("out", type=Path, help="a .tflite file or a SavedModel folder")
    export.add_argument("--precision", default="float32", metavar="NAME")
    export.add_argument(
        "--data",
        metavar="NAME",
        help=f"calibrates int8 on train images of: {DATA_HELP}",
    )
    export.set_defaults(run=_export)


def _export(options):
    _start_tensorflow()

    import architectures  # noqa: F401, registers the layers that a .keras file may hold
    from compression import export

    model = export.load(options.model).model
    if model is None:
        raise ValueError(
            f"{options.model} was exported already: give the .keras file it came from"
        )
    calibration = None
    if options.data:
        from experiments.data import load, pipeline

        train = pipeline.evaluation_batches(load(options.data), "train", batch_size=64)
        calibration = train.take(4)
    if options.out.suffix == ".tflite":
        export.litert(
            model, options.out, precision=options.precision, calibration=calibration
        )
    else:
        export.saved_model(model, options.out, weights=options.precision)
    print(options.out)


def _add_report(commands):
    report = commands.add_parser("report", help="write a run folder's report again")
    report.add_argument("run_folder", metavar="RUN", type=Path)
    report.set_defaults(run=_report)


def _report(options):
    _show_report(options.run_folder)


def _show_report(run):
    from experiments import report

    page = report.write(run)
    print(f"{report.summary(run)}\nReport: {page}")


def _add_table(commands):
    table = commands.add_parser(
        "table",
        help="make the tables of a Markdown file anew from the committed records",
    )
    table.add_argument("file", type=Path, nargs="?", default=Path("README.md"))
    table.add_argument("--check", action="store_true", help="only compare; 2 if not")
    table.add_argument(
        "--record", metavar="RUN", type=Path, help="first keep this run's records"
    )
    table.set_defaults(run=_table)


def _table(options):
    from experiments import records

    if options.record:
        for path in records.record(options.record):
            print(path)
    if not options.file.exists():
        raise FileNotFoundError(f"there is no file {options.file}")
    records.update(options.file, check=options.check)


def _add_bench(commands):
    bench = commands.add_parser("bench", help="ratios of speed against peers")
    kinds = bench.add_subparsers(required=True, metavar="BENCHMARK")
    nets = kinds.add_parser(
        "nets",
        help="our nets against PyTorch and plain Keras",
        description="Training and inference in turns, in one run. PyTorch takes part "
        "where it is installed.",
    )
    nets.add_argument("--only", metavar="A,B", help="nets (all that are timed)")
    _add_turns_options(nets)
    nets.set_defaults(run=_bench_nets)
    distill = kinds.add_parser(
        "distill",
        help="our distiller against Keras's and PyTorch",
        description="A ResNet-56 teaches a small AlexNet, with and without cache, with "
        "and without hints, in turns, in one run. PyTorch takes part where it is "
        "installed.",
    )
    _add_turns_options(distill)
    distill.set_defaults(run=_bench_distill)


def _add_turns_options(command):
    """What is asked of every benchmark."""
    command.add_argument("--rounds", metavar="N", type=_positive)
    command.add_argument(
        "--threads", metavar="N", type=_positive, help="of each framework (all cores)"
    )
    command.add_argument("--batch", metavar="N", type=_positive, help="images at once")
    command.add_argument("--quick", action="store_true", help="does everything run?")
    command.add_argument("--json", action="store_true", help="print JSON")


def _bench_nets(options):
    _start_tensorflow()
    from experiments.benchmarks import nets, nets_table

    only = options.only.split(",") if options.only else None
    _in_turns(partial(nets.run, only), nets_table.as_text, options)


def _bench_distill(options):
    _start_tensorflow()
    from experiments.benchmarks import distill, distill_table

    _in_turns(distill.run, distill_table.as_text, options)


def _in_turns(run, as_text, options):
    import json

    from experiments.benchmarks.progress import tell

    result = run(
        rounds=options.rounds,
        threads=options.threads or len(os.sched_getaffinity(0)),
        batch=options.batch,
        quick=options.quick,
        say=tell,
    )
    tell("")
    print(json.dumps(result, indent=1) if options.json else as_text(result))


def _shape(text):
    try:
        return tuple(_positive(side) for side in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be as 32,32,3, got {text}") from error


def _positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


if __name__ == "__main__":
    sys.exit(main())
