"""The figures of `limbeck bench nets` as a table, with what they were measured on."""

from typing import Any

from experiments.report import rendering
from experiments.report.rendering import Cell, Column, Table
from experiments.report.units import NOTHING, decimals


def as_text(result: dict[str, Any], width: int = 110) -> str:
    """The result of `nets.run` as a table."""
    words = [Column(heading, numeric=False) for heading in ("net", "task", "peer")]
    figures = map(Column, ("images/s", "x PyTorch", "x plain Keras", "off by"))
    rows = [row for case in result["results"] for row in _rows(case)]
    table = Table("nets", (*words, *figures), tuple(rows), tuple(_notes(result)))
    return rendering.as_text(table, width)


def _rows(case):
    task = f"{case['task']}, {case['batch']} x {case['side']} px"
    for at, peer in enumerate(case["peers"]):
        off = f"{peer['difference']:.0e}" if "difference" in peer else ""
        yield (
            Cell(case["net"] if at == 0 else ""),
            Cell(task if at == 0 else ""),
            Cell(peer["peer"]),
            Cell(_spread(peer["images_per_second"])),
            Cell(_spread(peer.get("times_pytorch"), places=2)),
            Cell(_spread(peer.get("times_plain_keras"), places=2)),
            Cell(off),
        )


def _spread(spread, places=None):
    if spread is None:
        return NOTHING
    places = decimals(spread["median"]) if places is None else places
    texts = {key: f"{spread[key]:,.{places}f}" for key in ("median", "low", "high")}
    return f"{texts['median']} [{texts['low']}-{texts['high']}]"


def _notes(result):
    setting = result["setting"]
    kind = "gpus" if setting["gpus"] else "cores"
    versions = ", ".join(f"{k} {v}" for k, v in setting["versions"].items())
    yield (
        f"Threads of each framework: {setting['threads'] or 'its own choice'}, on "
        f"{setting[kind]} {kind}; load {setting['load_average']:.1f} at the start; "
        f"{versions}; float32, without jit_compile; PyTorch eager, channels last."
    )
    yield (
        f"Median [10th-90th percentile] of {result['rounds']} rounds in turns; ratios "
        "are taken round by round, above 1 is faster. Off by: largest difference of "
        "the logits and of the first loss from limbeck's, over the largest of them."
    )
    if setting["openmp"]:
        waits = ", ".join(f"{k}={v}" for k, v in setting["openmp"].items())
        yield (
            f"PyTorch's threads wait with {waits}: long spinning, its default, is fine "
            "on an idle machine and ruinous on a busy one. The environment overrides."
        )
    for peer, why in result["skipped"].items():
        yield f"Left out: {peer}, {why}."
    if result["quick"]:
        yield "Quick: tiny images show that everything runs; the speeds mean nothing."
