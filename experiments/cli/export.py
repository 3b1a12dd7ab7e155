"""`limbeck export`: a .keras file, written for deployment, or as small as it gets."""

import sys

from experiments.cli import model_data, unseen
from experiments.cli.agreement import agreement_on_stderr
from experiments.cli.file_size import size_line
from experiments.cli.options import (
    model_file,
    names,
    path,
    points,
    require_file,
    start_tensorflow,
    typed,
)

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
UNCALIBRATED = ("float32", "float16", "dynamic")
FEW = 1000  # validation images, below which all choose


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
        help="a .keras or .limbeck file, or RUN:STAGE; for an OUT that ends in .h a "
        ".tflite file",
    )
    command.add_argument(
        "out",
        metavar="OUT",
        type=path,
        help="a .tflite file, a C header (.h), an archive (.limbeck) or a SavedModel "
        "folder",
    )
    command.add_argument(
        "--precision",
        metavar="NAME",
        help="of .tflite: float32, float16, dynamic, int8, int16x8; of a SavedModel: "
        "float32, float16, int8 (float32)",
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
        "--weight-bits", type=int, metavar="N", help="of int8: 8, 4 (8)"
    )
    command.add_argument(
        "--skip",
        metavar="A,B",
        help="with --calibration-method: layers, or patterns, that stay float32",
    )
    command.add_argument(
        "--max-drop",
        type=points,
        metavar="POINTS",
        help="of .limbeck: weights are rounded, and at most so many points of top-1 "
        "accuracy are lost on validation images of --data; of 1,000 or more a quarter "
        "is kept back, and says what others lose",
    )
    model_data.add_options(command, "calibrates int8 on train images of")
    command.set_defaults(run=run)


# Options that only some kinds of OUT have.
CHOICES = (
    *("precision", "float_ends", "calibration_method", "weight_bits", "skip"),
    "max_drop",
)


def run(options):
    fixes_size = options.out.suffix not in (".h", ".limbeck")
    model_data.check(options, open_size=fixes_size)
    writer, check = {
        ".h": (_write_header, _check_header),
        ".limbeck": (_write_archive, _check_archive),
        ".tflite": (_write_litert, _check_litert),
    }.get(options.out.suffix, (_write_saved_model, _check_saved_model))
    check(options)
    if writer is not _write_saved_model:
        require_file(options.out)
    start_tensorflow()
    import architectures  # noqa: F401, registers the layers that a .keras file may hold

    writer(options)
    if options.out.suffix != ".h":  # whose text takes six times what it compiles to
        print(size_line(options.out), file=sys.stderr)
    print(options.out)


def _check_header(options):
    given = typed(options, (*CHOICES, "data"))
    if given:
        raise ValueError(
            f"a C header holds a .tflite file as it is: leave out {', '.join(given)}"
        )
    if options.model.suffix != ".tflite":
        raise ValueError(
            f"a C header is made of a .tflite file, got {options.model}: export that "
            "first"
        )


def _check_archive(options):
    if typed(options, (name for name in CHOICES if name != "max_drop")):
        raise ValueError(
            "an archive holds the weights as they are, or rounded by --max-drop: "
            "--precision and the rest are of other files"
        )
    if (options.max_drop is None) != (options.data is None):
        raise ValueError(
            "--max-drop and --data go together: accuracy is counted on the validation "
            "images of --data"
        )
    if options.max_drop is not None and options.max_drop >= 100:
        raise ValueError(
            f"--max-drop must be below 100 points, got {options.max_drop:g}"
        )


def _check_litert(options):
    _refuse_max_drop(options)
    precision = options.precision or "float32"
    if options.data and precision in UNCALIBRATED:
        raise ValueError(f"{precision} looks at no images: leave out --data")
    if options.skip and not (options.calibration_method or options.weight_bits):
        raise ValueError("--skip goes with --calibration-method")


