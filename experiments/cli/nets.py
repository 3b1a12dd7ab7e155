"""`limbeck nets`: the catalogue, or one of its nets layer by layer."""

import json

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
limbeck nets --json
"""


def add(commands):
    command = commands.add_parser(
        "nets",
        help="the catalogue of nets; or one of them layer by layer, and drawn",
        description="Without NET the catalogue: papers, parameters, multiply-"
        "accumulates, published accuracy and weights. With NET its layers.",
        examples=EXAMPLES,
    )
    command.add_argument("net", metavar="NET", nargs="?", help="one of the catalogue's")
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
    model = listing.build(
        options.net, options.input_shape, options.classes, settings=options.set
    )
    if options.draw:
        drawing.draw(model, options.draw)
    if options.json:
        print(json.dumps(listing.as_dict(options.net, model), indent=1))
        return
    print(listing.layers_text(model))
    if options.draw:
        print(f"Drawing: {options.draw}")
