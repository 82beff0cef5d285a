"""The picture: rooflines of products and, line by line, what is bound by bytes; every case a labelled point beside its roof."""

import io
import os

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator

from .. import kernels
from . import dots
from .families import arithmetic
from .files import put
from .labels import place

# Panels, and how many of the three columns each is wide.
PANELS = [
    (("gemm from 128",), 3),
    (("gemm up to 64",), 1),
    (("gemm, few rows or columns",), 2),
    (("conv", "conv, grouped"), 1),
    (("depthwise forward", "depthwise dx, dw"), 1),
    (("dense",), 1),
    (("recurrent", "dense with its loss"), 3),
    (("elementwise",), 1),
    (("activations",), 1),
    (("softmax and losses",), 1),
    (("norms", "sums"), 1),
    (("pooling",), 1),
    (("optimizers",), 1),
    (("moves",), 1),
    (("random",), 1),
]
WIDTH, HEIGHT = 8.4, 6.0  # inches of one column, and of a panel of products at least
CROWD = 0.18  # inches of height for each case of such a panel
HEAD = 0.7  # inches of the head line
ABOVE, BELOW = 0.75, 1.0  # inches of a panel's height for its title and its axis
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
    heights = [max(_height(families, rows) for families, _, rows in line) for line in lines]
    total = sum(heights) + HEAD
    figure = Figure(figsize=(3 * WIDTH, total), dpi=100)
    FigureCanvasAgg(figure)
    top = total - HEAD
    for line, height in zip(lines, heights):
        column = 0
        for families, width, rows in line:
            mine = _height(families, rows)  # a short panel beside a tall one hangs from the same edge
            left, right = column * WIDTH + 0.9, (column + width) * WIDTH - 0.25
            low = top - mine + BELOW
            box = (left / (3 * WIDTH), low / total, (right - left) / (3 * WIDTH), (mine - BELOW - ABOVE) / total)
            column += width
            _panel(figure.add_axes(box), run, families, rows)
        top -= height
    machine = run["machine"]
    figure.text(
        0.9 / (3 * WIDTH),
        1 - 0.5 / total,
        f"quernel {machine['quernel']} on {machine['processor']}, {machine['date'][:10]}: every case beside its roof, "
        "measured in the same rounds (grey dash); products: labels at the largest thread count, points in one place are spread",
        fontsize=14,
    )
    return figure


def _is_roofline(families):
    """Whether a panel has flops per byte on its axis: convolutions of one intensity would lie on each other there."""
    return arithmetic(families[0]) and not families[0].startswith(("conv", "depthwise"))


def _height(families, rows):
    """Inches of a panel with what is around it."""
    if not _is_roofline(families):
        return dots.height(rows)
    cases = len({(row["op"], row["case"]) for row in rows})
    return min(max(HEIGHT, CROWD * cases), 2 * HEIGHT)


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
    threads = sorted({r["threads"] for r in rows})
    isas = list(dict.fromkeys(r["isa"] for r in rows))
    hues = list(dict.fromkeys(_hue(r, families) for r in rows))

    def style(row):
        marker = MARKERS[(threads.index(row["threads"]) + len(threads) * isas.index(row["isa"])) % len(MARKERS)]
        return COLORS[hues.index(_hue(row, families)) % len(COLORS)], marker

    def legend(**place):
        handles = [axes.plot([], [], "o", color=COLORS[i % len(COLORS)], label=h)[0] for i, h in enumerate(hues)]
        for i, (isa, t) in enumerate((i, t) for i in isas for t in threads):
            label = f"{isa}, {t} thread{'s' * (t > 1)}"
            handles.append(axes.plot([], [], MARKERS[i % len(MARKERS)], color="0.3", label=label)[0])
        axes.legend(handles=handles, fontsize=7, framealpha=0.7, **place)

    if _is_roofline(families):
        _roofline(axes, run, families, rows, style, legend)
        return
    unit = "GFLOP/s" if arithmetic(families[0]) else "GB/s"
    limits = [r for r in run["roofs"] if (r["isa"], r["threads"], r["unit"]) == (isas[0], threads[-1], unit)]
    dots.panel(axes, rows, unit, limits, style, short, ", ".join(families))
    below = -0.28 * axes.figure.dpi / axes.bbox.height
    legend(loc="upper right", bbox_to_anchor=(1, below), ncols=4, borderaxespad=0)