def _check_saved_model(options):
    _refuse_max_drop(options)
    if options.out.suffix.lower() in OTHER_FILES:
        raise ValueError(
            f"limbeck writes no {options.out.suffix} file: OUT must end in .tflite, .h "
            f"or .limbeck, or be the folder of a SavedModel, got {options.out}"
        )
    if options.float_ends:
        raise ValueError("--float-ends is of .tflite files: a SavedModel has them")
    if typed(options, ("calibration_method", "weight_bits", "skip")):
        raise ValueError(
            "--calibration-method, --weight-bits and --skip are of .tflite files: a "
            "SavedModel holds int8 weights only, which need no calibration"
        )
    if options.data:
        raise ValueError("a SavedModel looks at no images: leave out --data")


def _refuse_max_drop(options):
    if options.max_drop is not None:
        raise ValueError(
            f"--max-drop is of archives: OUT must end in .limbeck, got {options.out}"
        )


def _write_litert(options):
    from compression import export
    from experiments.data import pipeline

    model = model_data.model_of(options)
    data = calibration = None
    if options.data:
        runner = export.of_model(model, options.model)
        data = model_data.load_for(runner, options, labelled=False)
        train = pipeline.evaluation_batches(data, "train", batch_size=64)
        calibration = train.take(4)
    model = model_data.sized(model, options, data)
    known = model_data.known_of(options, data, model.input_shape[1:])
    with agreement_on_stderr():
        export.litert(
            model,
            options.out,
            precision=options.precision or "float32",
            calibration=calibration,
            float_ends=options.float_ends,
            calibration_method=options.calibration_method,
            weight_bits=8 if options.weight_bits is None else options.weight_bits,
            skip=names(options.skip) or (),
        )
    model_data.write_deployment(options.out, known)


def _write_saved_model(options):
    from compression import export

    model = model_data.sized(model_data.model_of(options), options)
    known = model_data.known_of(options, image_shape=model.input_shape[1:])
    export.saved_model(model, options.out, weights=options.precision or "float32")
    model_data.write_deployment(options.out, known)


def _write_archive(options):
    from compression import export
    from experiments import deployment
    from experiments.data import pipeline

    model = export.load_model(options.model)
    known = deployment.of_file(options.model)
    about, others = {} if known is None else known.of_archive(), []
    if options.data:
        data = model_data.load_for(export.of_model(model, options.model), options)
        model = _as_logits(model)
        validation, others = _some_apart(pipeline.first_batches(data, "validation"))
        about = deployment.Deployment.of(data).of_archive() | {
            "max_drop": options.max_drop / 100,
            "data": validation,
            "log": lambda line: print(f"  {line}", file=sys.stderr),
        }
    export.archive(model, options.out, **about)
    if not about.get("class_names"):  # else it says itself what its images are
        model_data.write_deployment(options.out, None)
    if others:
        unseen.judge(model, options.out, others, options.max_drop, "", sys.stderr)


def _some_apart(validation):
    """A quarter of many images chooses nothing; few are all needed for the choice."""
    count = sum(len(labels) for _, labels in validation)
    others = min(count // 4, unseen.OTHERS) if count >= FEW else 0
    return unseen.apart(validation, count - others)


def _as_logits(model):
    """Of a model that ends in a softmax, or in one output for two classes."""
    from experiments.stages.heads import class_logits

    logits = class_logits(model)
    if logits is not model:
        what = "the softmax is taken off: the archive's model gives logits"
        if model.output_shape[-1] == 1:
            what = "the archive's model gives two logits in place of one output"
        print(f"limbeck: {what}", file=sys.stderr)
    return logits


def _write_header(options):
    from compression import export, measure

    runner = export.load(options.model)
    board = measure.board(runner)
    if board.arena_bytes is None:
        print(f"limbeck: the arena is not known: {board.refusal}", file=sys.stderr)
    export.micro(options.model, options.out, arena_bytes=board.arena_bytes)
