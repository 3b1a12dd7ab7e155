"""Tables of a page sort by a click on a heading, long ones have a field to search in.

Without JavaScript the page is as it was. The order that was written comes back with the
third click. Numbers are compared as such, with their prefix ("33.1 kB").
"""

SCRIPT = r"""
"use strict";
const LONG = 8;  // rows from which a table can be searched
const PREFIX = { k: 1e3, M: 1e6, G: 1e9 };
function amount(text) {
  const found = /^[<+]?\s*(-?[\d,.]+)\s*([kMG](?=B|$))?/.exec(text.trim());
  if (!found) return null;
  return parseFloat(found[1].replaceAll(",", "")) * (PREFIX[found[2]] ?? 1);
}
function compared(a, b, direction) {
  const [x, y] = [amount(a), amount(b)];
  if (x === null && y === null) return direction * a.localeCompare(b);
  if (x === null || y === null) return (x === null) - (y === null);  // words last
  return direction * (x - y);
}
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0], written = [...body.rows];
  if (written.length < 2) continue;
  const heads = [...table.tHead.rows[0].cells];
  const order = (at, direction) => {
    const text = row => row.cells[at].firstChild?.textContent ?? "";
    const rows = [...written];
    if (direction) rows.sort((a, b) => compared(text(a), text(b), direction));
    body.append(...rows);
    const words = { "1": "ascending", "-1": "descending" };
    heads.forEach((head, i) => {
      if (i === at && direction) head.setAttribute("aria-sort", words[direction]);
      else head.removeAttribute("aria-sort");
    });
  };
  heads.forEach((head, at) => {
    head.tabIndex = 0;
    head.title = "sort";
    head.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      order(at, now === null ? 1 : now === "ascending" ? -1 : 0);
    });
    head.addEventListener("keydown", event => {
      if (event.key === "Enter") head.click();
    });
  });
  if (written.length < LONG) continue;
  const field = document.createElement("input");
  field.type = "search";
  field.placeholder = "show rows with …";
  field.setAttribute("aria-label", field.placeholder);
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/);
    for (const row of written) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every(word => text.includes(word));
    }
  });
  table.parentElement.before(field);
}
"""