def _roofline(axes, run, families, rows, style, legend):
    """Products: GFLOP/s over flops for each byte."""
    threads, isas = sorted({r["threads"] for r in rows}), list(dict.fromkeys(r["isa"] for r in rows))
    points = []
    for row in rows:
        x, y = row["flops"] / max(row["bytes"], 1), row["gflops"]
        if y > 0 and x > 0:
            points.append((row, x, y, row["flops"] / row["roof"]["seconds"] / 1e9 if row["roof"] else y))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.margins(0.09, 0.1)
    axes.update_datalim([(x, value) for _, x, y, limit in points for value in (y, limit)])
    axes.autoscale_view()
    texts = _roof_lines(axes, run, isas, threads)
    points = _spread(axes, points)
    for row, x, y, limit in points:
        color, marker = style(row)
        axes.plot(x, y, marker, color=color, markersize=5, markeredgewidth=0, zorder=3, scalex=False, scaley=False)
        if row["roof"]:
            axes.plot(
                x, limit, "_", color="0.45", markersize=7, markeredgewidth=1.0, zorder=2, scalex=False, scaley=False
            )
            axes.plot([x, x], [y, limit], color="0.85", linewidth=0.6, zorder=1, scalex=False, scaley=False)
    axes.grid(alpha=0.25, which="major")
    for axis in (axes.xaxis, axes.yaxis):
        low, high = axis.get_view_interval()
        axis.set_major_locator(LogLocator(subs=(1.0,)))
        axis.set_minor_locator(LogLocator(subs=(2.0, 5.0) if high < 1e4 * low else ()))
        axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        axis.set_minor_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        axis.set_tick_params(which="both", labelsize=8)
    axes.set_title(", ".join(families), fontsize=12, loc="left")
    axes.set_xlabel("floating-point operations for each byte")
    axes.set_ylabel("GFLOP/s")
    legend(loc="lower right", ncols=2)
    named = [p for p in points if p[0]["threads"] == threads[-1] and p[0]["isa"] == isas[0]]
    labels = [(x, y, short(row), style(row)[0]) for row, x, y, _ in named]
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


def _roof_lines(axes, run, isas, threads):
    """Draws the machine's limits that cross the panel; returns their texts."""
    texts = []
    low, high = axes.get_xlim()
    bottom, top = axes.get_ylim()
    ceiling = 2 * top  # a limit far above every point would only squeeze them
    for limit in sorted(run["roofs"], key=lambda r: -r["rate"]):
        if limit["isa"] != isas[0] or limit["threads"] != threads[-1]:
            continue
        label = f"{limit['probe']} {limit['in']} {limit['rate']:.3g} {limit['unit']}"
        style = {"color": "0.6", "linewidth": 0.8, "linestyle": "--", "zorder": 1}
        if limit["probe"] == "fma" and limit["rate"] < ceiling:
            top = max(top, limit["rate"] * 1.15)
            axes.axhline(limit["rate"], **style)
            texts.append(axes.annotate(label, (low, limit["rate"]), fontsize=7, color="0.4", va="bottom", **SHIFT))
        elif limit["probe"] == "read":
            axes.plot([low, high], [low * limit["rate"], high * limit["rate"]], **style)
            at = min(max(low * 1.02, bottom * 1.2 / limit["rate"]), high)
            texts.append(axes.annotate(label, (at, at * limit["rate"]), fontsize=7, color="0.4", va="bottom"))
    axes.set_xlim(low, high)
    axes.set_ylim(bottom, top)
    return texts


def save(run, path):
    """Writes the picture in the format of the file's name."""
    put(path, image(run, os.path.splitext(path)[1][1:].lower()))


def image(run, form="png"):
    """The picture as the bytes of a file of that format."""
    file = io.BytesIO()
    draw(run).savefig(file, format=form)
    return file.getvalue()
