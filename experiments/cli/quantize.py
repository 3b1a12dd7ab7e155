"""`limbeck quantize`: an integer file of a .keras model; or what each layer costs."""

import sys

from experiments.cli import model_data, quantize_aware, training, unseen
from experiments.cli.agreement import agreement_on_stderr
from experiments.cli.options import (
    add_model,
    names,
    path,
    points,
    positive,
    require_free,
    start_tensorflow,
    typed,
)

EXAMPLES = """
limbeck quantize net.keras --data mnist5k --out int8.tflite
limbeck quantize net.keras --data mnist5k --precision int4 --out int4.tflite
limbeck quantize net.keras --data mnist5k --explain --draw costs.png
limbeck quantize net.keras --data mnist5k --max-drop 0.5 --out mixed.tflite
limbeck quantize net.keras --data mnist5k --plan plan.json --out edited.tflite
limbeck quantize net.keras --data mnist5k --aware --epochs 5 --out qat.tflite
"""
# int4: weights of 4 bits, activations of 8.
CALIBRATED, UNCALIBRATED = ("int8", "int4", "int16x8"), ("dynamic", "float16")
PRECISIONS = (*CALIBRATED, *UNCALIBRATED)
BATCH = 64
CALIBRATION = 256  # train images, from which ranges are read
IMAGES = 256  # of validation, on which costs are measured
CHECKED = 1024  # more of validation, at most, on which a bound is checked
WRITING = ("precision", "plan", "out", "engine", "float_ends")


def add(commands):
    command = commands.add_parser(
        "quantize",
        help="write a .keras model in few bits; or explain what each layer costs",
        description="Writes a .tflite file whose ranges come from train images. With "
        "--max-drop layers get 4 or 8 bits, or stay float, as validation images allow, "
        "and NAME.plan.json beside the file says which; it may be edited. Weights of 4 "
        "bits make a file smaller, not faster: LiteRT unpacks them in every call. With "
        "--aware the model is trained on with its rounding first.",
        examples=EXAMPLES,
    )
    add_model(command)
    model_data.add_options(command, "images of")
    command.add_argument(
        "--explain",
        action="store_true",
        help="print what each layer costs when it alone is quantized, no more",
    )
    command.add_argument(
        "--draw", metavar="FILE", type=path, help="and draw it to a .svg or .png"
    )
    command.add_argument(
        "--precision",
        metavar="NAME",
        help=f"of all layers: {', '.join(PRECISIONS)} (int8)",
    )
    command.add_argument(
        "--max-drop",
        metavar="POINTS",
        type=points,
        help="mix precisions: so much top-1 may be lost on validation images",
    )
    command.add_argument(
        "--plan", metavar="FILE", type=path, help="carry out this plan, perhaps edited"
    )
    command.add_argument(
        "--skip", metavar="A,B", help="layers, or patterns, that stay float32"
    )
    command.add_argument(
        "--images",
        metavar="N",
        type=positive,
        help=f"of validation, on which costs are measured ({IMAGES}); "
        f"--max-drop is checked on {CHECKED:,} more",
    )
    command.add_argument(
        "--float-ends", action="store_true", help="the file takes and gives float32"
    )
    command.add_argument(
        "--engine",
        metavar="NAME",
        help="converter, or litert-quantizer (int8, dynamic) (converter); of --aware "
        "limbeck, or tfmot through tf_keras (limbeck)",
    )
    command.add_argument(
        "--aware", action="store_true", help="train on with the rounding of the file"
    )
    training.add_options(command)
    command.add_argument(
        "--out", metavar="FILE", type=path, help="the .tflite file to write"
    )
    command.set_defaults(run=run)


def run(options):
    model_data.check(options, open_size=not (options.aware or options.explain))
    if options.aware:
        quantize_aware.run(options)
        return
    if given := typed(options, training.DEFAULTS):
        raise ValueError(f"nothing is trained without --aware: {', '.join(given)}")
    (_check_explaining if options.explain else _check_writing)(options)
    start_tensorflow()
    import architectures  # noqa: F401, registers the layers that a .keras file may hold
    from compression import export, quantization

    model = model_data.model_of(options)
    if options.engine not in (None, *export.ENGINES):
        raise ValueError(
            f"no engine called {options.engine!r}; choose from "
            f"{', '.join(export.ENGINES)}; with --aware from "
            f"{', '.join(training.ENGINES)}"
        )
    plan = quantization.load_precision_plan(options.plan) if options.plan else None
    data = None
    if options.data:
        measures = options.explain or plan or options.max_drop is not None
        runner = export.of_model(model, options.model)
        data = model_data.load_for(runner, options, labelled=bool(measures))
    model = model_data.sized(model, options, data)
    if options.explain:
        _explain(model, data, options)
        return
    known = model_data.known_of(options, data, model.input_shape[1:])
    if plan or options.max_drop is not None:
        _write_by_plan(model, data, plan, options)
    else:
        _write(model, data, options)
    model_data.write_deployment(options.out, known)
    print(f"{options.out.stat().st_size:,} bytes\n{options.out}")
    if options.max_drop is not None:
        print(_plan_beside(options.out))


