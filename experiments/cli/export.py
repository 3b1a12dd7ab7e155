"""`limbeck export`: a .keras file, written for deployment, or as small as it gets."""

import sys

from experiments.cli import model_data
from experiments.cli.agreement import agreement_on_stderr
from experiments.cli.options import model_file, path, start_tensorflow

EXAMPLES = """
limbeck export net.keras net.tflite
limbeck export net.keras net.tflite --precision int8 --data mnist5k
limbeck export net.keras saved_model --precision float16
limbeck export net.tflite net.h     # a C array for TensorFlow Lite Micro
limbeck export net.keras net.limbeck  # entropy-coded, without loss
limbeck export net.keras net.limbeck --max-drop 0.1 --data mnist5k
limbeck export net.limbeck net.tflite
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
        description="As LiteRT (TFLite) where OUT ends in .tflite, as a C array of "
        "such a file where it ends in .h, as an entropy-coded archive where it ends in "
        ".limbeck, else as a SavedModel.",
        examples=EXAMPLES,
    )
    command.add_argument(
        "model",
        metavar="MODEL",
        type=model_file,
        help="a .keras or .limbeck file; for an OUT that ends in .h a .tflite file",
    )
    command.add_argument(
        "out",
        metavar="OUT",
        type=path,
        help="a .tflite file, a C header (.h), an archive (.limbeck) or a SavedModel "
        "folder",
    )
    command.add_argument(
        "--precision", default="float32", metavar="NAME", help="(float32)"
    )
    command.add_argument(
        "--float-ends",
        action="store_true",
        help="an int8 file takes and gives float32",
    )
    command.add_argument(
        "--calibration-method",
        metavar="NAME",
        help="of int8: minmax, percentile, mse, kl (the converter's own, of minmax)",
    )
    command.add_argument(
        "--weight-bits", type=int, default=8, metavar="N", help="of int8: 8, 4 (8)"
    )
    command.add_argument(
        "--max-drop",
        type=float,
        metavar="POINTS",
        help="of .limbeck: weights are rounded, and at most so many points of top-1 "
        "accuracy are lost on the validation images of --data",
    )
    model_data.add_options(command, "calibrates int8 on train images of")
    command.set_defaults(run=run)


def run(options):
    start_tensorflow()
    import architectures  # noqa: F401, registers the layers that a .keras file may hold
    from compression import export
    from experiments import deployment
    from experiments.data import pipeline

    if options.out.suffix == ".h":
        _write_header(options)
        return
    if options.out.suffix == ".limbeck":
        _write_archive(options)
        return
    if options.max_drop is not None:
        raise ValueError(
            f"--max-drop is of archives: OUT must end in .limbeck, got {options.out}"
        )
    lite = options.out.suffix == ".tflite"
    if not lite and options.out.suffix.lower() in OTHER_FILES:
        raise ValueError(
            f"limbeck writes no {options.out.suffix} file: OUT must end in .tflite, .h "
            f"or .limbeck, or be the folder of a SavedModel, got {options.out}"
        )
    model = export.load_model(options.model)
    calibration = None
    if options.data:
        data = model_data.load_for(export.of_model(model, options.model), options)
        train = pipeline.evaluation_batches(data, "train", batch_size=64)
        calibration = train.take(4)
    if lite:
        with agreement_on_stderr():
            export.litert(
                model,
                options.out,
                precision=options.precision,
                calibration=calibration,
                float_ends=options.float_ends,
                calibration_method=options.calibration_method,
                weight_bits=options.weight_bits,
            )
    else:
        if options.float_ends:
            raise ValueError("--float-ends is of .tflite files: a SavedModel has them")
        if options.calibration_method or options.weight_bits != 8:
            raise ValueError(
                "--calibration-method and --weight-bits are of .tflite files: a "
                "SavedModel holds int8 weights only, which need no calibration"
            )
        export.saved_model(model, options.out, weights=options.precision)
    known = deployment.of_file(options.model)
    if known is not None:
        known.write_beside(options.out)
    print(options.out)


def _write_archive(options):
    from compression import export
    from experiments import deployment
    from experiments.data import pipeline

    chosen = options.precision != "float32" or options.float_ends
    if chosen or options.calibration_method or options.weight_bits != 8:
        raise ValueError(
            "an archive holds the weights as they are, or rounded by --max-drop: "
            "--precision and the rest are of other files"
        )
    if (options.max_drop is None) != (options.data is None):
        raise ValueError(
            "--max-drop and --data go together: accuracy is counted on the validation "
            "images of --data"
        )
    model = export.load_model(options.model)
    known = deployment.of_file(options.model)
    about = {} if known is None else known.of_archive()
    if options.data:
        data = model_data.load_for(export.of_model(model, options.model), options)
        about |= {
            "max_drop": options.max_drop / 100,
            "data": pipeline.first_batches(data, "validation"),
            "log": lambda line: print(f"  {line}", file=sys.stderr),
        }
    export.archive(model, options.out, **about)
    print(options.out)


def _write_header(options):
    from compression import export, measure

    if options.model.suffix != ".tflite":
        raise ValueError(
            f"a C header is made of a .tflite file, got {options.model}: export that "
            "first"
        )
    runner = export.load(options.model)
    board = measure.board(runner)
    if board.arena_bytes is None:
        print(f"limbeck: the arena is not known: {board.refusal}", file=sys.stderr)
    export.micro(options.model, options.out, arena_bytes=board.arena_bytes)
    print(options.out)
