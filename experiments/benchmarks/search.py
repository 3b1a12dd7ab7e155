"""`limbeck compress` against what one would do by hand with the same net.

    limbeck bench search

Each search gets a limit and a time; by hand the same net becomes a row of int8 files
(by_hand.py). How many times smaller and faster is the search's file than one made by
hand that is as accurate? That one is read off the curve through the best of those made
by hand with the same seed. All is kept in a folder: an interrupted run goes on there.
"""

import contextlib
import itertools
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from architectures.published_weights import MEAN, STD
from compression import measure
from compression.one_line import in_one_line
from experiments.benchmarks.by_hand import GIVEN, ByHand
from experiments.benchmarks.setting import require_benchmarked, set_threads
from experiments.data.augment import Augment
from experiments.files import read_json, write_json
from experiments.runs.fingerprints import rows_as_measured
from experiments.runs.layout import RunFolder
from experiments.runs.run import run as run_recipe
from experiments.search.compress import carry_out
from experiments.search.limits import TITLES, Limits
from experiments.search.request import Request
from experiments.stages.application import Application
from experiments.stages.file import File
from experiments.stages.net import Net
from experiments.training.settings import Training

OUT = Path("runs/bench-search")
MADE = "by_hand"  # run folder of the peers
SEEDS, QUICK_SEEDS = 3, 1
SEARCH, HAND = "limbeck compress", "by hand"
RATIOS = {"smaller": "bytes", "faster": "latency_ms"}  # at equal accuracy


@dataclass(frozen=True)
class Case:
    """A net, and what its file may take.

    Attributes:
        by_hand: the net, and its peers.
        limits: of one search each.
        hours: that a search may take.
    """

    by_hand: ByHand
    limits: tuple[Limits, ...]
    hours: float


def _sgd(epochs, learning_rate):
    return Training(
        epochs=epochs,
        optimizer="sgd",
        learning_rate=learning_rate,
        weight_decay=5e-4,
        warmup_epochs=min(1.0, epochs / 10),
    )


CASES = {
    "resnet20": Case(
        ByHand(
            Net("resnet20", weights="published"),
            before=_sgd(2, 0.01),
            after=_sgd(12, 0.02),
            data="cifar10",
            cuts=(0.7, 0.5, 0.3, 0.2, 0.1),
            width=0.25,
            student=Training(epochs=20, learning_rate=3e-3),
            normalisation=(MEAN, STD),
            round_to=4,
        ),
        tuple(Limits(bytes=count) for count in (150_000, 80_000, 40_000)),
        hours=0.2,
    ),
    "mobilenetv2": Case(
        ByHand(
            Application("MobileNetV2"),
            before=Training(epochs=20, learning_rate=3e-3),
            after=Training(epochs=12, learning_rate=1e-3),
            data="cifar10",
            cuts=(0.7, 0.5, 0.3, 0.1),
            round_to=4,
        ),
        tuple(Limits(bytes=count) for count in (1_000_000, 300_000)),
        hours=0.2,
    ),
    "board": Case(
        ByHand(
            Net("lenet5_caffe"),
            before=Training(epochs=10, learning_rate=2e-3),
            after=Training(epochs=6, learning_rate=2e-3),
            data="mnist",
            cuts=(0.3, 0.1, 0.05, 0.03),
            augment=Augment(pad=2),
        ),
        (Limits(bytes=16_000, arena_bytes=16_000),),
        hours=0.2,
    ),
}
QUICK = {
    "board": Case(
        ByHand(
            Net("lenet5_caffe"),
            before=Training(epochs=2, learning_rate=2e-3),
            after=Training(epochs=1, learning_rate=2e-3),
            data="mnist5k",
            cuts=(0.3,),
            width=0.0625,
            student=Training(epochs=1, learning_rate=3e-3),
            augment=Augment(pad=0),
        ),
        (Limits(bytes=16_000, arena_bytes=16_000),),
        hours=0.02,
    )
}


