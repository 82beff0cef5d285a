"""The HTML page: the report's tables and the picture in one file that needs nothing else."""

import base64
import html

from . import overview
from .files import put
from .picture import image
from .report import NOTE, case_lines, head, noise, roof_lines, slower_lines, unfinished

STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 110em; padding: 0 1em; color: #222; }
table { border-collapse: collapse; margin: 1em 0; font-variant-numeric: tabular-nums; }
th, td { padding: .15em .7em; text-align: right; white-space: nowrap; border-bottom: 1px solid #e4e4e4; }
th:first-child, td:first-child { text-align: left; }
th { position: sticky; top: 0; background: #f6f6f6; cursor: pointer; }
td.slow { background: #fbe3df; } td.fast { background: #e3f3e3; }
img { width: 100%; } pre { white-space: pre-wrap; }
"""
SORT = """
document.querySelectorAll("th").forEach(th => th.addEventListener("click", () => {
  const body = th.closest("table").tBodies[0], i = th.cellIndex, scale = {us: 1e-6, ms: 1e-3, s: 1};
  const key = r => { const t = r.cells[i].textContent.trim(), m = t.match(/^(-?[0-9.]+)(?: (us|ms|s))?(?:$| |\\/)/);
    return m ? parseFloat(m[1]) * (scale[m[2]] || 1) : t; };
  const down = th.dataset.down = th.dataset.down === "1" ? "" : "1";
  [...body.rows].sort((a, b) => { const x = key(a), y = key(b);
    return (x > y ? 1 : x < y ? -1 : 0) * (down ? -1 : 1); }).forEach(r => body.append(r));
}));
"""


def _table(head_cells, lines, peers=()):
    columns = {i for i, name in enumerate(head_cells) if name in peers}
    parts = ["<table><thead><tr>", *(f"<th>{html.escape(c)}</th>" for c in head_cells), "</tr></thead><tbody>"]
    for line in lines:
        parts.append("<tr>")
        for i, cell in enumerate(line):
            kind = ""
            if i in columns and cell[:1].isdigit():
                value = float(cell.rstrip("?"))
                kind = ' class="slow"' if value < 0.95 else ' class="fast"' if value >= 1.05 else ""
            parts.append(f"<td{kind}>{html.escape(cell)}</td>")
        parts.append("</tr>")
    return "".join([*parts, "</tbody></table>"])


def _overview(run):
    """The overview's tables and lists."""
    found = []
    head = ["family", *(f"{group}: {name}" for name, group in zip(overview.HEAD[1:], overview.grouped()[1:]))]
    for isa, threads, lines in overview.parts(overview.overview(run["rows"])):
        found.append(f"<h3>{isa}, {threads} thread{'s' * (threads > 1)}</h3>")
        found.append(_table([name.removeprefix(": ") for name in head], [overview.cells(line) for line in lines]))
        for heading, told in overview.lists(run["rows"], lines):
            found.append(f"<p>{html.escape(heading)}:</p><ul>")
            found += [f"<li>{html.escape(f'{family}: {names}')}</li>" for family, names in told]
            found.append("</ul>")
    return [*found, f"<p>{html.escape(overview.EXPLAINED)}</p>"]


def page(run):
    """The page's text."""
    title = f"quernel bench, {run['machine']['date'][:10]}"
    picture = base64.b64encode(image(run)).decode()
    peers, slower = run["machine"]["peers"], slower_lines(run)
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)}</title><style>{STYLE}</style>",
        f"<h1>{html.escape(title)}</h1>",
        "<pre>" + html.escape("\n".join(head(run))) + "</pre>",
        "<h2>Families</h2>",
        *_overview(run),
        *(f"<p>{html.escape(sentence)}</p>" for sentence in (noise(run), *unfinished(run))),
        *(["<h2>Where a library is faster</h2>", _table(*slower)] if slower[1] else []),
        "<h2>Roofline</h2>",
        f'<img alt="Roofline: every case beside its roof" src="data:image/png;base64,{picture}">',
        "<h2>Cases</h2>",
        f"<p>{html.escape(NOTE)} A click on a column's head sorts by it.</p>",
        _table(*case_lines(run), peers),
        "<h2>The machine's limits</h2>",
        _table(*roof_lines(run)),
        f"<script>{SORT}</script></html>",
    ]
    return "\n".join(parts) + "\n"


def save(run, path):
    """Writes the page."""
    put(path, page(run))
