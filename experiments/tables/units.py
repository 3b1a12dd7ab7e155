"""Numbers as people read them; a dash where there is none."""

import math

NOTHING = "–"
PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def decimals(value: float) -> int:
    """How many give three significant digits from 0.1 to 1000, and 3 below that."""
    for limit, digits in ((0.9995, 3), (9.995, 2), (99.95, 1)):
        if abs(value) < limit:
            return digits
    return 0


def scaled(value: float | None, unit: str = "") -> str:
    """`value` with a decimal prefix, as in "33.1 kB" (1 kB = 1000 B) or "31.0 M"."""
    if value is None:
        return NOTHING
    for factor, prefix in PREFIXES:
        if abs(value) >= 0.9995 * factor:
            return f"{value / factor:.{decimals(value / factor)}f} {prefix}{unit}"
    return f"{value:.0f} {unit}".rstrip()


def count(value: float | None) -> str:
    """A whole number with commas."""
    return NOTHING if value is None else f"{value:,.0f}"


def percent(fraction: float | None, deviation: float | None = None) -> str:
    """A fraction 0 to 1 in percent without the sign, "98.50" or "98.50 ± 0.20"."""
    if fraction is None:
        return NOTHING
    spread = "" if deviation is None else f" ± {100 * deviation:.2f}"
    return f"{100 * fraction:.2f}{spread}"


def change(before: float | None, after: float | None) -> str:
    """From one fraction to another in percentage points, "+0.50"."""
    if before is None or after is None:
        return NOTHING
    return f"{100 * (after - before):+.2f}"


def latency(
    median: float | None, low: float | None = None, high: float | None = None
) -> str:
    """Milliseconds, "1.20 [1.10–1.35]", all three as precise as the median."""
    if median is None:
        return NOTHING
    digits = decimals(median)
    if low is None or high is None:
        return f"{median:,.{digits}f}"
    return f"{median:,.{digits}f} [{low:,.{digits}f}–{high:,.{digits}f}]"


def ratio(value: float | None) -> str:
    """How many times smaller, "9.8x"; below 1 where it is larger instead."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if value >= 9.95:
        return f"{value:,.0f}x"
    return f"{value:.1f}x" if value >= 0.95 else f"{value:.2f}x"


def duration(seconds: float) -> str:
    """A time as "45 s", "3 min 20 s" or "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
