"""Refuses SavedModels with operators that reach files, other machines or native code.

A SavedModel is a program: running one from somewhere else may write files. What
restores its variables is TensorFlow's own, and reads the folder only.
"""

import re
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

# Names of TensorFlow's operators, as its registry lists them.
REACHES_OUT = re.compile(
    "File|Save|Restore|Checkpoint|Reader|Record|TextLine|FixedLength|CSV|Sql|LMDB"
    "|CacheDataset|LoadDataset|SnapshotDataset|SnapshotNested|SnapshotChunk"
    "|LoadAndRemap|VocabRemapping|FixedUnigram|ImmutableConst|DumpTensor|Saver"
    "|EncodeProto|DecodeProto|SummaryWriter|SummaryDb|Write.*Summary|ImportEvent"
    "|Rpc|Remote|DataService|RegisterDataset|Debug|PyFunc|CustomCall|Distributed"
)
SAVER = {
    "SaveV2", "RestoreV2", "MergeV2Checkpoints", "ShardedFilename", "ShardedFilespec",
    "Save", "SaveSlices", "Restore", "RestoreSlice",
}  # fmt: skip
# Of PrintV2: any other is a file. What is not given is stderr.
STREAMS = {b"", b"stdout", b"stderr", b"log(info)", b"log(warning)", b"log(error)"}
# Where a graph of TensorFlow 1 lists what is run when it is loaded.
INITIAL = ("saved_model_main_op", "legacy_init_op")


class BeyondTheModel(ValueError):
    """A SavedModel that is not loaded, for what it would do."""


def check_ops(folder: Path) -> None:
    """Whether a SavedModel can be loaded and run without reaching beyond its folder.

    Args:
        folder: of the SavedModel; nothing in it is run.

    Raises:
        BeyondTheModel: operators of the model touch files or the network; names them.
            Or it is of a kind that is not looked into.
        FileNotFoundError: it holds no saved_model.pb.
        google.protobuf.message.DecodeError: saved_model.pb is damaged.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    if (folder / "saved_model.cpb").exists():  # TensorFlow would take it first
        raise BeyondTheModel(
            f"{folder} is split into chunks, which cannot be looked into"
        )
    content = (folder / "saved_model.pb").read_bytes()
    saved = saved_model_pb2.SavedModel.FromString(content)
    found = sorted(set(chain.from_iterable(map(_reaching, saved.meta_graphs))))
    if found:
        raise BeyondTheModel(
            f"{folder} reaches beyond the model when it is run, to files, other "
            f"machines or native code ({', '.join(found)}): not loaded. Export the "
            "net without these operators"
        )


def _reaching(meta) -> Iterable[str]:
    """Names of the operators that should not be there, in one graph."""
    nodes = {node.name: node for node in meta.graph_def.node}
    functions = {f.signature.name: f.node_def for f in meta.graph_def.library.function}
    saver = _reached(_names(meta.saver_def), nodes, functions)
    starts = {name for name in nodes.keys() | functions.keys() if name not in saver}
    starts |= set(meta.object_graph_def.concrete_functions)
    starts |= {
        _node(output.name)
        for signature in meta.signature_def.values()
        for output in signature.outputs.values()
    }
    starts |= {
        _node(name)
        for key in INITIAL
        for name in meta.collection_def[key].node_list.value
    }
    run = _reached(starts, nodes, functions)
    for name in run:
        yield from _bad(name, nodes, functions)
    for name in saver - run:
        yield from (op for op in _bad(name, nodes, functions) if op not in SAVER)


def _names(saver):
    names = (saver.save_tensor_name, saver.restore_op_name, saver.filename_tensor_name)
    return {_node(name) for name in names if name}


def _reached(starts, nodes, functions):
    """Names of nodes and functions that are needed for those of `starts`."""
    found, waiting = set(), list(starts)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        if name in nodes:
            waiting += map(_node, nodes[name].input)
            waiting += _called(nodes[name])
        for node in functions.get(name, ()):
            waiting += _called(node)
    return found


def _called(node):
    """Names of the functions that a node may call."""
    yield node.op
    for attribute in node.attr.values():
        yield attribute.func.name
        yield from (function.name for function in attribute.list.func)


def _bad(name, nodes, functions):
    inner = functions.get(name, ())
    for node in chain([nodes[name]] if name in nodes else (), inner):
        prints = node.op == "PrintV2" and node.attr["output_stream"].s not in STREAMS
        if prints or REACHES_OUT.search(node.op):
            yield node.op


def _node(tensor):
    """The node that gives a tensor: "x" of "x:0" and of the order "^x"."""
    return tensor.removeprefix("^").split(":")[0]
