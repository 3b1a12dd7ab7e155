"""`limbeck measure`: size, latency and accuracy of a model file."""

import json
from pathlib import Path

from experiments.cli.options import (
    DATA_HELP,
    add_image_size,
    add_json,
    start_tensorflow,
)

EXAMPLES = """
limbeck measure net.tflite          # size, MACs, latency
limbeck measure net.tflite --data mnist5k  # and accuracy on the test images
limbeck measure net.keras --json
"""


def add(commands):
    command = commands.add_parser(
        "measure",
        help="size, latency and accuracy of a model file",
        description="Parameters, multiply-accumulates, bytes as they are and zipped, "
        "latency of one image; with --data, accuracy on its test images.",
        examples=EXAMPLES,
    )
    command.add_argument(
        "model", metavar="MODEL", type=Path, help=".keras, .tflite or SavedModel"
    )
    command.add_argument("--data", metavar="NAME", help=f"test images of: {DATA_HELP}")
    add_image_size(command)
    add_json(command)
    command.set_defaults(run=run)


def run(options):
    start_tensorflow()
    import architectures  # noqa: F401, registers the layers that a .keras file may hold
    from compression import measure

    test = None
    if options.data:
        from experiments.data import load, pipeline

        data = load(options.data, image_size=options.image_size)
        test = pipeline.evaluation_batches(data, "test").as_numpy_iterator()
    profile = measure.profile(options.model, test, image_size=options.image_size)
    row = profile.as_row()
    if options.json:
        print(json.dumps(row, indent=1))
        return
    for name, value in row.items():
        if value is not None:
            print(f"{name:<16} {value}")
