"""A C array is the file, byte for byte, as a C and a C++ compiler read it."""

import hashlib
import shutil
import subprocess

import numpy as np
import pytest

from compression import export
from tests.compression.small_nets import small_net

IMAGES = np.random.default_rng(0).normal(size=(8, 6, 6, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def int8(tmp_path_factory):
    path = tmp_path_factory.mktemp("micro") / "net.tflite"
    return export.litert(small_net(), path, precision="int8", calibration=[IMAGES])


PROGRAM = """
#include "net.h"
#include <stdio.h>
int main(void) {
  fwrite(net_tflite, 1, NET_TFLITE_LENGTH, stdout);
  fprintf(stderr, "%d %d %d %.9g %d %.9g %d %d %s", (int)((uintptr_t)net_tflite % 16),
          NET_INPUT_SIZE, NET_OUTPUT_SIZE, NET_INPUT_SCALE, NET_INPUT_ZERO_POINT,
          NET_OUTPUT_SCALE, NET_OUTPUT_ZERO_POINT, NET_ARENA_BYTES, NET_TFLITE_SHA256);
  return sizeof(NET_INPUT_TYPE) != 1;
}
"""


@pytest.mark.parametrize(("compiler", "name"), [("gcc", "a.c"), ("g++", "a.cc")])
def test_a_compiler_reads_the_file_back(compiler, name, int8, tmp_path):
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler} here")
    assert (
        export.micro(int8, tmp_path / "net.h", arena_bytes=2080) == tmp_path / "net.h"
    )
    (tmp_path / name).write_text(PROGRAM)
    command = [
        compiler,
        "-Wall",
        "-Wextra",
        "-pedantic",
        "-Werror",
        name,
        "-o",
        "a.out",
    ]
    subprocess.run(command, cwd=tmp_path, check=True)
    done = subprocess.run([tmp_path / "a.out"], capture_output=True, check=True)
    assert done.stdout == int8.read_bytes()
    misaligned, *sizes, scale, zero, out_scale, out_zero, arena, sha = (
        done.stderr.decode().split()
    )
    assert (misaligned, sizes, arena) == ("0", ["72", "4"], "2080")
    runner = export.load(int8)
    assert (float(scale), int(zero)) == pytest.approx(runner.takes[-2:], rel=1e-8)
    assert (float(out_scale), int(out_zero)) == pytest.approx(
        runner.gives[-2:], rel=1e-8
    )
    assert sha == hashlib.sha256(int8.read_bytes()).hexdigest()


def test_floats_have_no_scale_and_an_unknown_arena_no_line(tmp_path):
    file = export.litert(small_net(), tmp_path / "net.tflite", batch=None)
    text = export.micro(file, tmp_path / "8-bit net.h").read_text()
    assert "net_8_bit_net_tflite[NET_8_BIT_NET_TFLITE_LENGTH]" in text
    assert "#define NET_8_BIT_NET_INPUT_TYPE float\n" in text
    assert "INPUT_SIZE 72\n" in text
    assert "SCALE" not in text and "ARENA" not in text


def test_what_is_no_header_of_a_file_is_refused(int8, tmp_path):
    header = tmp_path / "net.h"
    header.write_text("mine")
    with pytest.raises(ValueError, match=r"path must end in .h, got .*net.c"):
        export.micro(int8, tmp_path / "net.c")
    with pytest.raises(FileNotFoundError, match="none.tflite"):
        export.micro(tmp_path / "none.tflite", header)
    half = tmp_path / "half.tflite"
    half.write_bytes(int8.read_bytes()[:500])
    with pytest.raises(ValueError, match="half.tflite is not a readable LiteRT file"):
        export.micro(half, header)
    small_net().save(tmp_path / "net.keras")
    with pytest.raises(ValueError, match="net.keras must be a .tflite file"):
        export.micro(tmp_path / "net.keras", header)
    with pytest.raises(ValueError, match="arena_bytes must be positive, got 0"):
        export.micro(int8, header, arena_bytes=0)
    (tmp_path / "folder.h").mkdir()
    with pytest.raises(IsADirectoryError, match="folder.h is a folder"):
        export.micro(int8, tmp_path / "folder.h")
    assert header.read_text() == "mine"


def test_numbers_of_any_type_have_a_name_in_c_or_are_refused(tmp_path):
    import tensorflow as tf

    for dtype in ("int64", "bool"):

        @tf.function(input_signature=[tf.TensorSpec((1, 4), tf.float32, "image")])
        def chosen(image, dtype=dtype):
            return {"class": tf.cast(tf.argmax(image, -1), dtype)}

        converter = tf.lite.TFLiteConverter.from_concrete_functions(
            [chosen.get_concrete_function()]
        )
        (tmp_path / f"{dtype}.tflite").write_bytes(converter.convert())
    text = export.micro(tmp_path / "int64.tflite", tmp_path / "net.h").read_text()
    assert "#define NET_OUTPUT_TYPE int64_t\n" in text
    with pytest.raises(ValueError, match=r"numbers that boards know.* is bool"):
        export.micro(tmp_path / "bool.tflite", tmp_path / "bool.h")
