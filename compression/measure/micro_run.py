"""Runs a .tflite file in TensorFlow Lite Micro: a program of its own, for `board.py`.

    python -P micro_run.py NET.tflite FOLDER

Reads FOLDER/inputs.npy, if there is one, writes FOLDER/outputs.npy, and prints lines:
"lacks OPERATOR" for each operator that TensorFlow Lite Micro does not have, "refuses
REASON" where the file cannot be set up, "arena BYTES". Imports nothing of limbeck: it
must start quickly, and Keras takes seconds.
"""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from tflite_micro import runtime

LARGEST = 2**28  # bytes of arena; memory that is not touched costs nothing
STEP = 16  # bytes: the arena's alignment
NODE = re.compile(r"Node (\w+ \(number \d+\)) failed")
SOURCE = re.compile(r"^\S+\.(cc|h)(:\d+)?\s+")
LACKING = re.compile(r"Failed to get registration from op code (\w+)")


class Refusal(Exception):
    """What TensorFlow Lite Micro wrote when it did not set a file up, or run it."""


def main(path: Path, folder: Path) -> None:
    content = path.read_bytes()
    try:
        interpreter_of(content, LARGEST)
    except Refusal as refusal:
        for name in lacking(content, str(refusal)):
            print("lacks", name, flush=True)
        print("refuses", reason(str(refusal)), flush=True)
        return
    arena, given = smallest_arena(content), folder / "inputs.npy"
    try:  # some operators refuse only what they are given
        outputs = outputs_of(content, arena, np.load(given) if given.exists() else None)
    except Refusal as refusal:
        print("refuses", reason(str(refusal)), flush=True)
        return
    np.save(folder / "outputs.npy", outputs)
    print("arena", arena, flush=True)


def interpreter_of(content: bytes, arena: int) -> runtime.Interpreter:
    """The file, set up in an arena of that many bytes; raises Refusal."""
    with refusing():
        return runtime.Interpreter.from_bytes(content, arena_size=arena)


def smallest_arena(content: bytes) -> int:
    """Bytes of the smallest arena in which a file can be set up.

    More than what the interpreter reports as used: it needs room while it plans.
    """

    def fits(arena):
        return _ends_well(lambda: interpreter_of(content, arena))

    enough = 1024
    while not fits(enough):
        enough *= 2
    short = enough // 2 if enough > 1024 else 0
    while enough - short > STEP:
        middle = (short + enough) // 2 // STEP * STEP
        short, enough = (short, middle) if fits(middle) else (middle, enough)
    return enough


def _ends_well(function):
    """In a process of its own: in too small an arena its C++ may crash."""
    child = os.fork()
    if child == 0:
        try:
            function()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def outputs_of(content: bytes, arena: int, images: np.ndarray | None) -> np.ndarray:
    """What the file gives for each of `images`, as it stores them; None: for zeros.

    Raises Refusal.
    """
    interpreter, found = interpreter_of(content, arena), []
    taken = interpreter.get_input_details(0)
    if images is None:
        images = np.zeros(taken["shape"], taken["dtype"])
    batch = taken["shape"][0]
    for start in range(0, len(images), batch):
        with refusing():
            interpreter.set_input(images[start : start + batch], 0)
            interpreter.invoke()
        found.append(np.array(interpreter.get_output(0)))
    return np.concatenate(found)


def lacking(content: bytes, refusal: str) -> Iterator[str]:
    """All operators that are not there: only the first is named at a time.

    So those that are known to lack are taken out of the file, and it is tried again.
    """
    import flatbuffers

    model = runtime.convert_bytearray_to_object(bytearray(content))
    codes = [
        runtime.get_builtin_code_from_operator_code(c) for c in model.operatorCodes
    ]
    builtin = vars(runtime.schema_fb.BuiltinOperator)
    while found := LACKING.search(refusal):
        yield found[1]
        for graph in model.subgraphs:
            graph.operators = [
                operator
                for operator in graph.operators
                if codes[operator.opcodeIndex] != builtin.get(found[1])
            ]
        builder = flatbuffers.Builder(len(content))
        builder.Finish(model.Pack(builder), b"TFL3")
        before = refusal
        try:
            interpreter_of(bytes(builder.Output()), LARGEST)
            return
        except Refusal as error:
            refusal = str(error)
        if refusal == before:
            return


def reason(refusal: str) -> str:
    """One line, without the names of source files."""
    found, operator = [], ""
    for line in refusal.splitlines():
        if named := NODE.search(line):
            operator = f"operator {named[1]}: "
        elif line := SOURCE.sub("", line.strip()).rstrip("."):
            found.append(line)
    return operator + ("; ".join(found) or "no reason is given")


@contextmanager
def refusing() -> Iterator[None]:
    """A RuntimeError becomes a Refusal with what C++ has written meanwhile."""
    with tempfile.TemporaryFile() as written:
        try:
            with standard_error_to(written):
                yield
        except RuntimeError as said:
            written.seek(0)
            text = written.read().decode(errors="replace")
            raise Refusal(text or str(said)) from said


@contextmanager
def standard_error_to(file) -> Iterator[None]:
    """Whatever the process writes to descriptor 2, which is where C++ writes."""
    kept = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
