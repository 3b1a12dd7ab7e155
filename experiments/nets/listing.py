"""`limbeck nets`: the catalogue, and one net layer by layer, as text and as JSON."""

import ast
import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from itertools import groupby
from string import ascii_lowercase
from typing import Any

import keras

import architectures
from architectures.catalogue import BUILDERS
from compression import export
from compression.graph import read
from compression.measure import LayerCall, layer_calls
from compression.measure.macs import total_macs
from compression.one_line import first_line
from experiments.stages.images import of_size
from experiments.tables.table import Cell, Column, Table, as_text
from experiments.tables.units import NOTHING, count, scaled

# Whose releases the published weights are, by the beginning of their address.
RELEASES = {
    "https://download.pytorch.org/models/": "torchvision",
    "https://github.com/akamaster/pytorch_resnet_cifar10/": "akamaster",
}
BYTES_OF_A_FLOAT = 4
WIDTH = 110  # characters of a line, as in the report's text


def catalogue() -> list[dict[str, Any]]:
    """The cards of all nets with their names, the oldest paper's first."""
    rows = [
        {"name": name} | dataclasses.asdict(architectures.card(name))
        for name in architectures.names()
    ]
    # Within a paper as one reads them: vgg13_bn after vgg13, resnet110 after resnet56.
    return sorted(
        rows,
        key=lambda row: (
            row["year"],
            row["paper"],
            row["input_shape"],
            row["macs"] or 0,
            row["name"],
        ),
    )


def catalogue_text(width: int = WIDTH) -> str:
    """The catalogue as a table of `width` characters, sources and addresses below."""
    rows = catalogue()
    sources = dict.fromkeys(row["source"] for row in rows if row["source"])
    marks = dict(zip(sources, ascii_lowercase, strict=False))
    table = Table(
        "nets",
        (
            Column("net", numeric=False),
            *map(Column, ("input", "parameters", "MACs", "top-1", "top-5")),
            Column("source", numeric=False),
            Column("weights", numeric=False),
        ),
        tuple(
            (
                Cell(row["name"]),
                Cell(by(row["input_shape"])),
                Cell(count(row["parameters"])),
                Cell(scaled(row["macs"])),
                Cell(_published(row["top1"])),
                Cell(_published(row["top5"])),
                Cell(marks.get(row["source"], "")),
                Cell(_release(row["weights"])),
            )
            for row in rows
        ),
        (),
    )
    heading, rule, *lines = [
        f"  {line}" for line in as_text(table, width - 2).split("\n")
    ]
    out = [heading, rule.strip()]
    # A paper has a line above its nets: a column of titles would take all the room.
    for paper, group in groupby(rows, key=lambda r: f"{r['paper']} ({r['year']})"):
        out += [paper, *(lines.pop(0) for _ in group)]
    out += [
        "",
        "Top-1 and top-5 in percent as published, not measured here; sources:",
        *(f"  {mark}  {source}" for source, mark in marks.items()),
        "MACs: multiply-accumulates of one image in convolutions and dense layers.",
        "Weights that architectures.load_published_weights(model, download=True) gets:",
        *(f"  {name:<11}  {address}..." for address, name in RELEASES.items()),
        "limbeck nets NAME lists a net's layers, with --draw FILE.svg it draws them.",
    ]
    return "\n".join(out)


def build(
    name: str,
    input_shape: tuple[int, ...] | None = None,
    classes: int | None = None,
    settings: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
) -> keras.Model:
    """The net `name`, as in its paper where nothing else is said.

    Args:
        name: one of the catalogue's.
        input_shape: (height, width, channels).
        classes: number of logits.
        settings: further options of the net's own function, as in "shortcut=B".
        options: the same as values; settings go before them.

    Raises:
        ValueError: there is no such net or option, or the net cannot take its value.
    """
    architectures.card(name)
    options = dict(options or {})
    if input_shape is not None:
        options["input_shape"] = input_shape
    if classes is not None:
        options["classes"] = classes
    for setting in settings:
        option, equals, text = setting.partition("=")
        if not equals:
            known = sorted(inspect.signature(BUILDERS[name]).parameters)
            raise ValueError(
                f"{name} has no option {setting!r}; give NAME=VALUE with a name from "
                f"{', '.join(known)}"
            )
        options[option] = _value(text)
    return architectures.build(name, **options)


