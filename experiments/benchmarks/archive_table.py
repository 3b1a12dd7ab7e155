"""The figures of `limbeck bench archive` as a table, and what is worth knowing."""

from typing import Any

from experiments.benchmarks import archive
from experiments.tables import table as rendering
from experiments.tables.table import Column, tabulate


def as_text(result: dict[str, Any], width: int = 110) -> str:
    """The result of `archive.run` as a table."""
    columns = (
        Column("net", lambda row: row["net"], numeric=False),
        Column("codec", lambda row: row["codec"], numeric=False),
        Column("bytes", lambda row: f"{row['bytes']:,}"),
        Column("of float32", lambda row: f"1/{row['raw_bytes'] / row['bytes']:.1f}"),
        Column("bits a nonzero", lambda row: f"{_bits(row):.2f}"),
        Column("encode MB/s", lambda row: f"{row['encode_mb_s']:.2f}"),
        Column("decode MB/s", lambda row: f"{row['decode_mb_s']:.2f}"),
    )
    table = tabulate("", columns, result["results"], _notes(result))
    return f"The same weights in each file\n{rendering.as_text(table, width)}"


def _bits(row):
    return 8 * row["bytes"] / max(1, row["nonzero"])


def _notes(result):
    by_net = {}
    for row in result["results"]:
        by_net.setdefault(row["net"], {})[row["codec"]] = row["bytes"]
    for net, of in by_net.items():
        ours = of[archive.OURS]
        yield (
            f"{net}: limbeck's archive is {ours / of[archive.PUBLISHED]:.3f} of Deep "
            f"Compression's file of fixed width, {ours / of[archive.BASELINE]:.3f} of "
            f"its Huffman coding; the aim is {archive.AIM} of the former."
        )
    for codec, why in result["skipped"].items():
        yield f"Left out: {codec}, {why}."
    versions = ", ".join(f"{k} {v}" for k, v in result["versions"].items())
    yield f"MB of weights as they are, a second, on one core; {versions}."
    if result["quick"]:
        yield "Quick: shows that everything runs; the figures mean little."
