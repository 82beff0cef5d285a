"""Panels with a line for each case, its rate and its roof as marks on it: none covers another, however alike they are."""

from matplotlib.ticker import FuncFormatter, LogLocator

LINE = 0.165  # inches of a case's line
AROUND = 1.75  # inches above and below all lines: title, limits, axis
NAMES = 2.75  # inches left of the marks
ASIDE = 0.36  # of a line: how far the marks of the least and the most threads are apart


def height(rows):
    """Inches that a panel of these rows takes."""
    return LINE * len(lines(rows)) + AROUND


def lines(rows):
    """[(op, case)], small arrays first."""
    sizes = {}
    for row in rows:
        sizes.setdefault((row["op"], row["case"]), row["footprint"])
    return sorted(sizes, key=sizes.get)


def panel(axes, rows, unit, limits, style, short, title):
    """Draws one panel.

    Args:
        axes: matplotlib Axes; its left part becomes room for the names.
        rows: finished rows.
        unit: "GB/s" or "GFLOP/s".
        limits: the machine's limits in this unit.
        style: from a row to (color, marker).
        short: from a row to its name.
        title: of the panel.
    """
    width = axes.figure.get_figwidth()
    box = axes.get_position()
    axes.set_position([box.x0 + NAMES / width, box.y0, box.width - NAMES / width, box.height])
    threads = sorted({row["threads"] for row in rows})
    at = {key: i for i, key in enumerate(lines(rows))}
    rate, work = ("gbs", "bytes") if unit == "GB/s" else ("gflops", "flops")
    rows = [row for row in rows if row[rate] > 0]
    axes.set_xscale("log")
    axes.margins(0.04, 0)
    for row in rows:
        aside = threads.index(row["threads"]) / max(len(threads) - 1, 1) - 0.5
        y = at[row["op"], row["case"]] + ASIDE * aside * (len(threads) > 1)
        color, marker = style(row)
        if row["roof"]:
            allowed = row[work] / row["roof"]["seconds"] / 1e9
            axes.plot([row[rate], allowed], [y, y], color="0.8", linewidth=0.8, zorder=1)
            axes.plot(allowed, y, "|", color="0.35", markersize=6, markeredgewidth=1.2, zorder=2)
        axes.plot(row[rate], y, marker, color=color, markersize=4.5, markeredgewidth=0, zorder=3)
    names = {(row["op"], row["case"]): short(row) for row in rows}
    axes.set_yticks([at[key] for key in names], list(names.values()), fontsize=8)
    for tick, key in zip(axes.get_yticklabels(), names):
        color, _ = style(next(row for row in rows if (row["op"], row["case"]) == key))
        tick.set_color([0.75 * c for c in color])
    axes.set_ylim(len(at) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(alpha=0.25, axis="x", which="major")
    axes.grid(alpha=0.18, axis="y")
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,)))
    axes.xaxis.set_minor_locator(LogLocator(subs=(2.0, 5.0) if high < 3e3 * low else ()))
    for which in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
        which(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.tick_params(axis="x", which="both", labelsize=8)
    axes.annotate(unit, (0, 0), (-6, -12), xycoords="axes fraction", textcoords="offset points", ha="right", fontsize=9)
    last = 0.0
    for limit in sorted(limits, key=lambda r: r["rate"]):
        if low < limit["rate"] < high:
            axes.axvline(limit["rate"], color="0.6", linewidth=0.8, linestyle="--", zorder=0)
            pixel = axes.transData.transform((limit["rate"], 0))[0]
            if pixel - last > 16:  # else its text would cover the last one
                axes.annotate(
                    f"{limit['probe']} {limit['in']} {limit['rate']:.3g}", (limit["rate"], 1), (0, 3), fontsize=7,
                    color="0.4", xycoords=("data", "axes fraction"), textcoords="offset points", rotation=30,
                )  # fmt: skip
                last = pixel
    axes.set_title(title, fontsize=12, loc="left", pad=30, x=-NAMES / (axes.get_position().width * width))
