"""The same model gives the same SavedModel, byte for byte.

TensorFlow numbers a graph's functions with a counter of the process, and adds a random
fingerprint: without them a file can be compared, cached and signed. Imports TensorFlow.
"""

import re
from pathlib import Path

from tensorflow.core.protobuf import saved_model_pb2

USER_NAME = "_user_specified_name"
NUMBERED = re.compile(r"(__\w+?)_\d+")


def stabilise(folder: Path) -> None:
    """Number the functions of the SavedModel in `folder` from 0; drop its fingerprint.

    TensorFlow reads a fingerprint, where there is one, only to log it.
    """
    path = folder / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for meta_graph in saved.meta_graphs:
        functions = meta_graph.graph_def.library.function
        functions.sort(key=lambda function: _base_and_number(function.signature.name))
        names = {}
        for i, function in enumerate(functions):
            name = function.signature.name
            names[name] = f"{_base_and_number(name)[0]}_{i}"
            _forget_numbered_arguments(function)
        _rename(meta_graph, names)
    path.write_bytes(saved.SerializeToString(deterministic=True))
    (folder / "fingerprint.pb").unlink(missing_ok=True)


def _base_and_number(name):
    """("__inference_serve", 123): sorted by what it is, then by its place in time."""
    numbered = NUMBERED.fullmatch(name)
    return (numbered[1], int(name[numbered.end(1) + 1 :])) if numbered else (name, 0)


def _forget_numbered_arguments(function):
    """Captured variables are "specified by the user" under a number of the process."""
    for argument in function.arg_attr.values():
        if USER_NAME in argument.attr and argument.attr[USER_NAME].s.isdigit():
            del argument.attr[USER_NAME]


def _rename(message, names):
    """Replace every string in `message` that is a key of `names`, at any depth."""
    for field, value in message.ListFields():
        if field.message_type is not None:
            if field.message_type.GetOptions().map_entry:
                _rename_map(value, names)
            else:
                for item in value if field.is_repeated else [value]:
                    _rename(item, names)
        elif field.type == field.TYPE_STRING:
            if field.is_repeated:
                value[:] = [names.get(item, item) for item in value]
            else:
                setattr(message, field.name, names.get(value, value))


def _rename_map(entries, names):
    for key in list(entries):
        if hasattr(entries[key], "ListFields"):
            _rename(entries[key], names)
            if key in names:
                entries[names[key]].CopyFrom(entries[key])
                del entries[key]
