"""Bytes that are sent of what a summary is of."""

from experiments.tables.summary import Summary

FORMS = ("bytes", "bytes_zipped", "bytes_encoded")


def sent_bytes(summary: Summary) -> float | None:
    """Mean bytes of the smallest form: the file, the file zipped, or an archive."""
    sizes = (summary.mean(form) for form in FORMS)
    return min((size for size in sizes if size), default=None)
