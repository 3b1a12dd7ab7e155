"""`limbeck cluster`: a .keras file whose weights share a few values, trained on."""

from experiments.cli import model_data, training
from experiments.cli.options import add_model, names, path

EXAMPLES = """
limbeck cluster net.keras --data mnist5k --clusters 16 --out shared.keras
limbeck cluster net.keras --data mnist5k --scope channel --out b.keras
limbeck cluster net.keras --data mnist5k --reassign --out c.keras
limbeck cluster net.keras --data mnist5k --engine tfmot --out d.keras
"""


def add(commands):
    command = commands.add_parser(
        "cluster",
        help="train a .keras model on with few values for its weights",
        description="Writes a .keras file of the same layers, each kernel of which has "
        "few values: it zips to less. Zeros that are there stay.",
        examples=EXAMPLES,
    )
    add_model(command)
    model_data.add_options(command, "images to train on, of")
    command.add_argument(
        "--clusters", metavar="N", type=int, default=16, help="values of a kernel (16)"
    )
    command.add_argument(
        "--scope",
        metavar="NAME",
        default="layer",
        help="who shares values: layer, channel; of limbeck's engine also global "
        "(layer)",
    )
    command.add_argument(
        "--exempt", metavar="A,B", help="layers, or patterns, that are left alone"
    )
    command.add_argument(
        "--reassign",
        action="store_true",
        help="let a weight go to another value that becomes nearer, as tfmot does; "
        "else those that share one do so to the end",
    )
    command.add_argument(
        "--engine", metavar="NAME", help="limbeck, or tfmot through tf_keras (limbeck)"
    )
    training.add_options(command)
    command.add_argument(
        "--out", metavar="FILE", type=path, help="the .keras file to write"
    )
    command.set_defaults(run=run)


def run(options):
    training.require(options, ".keras")
    if options.reassign and training.engine(options) == "tfmot":
        raise ValueError("tfmot always reassigns weights: leave out --reassign")
    with training.done(
        options,
        _kinds,
        clusters=options.clusters,
        scope=options.scope,
        exempt=tuple(names(options.exempt) or ()),
        exports=(),
        **({"reassign": True} if options.reassign else {}),
    ) as found:
        training.write(found, found.home.model, options.out)


def _kinds():
    from experiments.stages.cluster import Cluster
    from experiments.stages.tfmot import TfmotCluster

    return {"limbeck": Cluster, "tfmot": TfmotCluster}
