"""`limbeck nets`: the catalogue, or a net layer by layer: one of it, or any other."""

import json

from experiments.cli import model_names
from experiments.cli.options import (
    add_json,
    add_set,
    path,
    positive,
    shape,
    start_tensorflow,
)

EXAMPLES = """
limbeck nets                        # the catalogue, with sources
limbeck nets resnet20 --draw resnet20.svg  # its layers, and a picture
limbeck nets resnet20 --input-shape 64,64,1 --classes 7 --set shortcut=B
limbeck nets net.keras              # your own: where weights and MACs are
limbeck nets "keras.applications:MobileNetV2(alpha=0.5)" --input-shape 96,96,3
limbeck nets --json
"""


def add(commands):
    command = commands.add_parser(
        "nets",
        help="the catalogue of nets; or any net layer by layer, and drawn",
        description="Without NET the catalogue: papers, parameters, multiply-"
        "accumulates, published accuracy and weights. With NET its layers. NET is "
        f"{model_names.HELP}.",
        examples=EXAMPLES,
    )
    command.add_argument(
        "net", metavar="NET", nargs="?", help="whose layers are listed"
    )
    command.add_argument(
        "--input-shape", metavar="H,W,C", type=shape, help="such as 32,32,3"
    )
    command.add_argument("--classes", metavar="N", type=positive, help="logits")
    add_set(
        command,
        "OPTION=VALUE",
        help="an option of the net, as in shortcut=B; may be repeated",
    )
    command.add_argument(
        "--draw", metavar="FILE", type=path, help="draw the graph to a .png or .svg"
    )
    add_json(command)
    command.set_defaults(run=run)


def run(options):
    if options.net is None:
        _show_catalogue(options)
    else:
        _show_net(options)


def _show_catalogue(options):
    of_a_net = ("input_shape", "classes", "set", "draw")
    given = [f"--{name.replace('_', '-')}" for name in of_a_net if vars(options)[name]]
    if given:
        raise ValueError(f"{', '.join(given)}: of which net? limbeck nets NET ...")
    start_tensorflow()
    from experiments.nets import listing

    if options.json:
        print(json.dumps(listing.catalogue(), indent=1))
    else:
        print(listing.catalogue_text())


def _show_net(options):
    start_tensorflow()
    from experiments.nets import drawing, listing, picture_file

    if options.draw:
        picture_file.check_path(options.draw)
    model = _model(options)
    if options.draw:
        drawing.draw(model, options.draw)
    if options.json:
        print(json.dumps(listing.as_dict(options.net, model), indent=1))
        return
    print(listing.layers_text(model))
    if options.draw:
        print(f"Drawing: {options.draw}")


def _model(options):
    """The net in words, of the size and classes that are asked for."""
    from experiments.nets import listing
    from experiments.stages.application import Application
    from experiments.stages.file import File

    start = model_names.start(options.net)
    shape, classes = options.input_shape, options.classes
    if isinstance(start, File):
        given = [f"--{name}" for name in ("classes", "set") if vars(options)[name]]
        if given:
            raise ValueError(f"{start.path} is as it is: leave out {', '.join(given)}")
        return listing.from_file(start.path, shape)
    if isinstance(start, Application):
        if options.set:
            raise ValueError(
                f"give options of {start.name} in brackets, as in "
                f"{model_names.APPLICATIONS}MobileNetV2(alpha=0.5), not by --set"
            )
        return listing.of_keras(start.name, shape, classes, start.options)
    return listing.build(start.name, shape, classes, options.set, start.options)
