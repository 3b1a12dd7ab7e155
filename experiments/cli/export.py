"""`limbeck export`: a .keras file, written for deployment."""

from pathlib import Path

from experiments.cli.options import DATA_HELP, start_tensorflow

EXAMPLES = """
limbeck export net.keras net.tflite
limbeck export net.keras net.tflite --precision int8 --data mnist5k
limbeck export net.keras saved_model --precision float16
"""


def add(commands):
    command = commands.add_parser(
        "export",
        help="write a .keras model for deployment",
        description="As LiteRT (TFLite) where OUT ends in .tflite, else as a "
        "SavedModel.",
        examples=EXAMPLES,
    )
    command.add_argument("model", metavar="MODEL", type=Path, help="a .keras file")
    command.add_argument(
        "out", metavar="OUT", type=Path, help="a .tflite file or a SavedModel folder"
    )
    command.add_argument(
        "--precision", default="float32", metavar="NAME", help="(float32)"
    )
    command.add_argument(
        "--data",
        metavar="NAME",
        help=f"calibrates int8 on train images of: {DATA_HELP}",
    )
    command.set_defaults(run=run)


def run(options):
    start_tensorflow()
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
