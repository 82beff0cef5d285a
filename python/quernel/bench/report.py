"""The printed report: machine, roof, one line for each case, the summary of families, what was dropped and left out."""

import os
import textwrap

from . import overview
from .families import arithmetic
from .overview import WIDTH, sure
from .results import KEEP, TOO_LONG, slower

BACKENDS = {"numba": "Numba fallback", "numpy": "NumPy definition"}
OTHERS = ("torch", "onednn", "mkl", "blas")  # peers that are not ours


def duration(seconds):
    """Three figures with a unit."""
    for unit, scale in (("s ", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale or unit == "us":
            return f"{seconds / scale:.3g} {unit}"
    return ""


def rate(row):
    """What the case does in a second, in the unit of its family."""
    if arithmetic(row["family"]):
        return f"{row['gflops']:.3g} GFLOP/s"
    return f"{row['gbs']:.3g} GB/s"


def ratio(value):
    """How many times slower a peer is, with enough digits to compare."""
    return f"{value:.2f}" if value < 99.5 else f"{value:.0f}"


def table(head, lines, left=1):
    """Columns of text; the first `left` are flush left."""
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]
    rule = ["-" * w for w in widths]

    def text(line):
        cells = [f"{c:<{w}}" if i < left else f"{c:>{w}}" for i, (c, w) in enumerate(zip(line, widths))]
        return "  ".join(cells).rstrip()

    return "\n".join(text(line) for line in [head, rule, *lines])


def peer_names(run):
    """Peers that played at least one case, in the order asked for."""
    return [n for n in run["machine"]["peers"] if any(n in r["peers"] for r in run["rows"])]


def _absent(row, name):
    why = row["left_out"].get(name)
    return "-" if why is None else "long" if why == TOO_LONG else "error"


def dropped(row):
    """How many rounds of a row did not count."""
    return row["noisy"] + row.get("crowded", 0)


def rounds(row):
    """Those that count of those played."""
    return f"{row['rounds'] - dropped(row)}/{row['rounds']}" + " ?" * (not sure(row))


def _ratios(row, peers):
    found = [(name, row["peers"].get(name)) for name in peers]
    return [ratio(p["ratio"]["median"]) + "?" * (not sure(p)) if p else _absent(row, name) for name, p in found]


def case_lines(run):
    """(head, lines) of the table of cases."""
    peers = peer_names(run)
    head = ["case", "ISA", "threads", "median", "from Python", "rate", "% of roof", "roof", *peers, "rounds"]
    lines = []
    for row in run["rows"]:
        roof = row["roof"]
        cells = [f"{row['op']} {row['case']}", row["isa"], str(row["threads"]), duration(row["seconds"]["median"])]
        cells += [duration(row["call"]["median"]), rate(row)]
        cells += [f"{roof['percent']['median']:.0f}", f"{roof['by']}, {row['level']}"] if roof else ["-", row["level"]]
        lines.append([*cells, *_ratios(row, peers), rounds(row)])
    return head, lines


def slower_lines(run):
    """(head, lines) of the cases at which a library is faster than we are."""
    peers = [n for n in peer_names(run) if n in OTHERS]
    lines = [
        [f"{r['op']} {r['case']}", r["isa"], str(r["threads"]), which, ratio(middle), f"{low:.2f} .. {high:.2f}"]
        for middle, low, high, which, r in slower(run["rows"], peers)
    ]
    return ["case", "ISA", "threads", "against", "ratio", "quartiles"], lines


def roof_lines(run):
    """(head, lines) of the machine's limits."""
    head = ["ISA", "threads", "probe", "in", "rate"]
    return head, [
        [r["isa"], str(r["threads"]), r["probe"], r["in"], f"{r['rate']:.4g} {r['unit']}"] for r in run["roofs"]
    ]


def noise(run):
    """Sentences about the rounds that were dropped."""
    rows = run["rows"]
    rounds, noisy, crowded = (sum(r.get(what, 0) for r in rows) for what in ("rounds", "noisy", "crowded"))
    text = f"{noisy} of {rounds} rounds ran while the sentinel was below 85 % of its quiet rate and were dropped; "
    if any("crowded" in r for r in rows):
        text += f"{crowded} of {rounds} rounds were dropped because our threads waited for a CPU "
        text += "over 10 % of a sample, which was taken three times."
    else:
        text += "whether our threads waited for a CPU was not yet told."
    samples = sum(p.get("crowded", 0) for r in rows for p in r["peers"].values())
    if samples:
        text += f" So were {samples} samples of peers."
    few = [r for r in rows if not sure(r)]
    peers = sum(1 for r in rows for p in r["peers"].values() if sure(r) and not sure(p))
    if few:
        text += f" {len(few)} of {len(rows)} lines had fewer than {KEEP} rounds that count and stand on their {KEEP} best (?)."
    if peers:
        text += f" {peers} ratios of other lines have fewer than {KEEP} (?)."
    return text


def unfinished(run):
    """Sentences about what was not measured."""
    found = ["The run was interrupted: these are the cases done until then."] if run["interrupted"] else []
    if run.get("left"):
        found.append(f"{run['left']} lines are left to measure: with --json FILE --resume the same command goes on.")
    return found


def settings(run):
    """{peer: [the settings that won, with their counts]}."""
    counts = {}
    for row in run["rows"]:
        for name, peer in row["peers"].items():
            if peer["setting"]:
                found = counts.setdefault(name, {})
                found[peer["setting"]] = found.get(peer["setting"], 0) + 1
    return {n: sorted(c.items(), key=lambda p: -p[1]) for n, c in counts.items()}


def head(run):
    """Lines about machine and peers."""
    m = run["machine"]
    caches = ", ".join(f"{n} {size / 1024:.0f} KB" for n, size in m["caches"].items())
    lines = [f"quernel {m['quernel']}, {m['compiler']}, Python {m['python']}, {m['date']}"]
    lines.append(f"{m['processor']}, {m['cpus']} CPUs, {m['system']}; {caches}")
    lines.append(" ".join(f"{n}={v}" for n, v in m["environment"].items()))
    which = run["settings"]["backend"]
    if which != "native":
        lines.append(f"our side: the {BACKENDS[which]}, called from Python; both of its times are of the same call")
    for name, peer in m["peers"].items():
        lines.append(f"{name} {peer['version']}: {peer['what']}")
        won = settings(run).get(name)
        if won:
            lines.append("    fastest: " + "; ".join(f"{setting} ({count})" for setting, count in won))
    lines += [f"{name}: {why}" for name, why in m["missing"].items()]
    return lines


NOTE = """\
kernel: the kernel alone, called from C++ (a median); Python: as a user calls it, its output new. A peer's column is its
time over ours (above 1: ours is faster): torch, onednn, numba and numpy against Python, mkl and blas against kernel.
roof: the percentage of it that is reached, "by" says by which probe, beside what holds the arrays (L1, L2, L3, memory).
rounds: those that count of those played; "?" where fewer than 5 count; long: left out, it would take too long."""


def limits_table(run):
    """The machine's limits in few columns: a line for each ISA and thread count."""
    names = list(dict.fromkeys((r["probe"], r["in"], r["unit"]) for r in run["roofs"]))
    head = ["limits", "threads", *(f"{probe} {where}" for probe, where, _ in names)]
    units = ["", "", *(unit for *_, unit in names)]
    lines = {}
    for r in run["roofs"]:
        lines.setdefault((r["isa"], r["threads"]), {})[r["probe"], r["in"], r["unit"]] = f"{r['rate']:.4g}"
    body = [[isa, str(threads), *(found.get(n, "-") for n in names)] for (isa, threads), found in lines.items()]
    return table(head, [units, *body])


def cases_tables(run):
    """The table of cases for a terminal: one for each family, ISA and thread count, with the peers that played it."""
    groups = {}
    for row in run["rows"]:
        groups.setdefault((row["isa"], row["threads"], row["family"]), []).append(row)
    found = []
    for (isa, threads, family), rows in groups.items():
        peers = [n for n in peer_names(run) if any(n in r["peers"] or n in r["left_out"] for r in rows)]
        unit = "GFLOP/s" if arithmetic(family) else "GB/s"
        common = os.path.commonprefix([r["op"] for r in rows]) if family.startswith(("conv", "depthwise")) else ""
        common = common[: common.rfind("_") + 1]  # "depthwise_conv_" is written once
        head = [
            f"{family}: {common}..." if common else family,
            "kernel",
            "Python",
            unit,
            "roof %",
            "by",
            *peers,
            "rounds",
        ]
        lines = []
        for row in rows:
            cells = [f"{row['op'].removeprefix(common)} {row['case']}"]
            cells += [duration(row["seconds"]["median"]), duration(row["call"]["median"])]
            roof = row["roof"]
            cells += [rate(row).partition(" ")[0], f"{roof['percent']['median']:.0f}" if roof else "-"]
            cells += [f"{roof['by']} {row['level']}" if roof else row["level"], *_ratios(row, peers), rounds(row)]
            lines.append(cells)
        found.append(f"{isa}, {threads} thread{'s' * (threads > 1)}\n{table(head, lines)}")
    return found


def text(run):
    """The whole report, of at most 120 columns."""
    wrapped = [textwrap.fill(line, WIDTH, subsequent_indent="    ", break_on_hyphens=False) for line in head(run)]
    parts = ["\n".join(wrapped)]
    if run["roofs"]:
        parts.append(limits_table(run))
    if run["rows"]:
        parts += [*cases_tables(run), NOTE]
        parts += [
            textwrap.fill(f"{r['op']} {r['case']}: {n} left out: {why}", WIDTH, subsequent_indent="    ")
            for r in run["rows"] for n, why in r["left_out"].items() if why != TOO_LONG
        ]  # fmt: skip
        parts += [overview.text(run), textwrap.fill(noise(run), WIDTH)]
    parts += [f"{case}: not measured: {why}" for case, why in run["skipped"]]
    parts += unfinished(run)
    return "\n\n".join(parts)


def short(run, markdown=False):
    """What --report prints: machine and peers, the overview, what was dropped."""
    if markdown:
        lines = [f"* {line.strip()}" if not line.startswith(" ") else f"  {line.strip()}" for line in head(run)]
        return "\n\n".join(["\n".join(lines), overview.markdown(run), noise(run), *unfinished(run)])
    wrapped = [textwrap.fill(line, WIDTH, subsequent_indent="    ", break_on_hyphens=False) for line in head(run)]
    return "\n\n".join(["\n".join(wrapped), overview.text(run), textwrap.fill(noise(run), WIDTH), *unfinished(run)])
