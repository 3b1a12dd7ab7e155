"""How the page looks, in light and in dark."""

from experiments.tables.svg import FAINT, INK, PAPER, SERIES

DARK_SERIES = (
    "#78aee8", "#eb9a5c", "#66c79b", "#d98bc4", "#cdb04a", "#98a6f2", "#ec8390"
)  # fmt: skip


def _series(colours):
    return "".join(f"--series-{i}:{colour};" for i, colour in enumerate(colours))


CSS = (
    f"""
:root {{ color-scheme: light dark; --ink:{INK}; --faint:{FAINT}; --paper:{PAPER};
  --quiet:#5b626c; --rule:#dfe2e6; --sheet:#f4f5f6; --warn:#fff4d6; --warn-ink:#6b4b00;
  {_series(SERIES)} }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink:#e4e7ea; --faint:#7d848e;
  --paper:#16191d; --quiet:#a4abb5; --rule:#333941; --sheet:#1f2329; --warn:#3a2f10;
  --warn-ink:#f0d48a; {_series(DARK_SERIES)} }} }}
"""
    + """
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 2rem 1.25rem 4rem; color: var(--ink);
  background: var(--paper); font: 16px/1.55 system-ui, -apple-system, "Segoe UI",
  Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; letter-spacing: -.01em; }
h2 { font-size: 1.25rem; margin: 3rem 0 .6rem; }
h3 { font-size: 1rem; margin: 1.8rem 0 .2rem; }
p { max-width: 46rem; margin: .4rem 0; }
.lead { font-size: 1.1rem; }
.quiet, figcaption, small { color: var(--quiet); }
figure { margin: 1rem 0; }
figcaption { font-size: .875rem; line-height: 1.45; }
figcaption p { margin: .25rem 0; }
.warning { background: var(--warn); color: var(--warn-ink); padding: .4rem .7rem;
  border-radius: .3rem; font-weight: 600; }
code, pre { font: .875rem/1.5 ui-monospace, Menlo, Consolas, monospace; }
pre { background: var(--sheet); padding: .7rem 1rem; border-radius: .4rem;
  margin: .8rem 0; overflow-x: auto; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem;
  font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: 0 0 .4rem; }
th, td { padding: .45rem .65rem; text-align: left; vertical-align: top;
  white-space: nowrap; border-bottom: 1px solid var(--rule); }
th:first-child { padding-left: 0; } td:last-child, th:last-child { padding-right: 0; }
thead th { color: var(--quiet); font-weight: 500; vertical-align: bottom;
  border-bottom: 1.5px solid var(--faint); }
.number { text-align: right; }
td small, thead small { display: block; font-size: .8rem; }
dl { display: grid; grid-template-columns: minmax(6rem, 9.5rem) 1fr; gap: .15rem 1.1rem;
  margin: .5rem 0; font-size: .9rem; }
dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; }
.pictures { display: grid; gap: 1rem 2rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); }
.panels { display: grid; gap: .5rem 1.5rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 18rem), 1fr)); }
svg text { font-family: inherit !important; }
.cards { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 17rem), 1fr)); }
.card { margin: 0; padding: .9rem; border: 1px solid var(--rule); border-radius: .5rem;
  display: grid; grid-template-columns: 96px 1fr; gap: .6rem .9rem; min-width: 0; }
.card figcaption { overflow-wrap: anywhere; color: var(--ink); }
.digit { object-fit: contain; background: var(--sheet); border-radius: .2rem; }
.crisp { image-rendering: pixelated; }
.bars { grid-column: 1 / -1; display: grid; gap: .1rem .6rem; font-size: .78rem;
  grid-template-columns: fit-content(6rem) 1fr; line-height: 1.25;
  color: var(--quiet); }
.bars div { display: contents; }
.bars span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.bars i { display: block; padding: 3px 0; background: var(--sheet); }
.bars b { display: block; height: 4px; }
.bars .label span { color: var(--ink); font-weight: 700; }
.bars .label span::before { content: "✓ "; }
b.teacher { background: var(--series-0); } b.student { background: var(--series-1); }
span.teacher { color: var(--series-0); font-weight: 600; }
span.student { color: var(--series-1); font-weight: 600; }
.crisp { max-width: 100%; }
details { margin: .4rem 0; }
thead th[tabindex] { cursor: pointer; }
th[aria-sort="ascending"]::after { content: " ↑"; }
th[aria-sort="descending"]::after { content: " ↓"; }
input[type="search"] { font: inherit; font-size: .875rem; color: inherit;
  background: var(--sheet); border: 1px solid var(--rule); border-radius: .3rem;
  padding: .25rem .6rem; margin: 0 0 .6rem; width: 16rem; max-width: 100%; }
ul { margin: .4rem 0; padding-left: 1.2rem; }
summary { cursor: pointer; }
@media print { body { max-width: none; } .card, figure { break-inside: avoid; } }
"""
)
