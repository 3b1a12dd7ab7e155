"""The kernels of a stage: a table, and a picture of those that look at pixels."""

import base64
from html import escape

import numpy as np

from experiments.report.disagreements import png
from experiments.report.folder import Run
from experiments.tables import units
from experiments.tables.table import Column, Table, tabulate

ACROSS = 16  # filters
WIDTH = 36  # rem of a whole line of them

NOTES = (
    "Bits: the entropy of a weight's value, what a coder needs for each at least. Of "
    "quantized kernels their integers count.",
)


def table(run: Run, stage: str) -> Table | None:
    """Size, zeros and values of each; None where they were not kept."""
    found = (run.measured.kernels or {}).get(stage)
    if not found:
        return None
    total = sum(kernel["size"] for kernel in found) or 1
    columns = (
        Column("kernel", lambda kernel: str(kernel["name"]), numeric=False),
        Column("weights", lambda kernel: units.count(kernel["size"])),
        Column("% of all", lambda kernel: units.percent(kernel["size"] / total)),
        Column("zeros %", lambda kernel: units.percent(_zeros(kernel))),
        Column("values", lambda kernel: units.count(kernel["values"])),
        Column("bits", lambda kernel: f"{kernel['bits']:.2f}"),
    )
    return tabulate("", columns, found, NOTES)


def picture(run: Run, stage: str) -> str:
    """The first filters as an image, each from its least to its greatest weight."""
    kernel = (run.measured.filters or {}).get(stage)
    if kernel is None or not np.isfinite(kernel).all():
        return ""
    filters = kernel.transpose(3, 0, 1, 2)
    low = filters.min(axis=(1, 2, 3), keepdims=True)
    high = filters.max(axis=(1, 2, 3), keepdims=True)
    grey = 255 * (filters - low) / np.where(high > low, high - low, 1)
    pixels = np.rint(np.where(high > low, grey, 128)).astype(np.uint8)
    count, height, width, channels = pixels.shape
    across = min(ACROSS, count)
    down = -(-count // across)
    sheet = np.zeros((down * (height + 1), across * (width + 1), 4), np.uint8)
    for at, each in enumerate(pixels):
        y, x = at // across * (height + 1), at % across * (width + 1)
        sheet[y : y + height, x : x + width, :3] = each  # of one channel: grey
        sheet[y : y + height, x : x + width, 3] = 255
    source = base64.b64encode(png(sheet)).decode("ascii")
    alt = f"The first {count} filters of {stage}, {height} x {width} pixels each"
    return (
        f'<img class="crisp" style="width:{WIDTH * across / ACROSS:.1f}rem" '
        f'alt="{escape(alt)}" src="data:image/png;base64,{source}">'
    )


def _zeros(kernel):
    return 1 - kernel["nonzero"] / kernel["size"] if kernel["size"] else None
