"""A .tflite file as a C array, for boards that have no files.

TensorFlow Lite Micro reads the array where it lies, in flash, and wants it aligned.
"""

import hashlib
import math
import re
from pathlib import Path

from compression.arguments import as_path, require_number
from compression.atomic import replacing
from compression.export.runners import load

ALIGNMENT = 16  # bytes, as TensorFlow Lite Micro's own examples have it
IN_A_LINE = 12


def micro(
    file: str | Path, path: str | Path, *, arena_bytes: int | None = None
) -> Path:
    """Writes a .tflite file as a C header: the bytes, and what a program must know.

    For `net.h` the array is `net_tflite`, of NET_TFLITE_LENGTH bytes. Beside it stand
    NET_INPUT_SIZE and NET_OUTPUT_SIZE (numbers of one call), of integers their
    NET_INPUT_SCALE and NET_INPUT_ZERO_POINT (real = scale * (code - zero_point)) and
    those of the output, and NET_ARENA_BYTES if it is known. C11 and C++11 read it.

    Args:
        file: the .tflite file.
        path: file to write, its name ending in .h; replaced if it is there.
        arena_bytes: RAM that TensorFlow Lite Micro needs, see `measure.board`.

    Returns:
        `path`.

    Raises:
        FileNotFoundError: there is no such file.
        IsADirectoryError: `path` is a folder.
        ValueError: `file` is no .tflite file or is damaged, `path` does not end in .h,
            or the arena is not positive.
    """
    path, file = as_path(path), as_path(file)
    if path.suffix != ".h":
        raise ValueError(f"path must end in .h, got {path}")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: not replaced")
    if arena_bytes is not None:
        require_number("arena_bytes", arena_bytes, whole=True)
    if arena_bytes is not None and arena_bytes < 1:
        raise ValueError(f"arena_bytes must be positive, got {arena_bytes}")
    runner = load(file)
    if runner.kind != "litert":
        raise ValueError(
            f"{file} must be a .tflite file: write one with export.litert first"
        )
    content = file.read_bytes()
    name = re.sub(r"\W", "_", path.stem, flags=re.ASCII).lower()
    name = f"net_{name}" if name[0].isdigit() else name
    upper = name.upper()
    constants = [
        ("TFLITE_LENGTH", len(content)),
        ("TFLITE_SHA256", f'"{hashlib.sha256(content).hexdigest()}"'),
        *_of_tensor("INPUT", runner.takes),
        *_of_tensor("OUTPUT", runner.gives),
    ]
    if arena_bytes is not None:
        constants.append(("ARENA_BYTES", arena_bytes))
    text = HEADER.format(
        upper=upper,
        name=name,
        constants="\n".join(f"#define {upper}_{key} {is_}" for key, is_ in constants),
        alignment=ALIGNMENT,
        content=",\n".join(
            ", ".join(f"0x{byte:02x}" for byte in content[at : at + IN_A_LINE])
            for at in range(0, len(content), IN_A_LINE)
        ),
    )
    with replacing(path) as beside:
        beside.write_text(text, encoding="ascii")
    return path


def _of_tensor(word, tensor):
    if tensor.dtype not in C_TYPES:
        raise ValueError(
            f"a header is of numbers that boards know, {', '.join(C_TYPES)}: "
            f"{tensor.name!r} is {tensor.dtype}"
        )
    yield f"{word}_SIZE", math.prod(size or 1 for size in tensor.shape)
    yield f"{word}_TYPE", C_TYPES[tensor.dtype]
    if tensor.scale is not None:
        yield f"{word}_SCALE", f"{tensor.scale:.8e}f"
        yield f"{word}_ZERO_POINT", f"({tensor.zero_point})"


C_TYPES = {"float32": "float", "uint8": "uint8_t"}
C_TYPES |= {f"int{bits}": f"int{bits}_t" for bits in (8, 16, 32, 64)}
HEADER = """\
/* A net for TensorFlow Lite Micro, written by limbeck: real = scale * (code - zero
   point). The array is static: include this in one source file only. */
#ifndef {upper}_H_
#define {upper}_H_

#include <stdint.h>

{constants}

#ifdef __cplusplus
alignas({alignment})
#else
_Alignas({alignment})
#endif
static const unsigned char {name}_tflite[{upper}_TFLITE_LENGTH] = {{
{content}
}};

#endif
"""
