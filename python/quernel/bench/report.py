"""The printed report: machine, roof, one line for each case, the summary of families, what was dropped and left out."""

from .families import arithmetic
from .results import KEEP, TOO_LONG, slower, summary

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


def sure(one):
    """Whether enough rounds of a row or of a peer in it counted; runs kept before that was told say nothing."""
    return one.get("enough", one.get("rounds", KEEP) - one.get("noisy", 0) >= KEEP)


def dropped(row):
    """How many rounds of a row did not count."""
    return row["noisy"] + row.get("crowded", 0)


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
        for name in peers:
            peer = row["peers"].get(name)
            cells.append(ratio(peer["ratio"]["median"]) + "?" * (not sure(peer)) if peer else _absent(row, name))
        lines.append([*cells, f"{row['rounds'] - dropped(row)}/{row['rounds']}" + " ?" * (not sure(row))])
    return head, lines


def summary_lines(run, memory):
    """(head, lines) of the summary."""
    peers = peer_names(run)
    head = ["family", "ISA", "threads", "cases", "% of roof", "least", "at 90 %"]
    for name in peers:
        head += [f"{name}", "least"]
    if "torch" in peers:
        head += ["torch, replayed", "least"]
    head += ["least against " + peers[0] if peers else "least of roof"]
    lines = []
    for line in summary(run["rows"], memory, peers):
        cells = [line["family"], line["isa"], str(line["threads"]), str(line["cases"])]
        percent = line["percent"]
        cells += [f"{percent['mean']:.0f}", f"{percent['least']:.0f}"] if percent else ["-", "-"]
        cells.append(f"{line['near'][0]}/{line['near'][1]}")
        for name in [*peers, *(["torch, replayed"] if "torch" in peers else [])]:
            peer = line["peers"].get(name)
            cells += [ratio(peer["mean"]), ratio(peer["least"])] if peer else ["-", "-"]
        worst = line["peers"].get(peers[0]) if peers else percent
        lines.append([*cells, worst["case"] if worst else "-"])
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
    text += f"{crowded} of {rounds} rounds were dropped because our threads waited for a CPU over 10 % of a sample, "
    text += "which was taken three times."
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
median: the kernel alone, called from C++; from Python: as a user calls it, its output new. A peer's column is its time over
ours (above 1: ours is faster); torch, onednn, numba and numpy are compared from Python, mkl and blas from C++.
"torch, replayed" is torch's call over our kernel alone: what a plan (quernel.function, fit) pays for it.
% of roof: time allowed by the plain probe named in "roof" over our median, both in the same rounds."""


def text(run, memory):
    """The whole report."""
    parts = ["\n".join(head(run)), table(*roof_lines(run), left=4)]
    if run["rows"]:
        parts += [table(*case_lines(run), left=2), NOTE, table(*summary_lines(run, memory), left=2), noise(run)]
        head_line, lines = slower_lines(run)
        if lines:
            parts.append("Where a library is faster (ratio under 0.95, its upper quartile under 1):")
            parts.append(table(head_line, lines, left=4))
        parts += [f"{r['op']} {r['case']}: {n} left out: {why}" for r in run["rows"] for n, why in r["left_out"].items()
                  if why != TOO_LONG]  # fmt: skip
    parts += unfinished(run)
    return "\n\n".join(parts)
