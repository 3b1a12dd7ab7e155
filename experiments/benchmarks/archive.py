"""The same weights in every file that they could be kept in.

    limbeck bench archive
    limbeck bench archive --files net.keras
    LIMBECK_NNCODEC=nnc/bin/python limbeck bench archive  # with nncodec installed there

General compressors, Deep Compression's own coding, the standard NNC, and limbeck's
archive: bytes, and megabytes of float32 weights a second, each way. Every codec gives
back what it was given, bit by bit, or it is an error.
"""

import importlib.util
import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.benchmarks import archive_nets, deep_compression, nnc_peer

OURS, BASELINE = "limbeck archive", "Deep Compression, Huffman"
PUBLISHED = "Deep Compression, fixed width"
STANDARD = "NNC (ISO/IEC 15938-17)"
AIM = 0.78  # of the file of fixed width, of a net like the published SqueezeNet
NETS = ("squeezenet", "lenet_300_100", "lenet5")
OPTIONAL = ("zstandard", "brotli", "safetensors")


class Codec(NamedTuple):
    """Arrays to bytes and back."""

    encode: Callable[[Sequence[np.ndarray]], bytes]
    decode: Callable[[bytes, Sequence[np.ndarray]], list[np.ndarray]]


def run(  # noqa: PLR0913, as the other benchmarks
    only: Sequence[str] | None = None,
    *,
    files: Sequence[Path] = (),
    rounds: int | None = None,
    quick: bool = False,
    log: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Code the nets one after the other, with each codec in turn.

    Args:
        only: some of `NETS`; None: all, unless there are files.
        files: .keras files, too.
        rounds: how often each is timed; the quickest counts.
        quick: one small net, to see that everything runs.
        log: called with each line of progress.

    Raises:
        ValueError: there is no such net; or a file is none.
        RuntimeError: a codec gives back something else, or LIMBECK_NNCODEC is no
            Python that has nncodec.
    """
    from experiments.benchmarks.setting import require_benchmarked

    require_benchmarked(only or (), NETS)
    names = list(only or (() if files else NETS[1:2] if quick else NETS))
    nets = {name: archive_nets.made(name, small=quick) for name in names}
    for path in files:
        name = str(path) if path.name in nets else path.name
        nets[name] = archive_nets.of_file(path)
    versions = {
        name: version(name)
        for name in ("constriction", *OPTIONAL)
        if importlib.util.find_spec(name)
    }
    rows = []
    with ExitStack() as until_done:
        codecs, skipped = _codecs(until_done, versions)
        for name, arrays in nets.items():
            for codec in codecs:
                log(f"{name}: {codec}")
                rows.append(_row(name, codec, codecs[codec], arrays, rounds or 1))
    return {
        "benchmark": "archive",
        "quick": quick,
        "versions": versions,
        "skipped": skipped,
        "results": rows,
    }


def _row(net, name, codec, arrays, rounds):
    raw = sum(array.nbytes for array in arrays)
    encoding, decoding = [], []
    for _ in range(rounds):
        start = time.perf_counter()
        content = codec.encode(arrays)
        encoding.append(time.perf_counter() - start)
        start = time.perf_counter()
        found = codec.decode(content, arrays)
        decoding.append(time.perf_counter() - start)
    for ours, theirs in zip(arrays, found, strict=True):
        if ours.tobytes() != np.ascontiguousarray(theirs).tobytes():
            raise RuntimeError(f"{name} gives back other weights of {net}")
    return {
        "net": net,
        "codec": name,
        "weights": sum(array.size for array in arrays),
        "nonzero": sum(int(np.count_nonzero(array)) for array in arrays),
        "bytes": len(content),
        "raw_bytes": raw,
        "encode_mb_s": raw / 1e6 / min(encoding),
        "decode_mb_s": raw / 1e6 / min(decoding),
    }


def _codecs(until_done, versions):
    """By name, and why some are left out."""
    import lzma
    import zlib

    found = {
        "zip": _of_bytes(lambda data: zlib.compress(data, 9), zlib.decompress),
        "xz": _of_bytes(lambda data: lzma.compress(data, preset=9), lzma.decompress),
    }
    skipped = {}
    if importlib.util.find_spec("brotli"):
        import brotli

        found["brotli"] = _of_bytes(brotli.compress, brotli.decompress)
    else:
        skipped["brotli"] = "it is not installed: pip install 'limbeck[bench]'"
    if importlib.util.find_spec("zstandard"):
        import zstandard

        level = zstandard.ZstdCompressor(level=19)
        plain = zstandard.ZstdDecompressor()
        found["zstd"] = _of_bytes(level.compress, plain.decompress)
        found["safetensors + zstd"] = _safetensors(level.compress, plain.decompress)
    else:
        skipped["zstd"] = "it is not installed: pip install 'limbeck[bench]'"
    for name, huffman in ((PUBLISHED, False), (BASELINE, True)):
        found[name] = Codec(
            lambda arrays, h=huffman: deep_compression.encode(arrays, huffman=h),
            lambda content, arrays, h=huffman: deep_compression.decode(
                content, [array.shape for array in arrays], huffman=h
            ),
        )
    python = os.environ.get(nnc_peer.VARIABLE)
    if python:
        nnc = until_done.enter_context(closing(nnc_peer.Nnc(python)))
        versions["nncodec"] = nnc.version
        found[STANDARD] = Codec(nnc.encode, nnc.decode)
    else:
        skipped[STANDARD] = nnc_peer.MISSING
    found[OURS] = _ours()
    return found, skipped


def _of_bytes(compress, decompress):
    def decode(content, arrays):
        data, found, at = decompress(content), [], 0
        for array in arrays:
            part = np.frombuffer(data, array.dtype, array.size, at)
            found.append(part.reshape(array.shape))
            at += array.nbytes
        return found

    return Codec(lambda arrays: compress(b"".join(a.tobytes() for a in arrays)), decode)


def _safetensors(compress, decompress):
    from safetensors.numpy import load, save

    def named(arrays):
        return {f"{i:04}": array for i, array in enumerate(arrays)}

    def decode(content, arrays):
        found = load(decompress(content))
        return [found[name] for name in named(arrays)]

    return Codec(lambda arrays: compress(save(named(arrays))), decode)


def _ours():
    from compression.export.archive.contents import Contents, from_bytes, to_bytes

    return Codec(
        lambda arrays: to_bytes(Contents({}, arrays)),
        lambda content, arrays: list(from_bytes(content, Path("bench")).weights),
    )
