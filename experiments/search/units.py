"""A limit in words: "200k", "5ms"."""

UNITS = {
    "bytes": {"": 1, "b": 1, "k": 1e3, "kb": 1e3, "kib": 1024, "m": 1e6, "mb": 1e6}
    | {"mib": 2**20},
    "latency": {"": 1, "ms": 1, "us": 1e-3, "s": 1e3},
}


def parsed(text: str, kind: str) -> float:
    """A limit in words: "200k", "64KiB", "5ms".

    Args:
        text: a number, perhaps with a unit.
        kind: "bytes" (k is 1,000, Ki 1,024) or "latency" (milliseconds without one).

    Raises:
        ValueError: it is no such quantity.
    """
    units = UNITS[kind]
    word = text.strip().lower()
    number = word.rstrip("abcdefghijklmnopqrstuvwxyz ")
    unit = word[len(number) :].strip()
    try:
        value = float(number) * units[unit]
    except (ValueError, KeyError) as error:
        example = "200k or 64KiB" if kind == "bytes" else "5ms"
        raise ValueError(f"must be a size such as {example}, got {text!r}") from error
    if not 0 < value < float("inf"):
        raise ValueError(f"must be more than 0, got {text!r}")
    return value
