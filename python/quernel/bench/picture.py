"""The roofline picture: one panel for each group of families, every case a labelled point, the measured roofs as lines."""

import io

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

from .. import kernels
from .families import arithmetic
from .labels import place

# Panels, and how many of the three columns each is wide.
PANELS = [
    (("gemm from 128",), 3),
    (("gemm up to 64",), 1),
    (("gemm, few rows or columns",), 2),
    (("conv", "conv, grouped"), 3),
    (("depthwise forward", "depthwise dx, dw"), 1),
    (("dense",), 1),
    (("pooling",), 1),
    (("recurrent", "dense with its loss"), 2),
    (("activations",), 2),
    (("optimizers",), 1),
    (("softmax and losses",), 2),
    (("norms", "sums"), 1),
    (("elementwise",), 3),
    (("random",), 1),
    (("moves",), 2),
]
WIDTH, HEIGHT = 8.4, 6.0  # inches of one column and row
COLORS = matplotlib.colormaps["tab10"].colors
MARKERS = "os^Dv"
SHIFT = {"xytext": (4, 0), "textcoords": "offset points"}  # of a limit's text from the panel's edge
APART = 8  # pixels between points that have the same place


def short(row):
    """A label: the op where the panel has several, the case, without what repeats."""
    name = row["case"]
    if row["op"] == "gemm":
        sizes, _, placed = name.partition("-")
        m, n, k = sizes[:-2].split("x")
        cube = m == n == k
        text = f"{m}\u00b3 {sizes[-2:]}" if cube else f"{m},{n},{k} {sizes[-2:]}"
        return f"{text} {placed}".strip()
    op = row["op"]
    for word, less in (("depthwise_conv_", ""), ("conv_", ""), ("_update", ""), ("categorical_crossentropy", "cross"),
                       ("binary_crossentropy", "binary cross"), ("mean_squared_error", "squared error"),
                       ("batch_norm_", ""), ("_", " ")):  # fmt: skip
        op = op.replace(word, less)
    return f"{op} {name}"


def draw(run):
    """The matplotlib Figure of a run."""
    panels = []
    for families, width in PANELS:
        rows = [r for r in run["rows"] if r["family"] in families]
        if rows:
            panels.append((families, width, rows))
    lines = _layout(panels)
    figure = Figure(figsize=(3 * WIDTH, HEIGHT * len(lines) + 0.8), dpi=100)
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        len(lines), 3, left=0.035, right=0.99, bottom=0.4 / (HEIGHT * len(lines)) + 0.004,
        top=1 - 1.1 / (HEIGHT * len(lines) + 0.8), wspace=0.13, hspace=0.2,
    )  # fmt: skip
    for number, line in enumerate(lines):
        column = 0
        for families, width, rows in line:
            axes = figure.add_subplot(grid[number, column : column + width])
            column += width
            _panel(axes, run, families, rows)
    machine = run["machine"]
    figure.text(
        0.035,
        1 - 0.5 / (HEIGHT * len(lines) + 0.8),
        f"quernel {machine['quernel']} on {machine['processor']}, {machine['date'][:10]}: every case beside its roof, "
        "measured in the same rounds (grey dash); labels at the largest thread count; points in one place are spread sideways",
        fontsize=16,
    )
    return figure


def _layout(panels):
    """Rows of panels, three columns wide; the last of a row takes what is left."""
    lines, room = [], 0
    for families, width, rows in panels:
        if width > room:
            if lines and room:
                last = lines[-1][-1]
                lines[-1][-1] = (last[0], last[1] + room, last[2])
            lines.append([])
            room = 3
        lines[-1].append((families, width, rows))
        room -= width
    if lines and room:
        last = lines[-1][-1]
        lines[-1][-1] = (last[0], last[1] + room, last[2])
    return lines