def _check_explaining(options):
    given = [f"--{x.replace('_', '-')}" for x in WRITING if vars(options)[x]]
    given += ["--max-drop"] * (options.max_drop is not None)
    if given:
        raise ValueError(f"--explain writes no file: leave out {', '.join(given)}")
    if not options.data:
        raise ValueError("what a layer costs is seen on images: give --data")
    if options.draw:
        from experiments.nets.picture_file import check_path

        check_path(options.draw)


def _check_writing(options):
    precision = options.precision or "int8"
    if options.draw:
        raise ValueError("--draw is a picture of the costs: give --explain")
    if precision not in PRECISIONS:
        raise ValueError(
            f"no precision called {precision!r}; choose from {', '.join(PRECISIONS)}"
        )
    by_plan = options.max_drop is not None or options.plan is not None
    if by_plan:
        _check_plan(options)
    elif options.skip and precision != "int4":
        raise ValueError("--skip goes with --explain, --max-drop or --precision int4")
    elif options.images:
        raise ValueError(
            "--images are those on which --explain, --max-drop and --plan measure: "
            "leave it out"
        )
    if options.float_ends and precision in (*UNCALIBRATED, "int16x8"):
        raise ValueError(
            f"{precision} takes and gives float32 already: leave out --float-ends"
        )
    if not options.data and (by_plan or precision in CALIBRATED):
        raise ValueError(
            "ranges are read from train images: give --data, such as --data cifar10 or "
            "--data folder:PATH"
        )
    if options.data and not by_plan and precision in UNCALIBRATED:
        raise ValueError(f"{precision} looks at no images: leave out --data")
    if options.out is None or options.out.suffix != ".tflite":
        raise ValueError(f"--out must be the .tflite file to write, got {options.out}")
    beside = [_plan_beside(options.out)] if options.max_drop is not None else []
    require_free(options.out, *beside)


def _check_plan(options):
    given = {
        "--max-drop": options.max_drop is not None,
        "--plan": options.plan,
        "--precision": options.precision,
    }
    given = [name for name, is_there in given.items() if is_there]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} each say which bits: give one of them")
    if options.engine not in (None, "converter"):
        raise ValueError("plans are carried out by the converter: leave out --engine")
    if options.plan and options.skip:
        raise ValueError("--plan says what stays float32: leave out --skip")


def _plan_beside(out):
    return out.with_name(f"{out.stem}.plan.json")


def _explain(model, data, options):
    from compression import quantization
    from experiments.benchmarks.progress import report_progress
    from experiments.nets import layer_costs

    validation = _validation(data, options)
    rows = quantization.sensitivity(
        model,
        validation,
        calibration=_train(data),
        skip=names(options.skip) or (),
        log=report_progress,
    )
    report_progress("")
    count = sum(len(labels) for _, labels in validation)
    print(layer_costs.as_text(model.name, rows, count))
    if options.draw:
        layer_costs.draw(model.name, rows, options.draw)
        print(f"\nDrawing: {options.draw}")


def _write(model, data, options):
    from compression import export, quantization

    precision = options.precision or "int8"
    calibration = _train(data) if precision in CALIBRATED else None
    if precision == "int4":
        model = quantization.quantize_aware(
            model, bits=4, calibration=calibration, skip=names(options.skip) or ()
        )
        precision, calibration = "int8", None
    with agreement_on_stderr():
        export.litert(
            model,
            options.out,
            precision=precision,
            calibration=calibration,
            float_ends=options.float_ends,
            **({"engine": options.engine} if options.engine else {}),
        )


def _write_by_plan(model, data, plan, options):
    from compression import export, quantization
    from experiments.benchmarks.progress import report_progress
    from experiments.nets import layer_costs

    calibration, others = _train(data), []
    validation = _validation(
        data, options, CHECKED + unseen.OTHERS if plan is None else 0
    )
    if plan is None:
        ranking = options.images or IMAGES
        validation, others = unseen.apart(validation, ranking + CHECKED)
        found = quantization.mixed_precision(
            model,
            validation,
            max_drop=options.max_drop,
            ranking=ranking,
            calibration=calibration,
            skip=names(options.skip) or (),
            log=report_progress,
        )
        report_progress("")
        plan = found.plan
        print(layer_costs.choice_in_words(found))
    quantized = quantization.quantize_by_plan(model, plan, calibration)
    export.litert(
        quantized, options.out, precision="int8", float_ends=options.float_ends
    )
    if not options.plan:
        plan.save(_plan_beside(options.out))
    lost, _ = unseen.lost(model, options.out, validation, "validation images")
    if options.max_drop is not None and lost > options.max_drop + 1e-9:
        print(
            f"limbeck: the file loses {lost:.2f} points, more than "
            f"{options.max_drop:g}: kernels round once more than the net they were "
            "chosen by; give a narrower bound, or more --images",
            file=sys.stderr,
        )
    elif others:
        unseen.judge(model, options.out, others, options.max_drop, ", or more --images")


def _train(data):
    from experiments.data import pipeline

    batches = pipeline.first_batches(data, "train", CALIBRATION, batch_size=BATCH)
    return [images for images, _ in batches]


def _validation(data, options, more=0):
    from experiments.data import pipeline

    count = (options.images or IMAGES) + more
    return pipeline.first_batches(data, "validation", count, batch_size=BATCH)
