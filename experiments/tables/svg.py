"""matplotlib figures -> inline SVG with the fonts and colours of the page around it."""

import io
import re
from collections.abc import Mapping
from xml.etree import ElementTree

from experiments.tables import units

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
# Drawn in these; a page sees CSS variables, which follow its light or dark theme.
INK, FAINT, PAPER = "#1d2126", "#8a9099", "#fdfdfc"
SERIES = ("#2f6db3", "#c8641b", "#2c8a63", "#a8448f", "#8a6d12", "#4b5fc4", "#b03a48")
VARIABLES = {
    INK: "--ink",
    FAINT: "--faint",
    PAPER: "--paper",
    **{colour: f"--series-{i}" for i, colour in enumerate(SERIES)},
}
TIP = "tip: "
# Points: left, right, bottom, top; equal in all pictures, whose axes line up.
MARGINS = 42, 18, 36, 20


def colours(names: list[str]) -> dict[str, str]:
    """A colour for each name, the same in every picture of a report."""
    return {name: SERIES[i % len(SERIES)] for i, name in enumerate(names)}


def axes(
    width: float,
    height: float,
    margins: tuple[float, float, float, float] = MARGINS,
):
    """A figure of that many points, and its axes, without a frame."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    left, right, bottom, top = margins
    figure.subplots_adjust(
        left=left / width,
        right=1 - right / width,
        bottom=bottom / height,
        top=1 - top / height,
    )
    figure.patch.set_alpha(0)
    plot = figure.add_subplot()
    plot.patch.set_alpha(0)
    plot.spines[["top", "right"]].set_visible(False)
    plot.spines[["left", "bottom"]].set_color(FAINT)
    plot.tick_params(which="both", colors=INK, labelsize=10)
    plot.grid(color=FAINT, alpha=0.25, linewidth=0.6)
    plot.set_axisbelow(True)
    return figure, plot


def tip(text: str) -> str:
    """A `gid` of what is drawn: whoever points at it reads `text`."""
    return f"{TIP}{text}"


def caption_axes(plot, *, x: str, y: str) -> None:
    """Name the axes; y above its axis, where it can be read upright."""
    plot.set_xlabel(x, color=INK, fontsize=10.5)
    plot.set_title(y, loc="left", color=INK, fontsize=10.5, parse_math=False)


def named_ticks(plot, names: Mapping[float, str]) -> None:
    """A logarithmic x axis with these ticks alone."""
    plot.set_xscale("log")
    plot.set_xticks(list(names), list(names.values()))
    plot.set_xticks([], minor=True)


def readable_ticks(plot, unit: str | None) -> None:
    """On a logarithmic x axis: 1, 2 and 5 of every power of ten, in words.

    Args:
        plot: its limits are final.
        unit: behind the decimal prefix, as in "20 kB"; None: no prefixes.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = plot.get_xlim()
    steps = (1, 2, 5) if high / low < 1000 else (1,)
    plot.xaxis.set_major_locator(LogLocator(subs=steps, numticks=30))
    plot.xaxis.set_minor_locator(NullLocator())

    def as_text(value, _):
        prefixes = () if unit is None else units.PREFIXES
        factor, prefix = next((p for p in prefixes if value >= p[0]), (1, ""))
        return f"{value / factor:g} {prefix}{unit or ''}".rstrip()

    plot.xaxis.set_major_formatter(FuncFormatter(as_text))


def inline_svg(figure, *, name: str, alt: str) -> str:
    """The figure as an <svg> element that scales with its column.

    Args:
        figure: a matplotlib figure.
        name: unique in the page, in which the ids of all pictures are shared.
        alt: what the picture shows, in words.
    """
    from matplotlib import rc_context

    buffer = io.StringIO()
    # Text stays text: it is read aloud, searched, and set in the page's font.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    root = ElementTree.fromstring(buffer.getvalue())
    _drop_page_wide_style(root)
    _show_tips(root)
    _own_ids(root, name)
    root.set("width", "100%")
    root.attrib.pop("height")
    root.set("role", "img")
    root.set("aria-label", alt)
    root.set("style", "stroke-linejoin: round; stroke-linecap: butt")
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    text = ElementTree.tostring(root, encoding="unicode")
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var({variable}, {colour})")
    return text


def alt_of(text: str) -> str:
    """What a picture of `inline_svg` shows, in words."""
    return ElementTree.fromstring(text).get("aria-label", "")


def document(text: str) -> str:
    """A picture of `inline_svg` as a file of its own, on paper, of its own size."""
    for colour, variable in VARIABLES.items():
        text = text.replace(f"var({variable}, {colour})", colour)
    root = ElementTree.fromstring(text)
    _, _, width, height = root.get("viewBox", "0 0 0 0").split()
    root.set("width", width)
    root.set("height", height)
    paper = {"width": width, "height": height, "fill": PAPER}
    root.insert(0, ElementTree.Element(f"{{{SVG}}}rect", paper))
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _drop_page_wide_style(root):
    """matplotlib's `* {...}` would apply to the whole page."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{SVG}}}style", f"{{{SVG}}}metadata"):
                parent.remove(child)


def _show_tips(root):
    for element in list(root.iter()):
        text = element.get("id", "")
        if text.startswith(TIP):
            del element.attrib["id"]
            title = ElementTree.Element(f"{{{SVG}}}title")
            title.text = text.removeprefix(TIP)
            element.insert(0, title)


def _own_ids(root, name):
    """Prefix ids that are referred to with the picture's name; drop the others."""
    refers = re.compile(r"#([\w-]+)")
    link = f"{{{XLINK}}}href"
    used = set()
    for element in root.iter():
        for key, value in element.attrib.items():
            if key == link or "url(#" in value:
                used |= set(refers.findall(value))
                element.set(key, refers.sub(rf"#{name}-\1", value))
    for element in root.iter():
        identity = element.attrib.pop("id", None)
        if identity in used:
            element.set("id", f"{name}-{identity}")
