import pytest

from experiments.search.limits import Cost, Limits
from experiments.search.units import parsed

COST = Cost(bytes=1000, latency_ms=2.0, macs=500, arena_bytes=300)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("200k", "bytes", 200_000),
        ("64KiB", "bytes", 65_536),
        ("1.5 MB", "bytes", 1_500_000),
        ("800", "bytes", 800),
        ("5ms", "latency", 5),
        ("250us", "latency", 0.25),
        ("0.1s", "latency", 100),
        ("3", "latency", 3),
    ],
)
def test_a_limit_in_words(text, kind, value):
    assert parsed(text, kind) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "k", "5 parsecs", "-3k", "0", "nan", "1e400"])
def test_what_is_no_size(text):
    with pytest.raises(ValueError, match="must be"):
        parsed(text, "bytes")


def test_the_largest_share_of_a_limit_counts():
    assert Limits(bytes=2000, latency_ms=8.0).used(COST) == 0.5
    assert Limits(bytes=2000, latency_ms=1.0).used(COST) == 2.0
    assert Limits(max_drop=1.0).used(COST) == 0


def test_what_is_limited_zipped_is_small_zipped():
    cost = Cost(1000, 2.0, 500, bytes_zipped=400)
    assert Limits(bytes_zipped=800).used(cost) == 0.5
    assert Limits(bytes_zipped=800, max_drop=1.0).size(cost) == 400
    assert Limits(bytes=800, max_drop=1.0).size(cost) == 1000


def test_the_tightest_limit_is_named():
    limits = Limits(bytes=2000, latency_ms=1.0)
    assert limits.tightest(COST) == ("2.00 ms an image, 2.00 of the 1 that it may take")


@pytest.mark.parametrize("limits", [{"bytes": 0}, {"macs": -1}, {"max_drop": 101}])
def test_limits_that_are_none(limits):
    with pytest.raises(ValueError, match=next(iter(limits))):
        Limits(**limits)
