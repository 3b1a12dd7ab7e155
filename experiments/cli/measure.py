"""`limbeck measure`: size, latency and accuracy of a model file."""

import json
from functools import partial

from experiments.cli import model_data
from experiments.cli.options import add_json, model_file, start_tensorflow

EXAMPLES = """
limbeck measure net.tflite          # size, MACs, latency
limbeck measure net.tflite --data mnist5k  # and accuracy on the test images
limbeck measure net.keras --data folder:photos --split all
limbeck measure net.keras --data cifar10 --crops ten  # as AlexNet was
limbeck measure net.limbeck         # an archive: what limbeck export wrote
limbeck measure net.keras --json --encoded
"""
LARGER = 8 / 7  # images than their ten crops: 256 px for 224, as in the papers
SPLITS, ALL = ("train", "validation", "test"), "all"


def add(commands):
    command = commands.add_parser(
        "measure",
        help="size, latency and accuracy of a model file",
        description="Parameters, multiply-accumulates, bytes as they are and zipped, "
        "latency of one image, of a .tflite file the RAM that it needs on a board; "
        "with --data, accuracy on its test images. The "
        "deploy.json beside MODEL says how pixels are normalised and what its classes "
        "are.",
        examples=EXAMPLES,
    )
    command.add_argument(
        "model",
        metavar="MODEL",
        type=model_file,
        help=".keras, .tflite, .limbeck, SavedModel or RUN:STAGE",
    )
    model_data.add_options(command, "accuracy on images of")
    command.add_argument(
        "--split",
        choices=(*SPLITS, ALL),
        help="which of the images (test)",
    )
    command.add_argument(
        "--crops",
        choices=("ten",),
        help="accuracy of the mean over corners, centre and their mirror images, of "
        "images an eighth larger",
    )
    command.add_argument(
        "--encoded", action="store_true", help="how large its .limbeck file would be"
    )
    add_json(command)
    command.set_defaults(run=run)


def run(options):
    _check(options)
    start_tensorflow()
    import architectures  # noqa: F401, registers the layers that a .keras file may hold
    from compression import export, measure

    runner = export.load(options.model)
    batches = views = None
    if options.data:
        larger = LARGER if options.crops else 1
        data = model_data.load_for(runner, options, larger=larger)
        split = options.split or "test"
        batches = _batches(data, SPLITS if split == ALL else [split])
        views = _ten_crops(data) if options.crops else None
    profile = measure.profile(
        runner,
        batches,
        image_size=options.image_size,
        views=views,
        encoded=options.encoded,
    )
    row = profile.as_row()
    if options.json:
        print(json.dumps(row, indent=1))
        return
    for name, value in row.items():
        if value is not None:
            print(f"{name:<16} {value}")


def _check(options):
    model_data.check(options, open_size=True)
    if options.data:
        return
    if options.crops:
        raise ValueError("--crops are of images: give --data")
    if options.split:
        raise ValueError("--split is of images: give --data")


def _ten_crops(data):
    from compression import measure

    if not data.flips:
        raise ValueError(
            f"ten crops mirror images, and those of {data.name} mean something else in "
            "a mirror: leave out --crops"
        )
    return partial(measure.ten_crops, size=round(data.image_shape[0] / LARGER))


def _batches(data, splits):
    from experiments.data import pipeline

    for split in splits:
        yield from pipeline.evaluation_batches(data, split).as_numpy_iterator()