def of_keras(
    name: str,
    input_shape: tuple[int, ...] | None,
    classes: int | None,
    options: Mapping[str, Any],
) -> keras.Model:
    """A net of `keras.applications` with new weights, as Keras has it but for these.

    Raises:
        ValueError: the net cannot take such a value.
    """
    asked = {"input_shape": input_shape, "classes": classes}
    asked = {key: value for key, value in asked.items() if value is not None}
    fixed = {"weights": None, "classifier_activation": None}
    try:
        return getattr(keras.applications, name)(**{**options, **asked, **fixed})
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {first_line(error)}") from error


def from_file(path: str, input_shape: tuple[int, ...] | None) -> keras.Model:
    """The model in a .keras or .limbeck file; of that size, where it leaves it open.

    Raises:
        FileNotFoundError, ValueError: there is no such model, or it has no graph or
            takes no such images.
    """
    model = export.load_model(path)
    read(model)  # without a graph, no layer has a size
    if input_shape is None:
        if any(None in image.shape[1:] for image in model.inputs):
            raise ValueError(
                f"{path} takes images of any size: say of which its layers are "
                "listed, as in --input-shape 224,224,3"
            )
        return model
    sized = of_size(model, input_shape)
    if tuple(sized.input_shape[1:]) != tuple(input_shape):
        raise ValueError(
            f"{path} takes images of {by(sized.input_shape[1:])}, not "
            f"{by(input_shape)}: leave out --input-shape"
        )
    return sized


def as_dict(name: str, model: keras.Model) -> dict[str, Any]:
    """The net, its card and its layers for JSON; only the catalogue's have a card.

    `inputs` of a layer are the names of the layers whose outputs go in.
    """
    calls = layer_calls(model, partial=True)
    known = name in architectures.names()
    shapes = [list(image.shape[1:]) for image in model.inputs]
    return {
        "name": name,
        "input_shape": shapes[0] if len(shapes) == 1 else shapes,
        "parameters": sum(call.parameters for call in calls),
        "macs": total_macs(calls),
        "card": dataclasses.asdict(architectures.card(name)) if known else None,
        "layers": [
            {
                "name": call.layer.name,
                "kind": type(call.layer).__name__,
                "output_shape": list(call.output_shape[1:]),
                "parameters": call.parameters,
                "macs": call.macs,
                "inputs": [calls[at].layer.name for at in call.inputs],
            }
            for call in calls
        ],
    }


def layers_text(model: keras.Model, width: int = WIDTH) -> str:
    """The layers as a table: output, parameters, MACs, and a layer's inputs.

    A layer whose input is the row above, and nothing else, does not name it.
    """
    calls = layer_calls(model, partial=True)
    parameters = sum(call.parameters for call in calls)
    macs = total_macs(calls)
    table = Table(
        model.name,
        (
            Column("layer", numeric=False),
            Column("kind", numeric=False),
            *map(Column, ("output", "parameters", "MACs")),
            Column("inputs", numeric=False),
        ),
        tuple(
            (
                Cell(call.layer.name),
                Cell(type(call.layer).__name__),
                Cell(by(call.output_shape[1:])),
                Cell(count(call.parameters or None)),
                Cell(count(call.macs or None)),
                Cell(_inputs(at, calls)),
            )
            for at, call in enumerate(calls)
        )
        + ((Cell("total"), Cell(""), Cell(""), Cell(count(parameters)),
            Cell(count(macs)), Cell("")),),
        (
            f"{model.name}: {scaled(parameters)} parameters, "
            f"{scaled(BYTES_OF_A_FLOAT * parameters, 'B')} in float32; "
            f"{_macs_in_words(calls, macs)}.",
        ),
    )  # fmt: skip
    return as_text(table, width)


def _macs_in_words(calls, macs):
    if macs is not None:
        return f"{scaled(macs)} multiply-accumulates an image"
    unknown = {type(call.layer).__name__ for call in calls if call.macs is None}
    return f"multiply-accumulates of {', '.join(sorted(unknown))} are not known"


def by(shape: Sequence[int | None]) -> str:
    """A shape without its batch axis, "32x32x3"."""
    return "x".join("?" if side is None else str(side) for side in shape)


def _inputs(at: int, calls: Sequence[LayerCall]) -> str:
    before = calls[at].inputs
    if before in ((), (at - 1,)):
        return ""
    return ", ".join(calls[other].layer.name for other in before)


def _published(percent):
    return NOTHING if percent is None else f"{percent:.2f}"


def _release(address):
    for beginning, name in RELEASES.items():
        if address.startswith(beginning):
            return name
    return address


def _value(text):
    """A Python literal, as 0.25 or True or (300, 100); anything else is a word."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