def _panel(axes, run, families, rows):
    products = arithmetic(families[0])
    threads = sorted({r["threads"] for r in rows})
    isas = list(dict.fromkeys(r["isa"] for r in rows))
    hues = list(dict.fromkeys(_hue(r, families) for r in rows))
    points = []
    for row in rows:
        x = row["flops"] / max(row["bytes"], 1) if products else row["footprint"]
        y, unit = (row["gflops"], row["flops"]) if products else (row["gbs"], row["bytes"])
        if y <= 0 or x <= 0:
            continue
        points.append((row, x, y, unit / row["roof"]["seconds"] / 1e9 if row["roof"] else y))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.margins(0.09, 0.1)
    axes.update_datalim([(x, value) for _, x, y, limit in points for value in (y, limit)])
    axes.autoscale_view()
    texts = _roof_lines(axes, run, products, isas, threads)
    points = _spread(axes, points)
    for row, x, y, limit in points:
        color = COLORS[hues.index(_hue(row, families)) % len(COLORS)]
        marker = MARKERS[(threads.index(row["threads"]) + len(threads) * isas.index(row["isa"])) % len(MARKERS)]
        axes.plot(x, y, marker, color=color, markersize=5, markeredgewidth=0, zorder=3, scalex=False, scaley=False)
        if row["roof"]:
            axes.plot(
                x, limit, "_", color="0.45", markersize=7, markeredgewidth=1.0, zorder=2, scalex=False, scaley=False
            )
            axes.plot([x, x], [y, limit], color="0.85", linewidth=0.6, zorder=1, scalex=False, scaley=False)
    axes.grid(alpha=0.25, which="major")
    for axis, written in ((axes.xaxis, "{:g}".format if products else _bytes), (axes.yaxis, "{:g}".format)):
        low, high = axis.get_view_interval()
        axis.set_major_locator(LogLocator(subs=(1.0,)))
        axis.set_minor_locator(LogLocator(subs=(2.0, 5.0) if high < 1e4 * low else ()))
        axis.set_major_formatter(FuncFormatter(lambda v, _, written=written: written(v)))
        axis.set_minor_formatter(FuncFormatter(lambda v, _, written=written: written(v)))
        axis.set_tick_params(which="both", labelsize=8)
    axes.set_title(", ".join(families), fontsize=12, loc="left")
    axes.set_xlabel("floating-point operations for each byte" if products else "bytes of the arrays")
    axes.set_ylabel("GFLOP/s" if products else "GB/s")
    handles = [axes.plot([], [], "o", color=COLORS[i % len(COLORS)], label=h)[0] for i, h in enumerate(hues)]
    for i, (isa, t) in enumerate((i, t) for i in isas for t in threads):
        label = f"{isa}, {t} thread{'s' * (t > 1)}"
        handles.append(axes.plot([], [], MARKERS[i % len(MARKERS)], color="0.3", label=label)[0])
    axes.legend(handles=handles, fontsize=7, loc="lower right", ncols=2, framealpha=0.7)
    named = [p for p in points if p[0]["threads"] == threads[-1] and p[0]["isa"] == isas[0]]
    labels = [(x, y, short(row), COLORS[hues.index(_hue(row, families)) % len(COLORS)]) for row, x, y, _ in named]
    place(axes, labels, [(x, y) for _, x, y, _ in points], texts)


def _spread(axes, points):
    """The points, those that would cover another moved sideways by a marker's width or more."""
    taken, spread = [], []
    for row, x, y, limit in sorted(points, key=lambda p: p[2]):
        px, py = axes.transData.transform((x, y))
        steps = (0, *(side * n for n in range(1, 9) for side in (1, -1)))
        free = (s for s in steps if all(abs(px + s * APART - a) >= APART or abs(py - b) >= APART for a, b in taken))
        place_x = px + next(free, 0) * APART
        taken.append((place_x, py))
        spread.append((row, axes.transData.inverted().transform((place_x, py))[0], y, limit))
    return spread


def _bytes(n):
    """A tick of an axis of bytes."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if n >= scale:
            return f"{n / scale:g} {unit}"
    return f"{n:g} B"


def _hue(row, families):
    """What the colour of a point says: the family, or within one family the op's direction, layout or room."""
    if families[0].startswith(("conv", "depthwise", "dense")):
        return row["op"].rpartition("_")[2]
    if len(families) > 1:
        return row["family"]
    if row["op"] == "gemm":
        return row["case"].partition("-")[0][-2:]
    if row["family"] == "elementwise":
        return getattr(kernels, row["op"]).module
    return "dx" if row["op"].endswith("_dx") else "forward"


def _roof_lines(axes, run, products, isas, threads):
    """Draws the machine's limits that cross the panel; returns their texts."""
    texts = []
    low, high = axes.get_xlim()
    bottom, top = axes.get_ylim()
    ceiling = 2 * top  # a limit far above every point would only squeeze them
    above = np.inf
    for limit in sorted(run["roofs"], key=lambda r: -r["rate"]):
        if limit["isa"] != isas[0] or limit["threads"] != threads[-1]:
            continue
        label = f"{limit['probe']} {limit['in']} {limit['rate']:.3g} {limit['unit']}"
        style = {"color": "0.6", "linewidth": 0.8, "linestyle": "--", "zorder": 1}
        if products and limit["probe"] == "fma" and limit["rate"] < ceiling:
            top = max(top, limit["rate"] * 1.15)
            axes.axhline(limit["rate"], **style)
            texts.append(axes.annotate(label, (low, limit["rate"]), fontsize=7, color="0.4", va="bottom", **SHIFT))
        elif products and limit["probe"] == "read":
            axes.plot([low, high], [low * limit["rate"], high * limit["rate"]], **style)
            at = min(max(low * 1.02, bottom * 1.2 / limit["rate"]), high)
            texts.append(axes.annotate(label, (at, at * limit["rate"]), fontsize=7, color="0.4", va="bottom"))
        elif not products and limit["unit"] == "GB/s" and bottom < limit["rate"] < ceiling:
            top = max(top, limit["rate"] * 1.3)
            axes.axhline(limit["rate"], **style)
            side = (
                "top" if above < limit["rate"] * (top / bottom) ** 0.04 else "bottom"
            )  # its text would cover the last one
            above = limit["rate"]
            texts.append(axes.annotate(label, (low, limit["rate"]), fontsize=7, color="0.4", va=side, **SHIFT))
    axes.set_xlim(low, high)
    axes.set_ylim(bottom, top)
    return texts


def save(run, path):
    """Writes the picture in the format of the file's name."""
    draw(run).savefig(path)


def png(run):
    """The picture as the bytes of a PNG."""
    file = io.BytesIO()
    draw(run).savefig(file, format="png")
    return file.getvalue()
