"""What moved between two stages, in words."""

from experiments.report import comparison
from experiments.tables.summary import stage_summaries


def test_a_pruned_file_moves_only_zipped(rows):
    distill, prune, int8 = stage_summaries(rows(["distill", "prune", "int8"], [0]))
    assert comparison.moved(prune, distill) == (
        "zipped bytes 3.1x smaller; as before: bytes, MACs, latency"
    )
    # 140 / 42, 40 / 16, 0.102 / 0.05
    assert comparison.moved(int8, prune) == (
        "bytes 3.3x smaller, zipped bytes 2.5x smaller, latency 2.0x faster; "
        "as before: MACs"
    )
    assert "latency 2.0x slower" in comparison.moved(prune, int8)
    assert "bytes 3.3x more" in comparison.moved(prune, int8)


def test_an_arena_that_shrinks_has_moved(rows):
    first, then = rows(["distill", "prune"], [0])
    before, after = stage_summaries(
        [first | {"arena_bytes": 30_000}, then | {"arena_bytes": 15_000}]
    )
    assert "arena 2.0x smaller" in comparison.moved(after, before)
