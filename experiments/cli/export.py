"""`limbeck export`: a .keras file, written for deployment."""

from experiments.cli import model_data
from experiments.cli.options import path, start_tensorflow

EXAMPLES = """
limbeck export net.keras net.tflite
limbeck export net.keras net.tflite --precision int8 --data mnist5k
limbeck export net.keras saved_model --precision float16
"""
# Of model files of other kinds: nobody means a folder by them, nor by ".TFLITE".
OTHER_FILES = {
    *(".onnx", ".pb", ".h5", ".hdf5", ".keras", ".pt", ".pth", ".safetensors"),
    *(".tflite", ".lite", ".tfl", ".mlmodel", ".mlpackage"),
    *(".engine", ".xml", ".bin", ".zip"),
}


def add(commands):
    command = commands.add_parser(
        "export",
        help="write a .keras model for deployment",
        description="As LiteRT (TFLite) where OUT ends in .tflite, else as a "
        "SavedModel.",
        examples=EXAMPLES,
    )
    command.add_argument("model", metavar="MODEL", type=path, help="a .keras file")
    command.add_argument(
        "out", metavar="OUT", type=path, help="a .tflite file or a SavedModel folder"
    )
    command.add_argument(
        "--precision", default="float32", metavar="NAME", help="(float32)"
    )
    model_data.add_options(command, "calibrates int8 on train images of")
    command.set_defaults(run=run)


def run(options):
    start_tensorflow()
    import architectures  # noqa: F401, registers the layers that a .keras file may hold
    from compression import export
    from experiments import deployment
    from experiments.data import pipeline

    lite = options.out.suffix == ".tflite"
    if not lite and options.out.suffix.lower() in OTHER_FILES:
        raise ValueError(
            f"limbeck writes no {options.out.suffix} file: OUT must end in .tflite, or "
            f"be the folder of a SavedModel, got {options.out}"
        )
    runner = export.load(options.model)
    if runner.model is None:
        raise ValueError(
            f"{options.model} was exported already: give the .keras file it came from"
        )
    calibration = None
    if options.data:
        data = model_data.load_for(runner, options)
        train = pipeline.evaluation_batches(data, "train", batch_size=64)
        calibration = train.take(4)
    if lite:
        export.litert(
            runner.model,
            options.out,
            precision=options.precision,
            calibration=calibration,
        )
    else:
        export.saved_model(runner.model, options.out, weights=options.precision)
    known = deployment.beside(options.model)
    if known is not None:
        known.write_beside(options.out)
    print(options.out)