def run(  # noqa: PLR0913, all by keyword but the first
    only: Sequence[str] | None = None,
    *,
    rounds: int | None = None,
    threads: int | None = None,
    out: Path = OUT,
    quick: bool = False,
    log: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Search, make files by hand, and compare.

    Args:
        only: some of `CASES`; None: all.
        rounds: seeds.
        threads: of TensorFlow; None: its own choice.
        out: folder of the run folders.
        quick: one net, few epochs, to see that everything runs.
        log: called with each line of progress.

    Raises:
        ValueError: there is no such net, or a search finds no file.
    """
    cases = QUICK if quick else CASES
    require_benchmarked(only or (), cases)
    seeds = range(rounds or (QUICK_SEEDS if quick else SEEDS))
    setting = set_threads(threads, with_torch=False)
    rows, notes, skipped = [], {}, {}
    for name, case in cases.items():
        if only and name not in only:
            continue
        folder = out / (f"{name}-quick" if quick else name)
        try:
            with contextlib.redirect_stdout(sys.stderr):  # trainings tell of epochs
                rows += _case_rows(name, case, folder, seeds, log)
            data = RunFolder(folder / MADE).read_data()
            notes[name] = f"{data['name']}. {data['note']}".strip()
        except FileNotFoundError as error:
            skipped[name] = in_one_line(error)
    return {
        "benchmark": "search",
        "seeds": len(seeds),
        "quick": quick,
        "hours": {name: case.hours for name, case in cases.items()},
        "data": notes,
        "setting": setting,
        "skipped": skipped,
        "results": rows,
    }


def _case_rows(name, case, folder, seeds, log):
    log(f"{name}: by hand")
    made = RunFolder(folder / MADE)
    ways = _made_by_hand(name, case, made, seeds)
    given = made.stage(GIVEN, 0, once=True).model
    for limits in case.limits:
        way = in_words(limits)
        for seed in seeds:
            log(f"{name}: a search for {way}, seed {seed}")
            request = Request(
                File(str(given)),
                case.by_hand.data,
                limits,
                case.hours,
                seed,
                augment=case.by_hand.augment,
            )
            out = folder / f"{way.replace(' ', '_').replace(',', '')}.seed{seed}"
            found, seconds = _timed(request, out)
            ways.setdefault(way, []).append(
                {
                    "by": SEARCH,
                    "what": found.words,
                    "file": found.file,
                    "top1": found.test_top1,
                    "bytes": found.bytes,
                    "arena_bytes": measure.board(found.file).arena_bytes,
                    "seconds": seconds,
                }
            )
    log(f"{name}: latencies of all files in turns")
    files = {str(each["file"]): each["file"] for way in ways.values() for each in way}
    times = measure.latencies(files)
    for each in itertools.chain.from_iterable(ways.values()):
        each["latency_ms"] = times[str(each["file"])].median_ms
    by_hand = [found for found in ways.values() if found[0]["by"] == HAND]
    peers = list(zip(*by_hand, strict=True))  # of each seed
    return [_row(name, way, found, peers) for way, found in ways.items()]


def _timed(request, out):
    """What a search found, and its seconds; None where it was once interrupted."""
    note = out.with_name(f"{out.name}.seconds.json")
    start = None if out.exists() else time.perf_counter()
    found = carry_out(request, out)
    if start is not None:
        write_json(note, time.perf_counter() - start)
    return found, read_json(note) if note.is_file() else None


def in_words(limits: Limits) -> str:
    """ "16,000 bytes, 16,000 bytes of RAM" """
    return ", ".join(f"{n:,} {TITLES[name]}" for name, n in limits.of_files().items())


def _made_by_hand(name, case, made, seeds):
    """Way -> one file a seed."""
    recipe = case.by_hand.recipe(f"{name}-by-hand")
    run_recipe(recipe, made.path, seeds=tuple(seeds), command="limbeck bench search")
    ways = {}
    for row in rows_as_measured(made):
        if row["seed"] in seeds:
            kept = ("what", "top1", "bytes", "arena_bytes")
            found = {"by": GIVEN if row["stage"] == GIVEN else HAND}
            found["file"] = made.path / row["file"]
            found |= {key: row[key] for key in kept}
            ways.setdefault(row["stage"], []).append(found)
    return ways


def _row(name, way, found, peers):
    row = {"net": name, "way": way, "by": found[0]["by"]}
    row["what"] = list(dict.fromkeys(each["what"] for each in found))
    for key in ("top1", "bytes", "latency_ms", "arena_bytes"):
        row[key] = [each[key] for each in found]
    if row["by"] == SEARCH:
        row["seconds"] = [each["seconds"] for each in found]
        for ratio, cost in RATIOS.items():
            pairs = zip(found, peers, strict=True)
            row[ratio] = [times_less(each, others, cost) for each, others in pairs]
    return row


def times_less(
    found: Mapping[str, float], peers: Iterable[Mapping[str, float]], cost: str
) -> float | None:
    """How much more of a cost a peer takes that is as accurate, as a ratio.

    Between two peers, of which none is both more accurate and cheaper, the logarithm
    of the cost is taken to be linear in the accuracy.

    Args:
        found: with "top1" and the cost.
        peers: likewise.
        cost: which.

    Returns:
        The ratio; of the most accurate peer where none is as accurate as `found`, and
        None where all are more accurate.
    """
    best = []  # ever dearer, ever more accurate
    for peer in sorted(peers, key=lambda peer: (peer[cost], -peer["top1"])):
        if not best or peer["top1"] > best[-1]["top1"]:
            best.append(peer)
    if found["top1"] < best[0]["top1"]:
        return None
    dearer = next((p for p in best if p["top1"] >= found["top1"]), best[-1])
    cheaper = [p for p in best if p["top1"] < found["top1"]][-1:]
    if not cheaper or cheaper[0] is dearer:
        return dearer[cost] / found[cost]
    [below] = cheaper
    share = (found["top1"] - below["top1"]) / (dearer["top1"] - below["top1"])
    return below[cost] * (dearer[cost] / below[cost]) ** share / found[cost]
