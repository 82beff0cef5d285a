"""The overview of a run: for each family the ratios to the library that it is judged by and its percentages of the roof."""

import numpy as np

from .families import MEMORY
from .results import KEEP, geometric_mean

LIMIT = {"gemm": 0.9}  # of a library's time; else 0.95
ROOF = 90  # percent
JUDGES = {"gemm": ("mkl", "blas", "torch")}  # the first that played; else torch
WIDTH = 112


def limit(row):
    """The ratio that a row must reach."""
    return LIMIT.get(row["op"], 0.95)


def judge(row):
    """The library that a row is judged by, of those that played it: MKL's C entry for gemm, else PyTorch; or None."""
    return next((n for n in JUDGES.get(row["op"], ("torch",)) if n in row["peers"]), None)


def title(row):
    """A row's name in a list of its family: gemm's families have one op."""
    return row["case"] if row["op"] == "gemm" else f"{row['op']} {row['case']}"


def sure(one):
    """Whether enough rounds of a row or of a peer in it counted; runs kept before that was told say nothing of peers."""
    return one.get("enough", one.get("rounds", KEEP) - one.get("noisy", 0) >= KEEP)


def names(row):
    """The lines of the overview that a row is part of."""
    found = [row["family"]]
    if row["family"].startswith("conv"):
        found.append(f"{row['family']}: {row['op'].removeprefix('conv_')}")
    if row["family"] in MEMORY:
        found += ["memory-bound ops", f"memory-bound ops, {row['level']}"]
    return found


def _ratios(rows, key):
    """Mean and least of the ratios, and the (value, row, sure) that are under their limit, worst first; None without any."""
    found = []
    for row in rows:
        name = judge(row)
        value = row["peers"][name][key] if name else None
        if value:
            found.append((value["median"], row, sure(row) and sure(row["peers"][name])))
    if not found:
        return None
    found.sort(key=lambda f: f[0])
    under = [f for f in found if f[0] < limit(f[1])]
    return {"mean": geometric_mean([f[0] for f in found]), "least": found[0][0], "under": under, "of": len(found)}


def _percents(rows):
    found = sorted(((r["roof"]["percent"]["median"], r, sure(r)) for r in rows if r["roof"]), key=lambda f: f[0])
    if not found:
        return None
    values, under = [f[0] for f in found], [f for f in found if f[0] < ROOF]
    return {"median": float(np.median(values)), "least": values[0], "under": under, "of": len(found)}


def overview(rows):
    """[{isa, threads, family, cases, few, peers, ratio, replayed, roof}]; the families in the order of the cases.

    `few` counts rows with too few rounds; `replayed` compares PyTorch's calls with the kernel alone, as a plan runs it.
    """
    groups = {}
    for row in rows:
        for name in names(row):
            last = name.startswith("memory-bound")
            groups.setdefault((row["isa"], row["threads"], last, name), []).append(row)
    order = {key: i for i, key in enumerate(dict.fromkeys((k[0], k[1]) for k in groups))}
    found = []
    for (isa, threads, _, name), members in sorted(groups.items(), key=lambda g: (order[g[0][:2]], g[0][2])):
        found.append(
            {
                "isa": isa,
                "threads": threads,
                "family": name,
                "cases": len(members),
                "few": sum(not sure(r) for r in members),
                "peers": list(dict.fromkeys(filter(None, map(judge, members)))),
                "ratio": _ratios(members, "ratio"),
                "replayed": _ratios(members, "replayed"),
                "roof": _percents(members),
            }
        )
    return _together([line for line in found if ": " not in line["family"] or line["cases"] > 1])


def _together(lines):
    """The parts of a family ("conv: dx") behind it."""
    whole = [line for line in lines if ": " not in line["family"]]
    place = {(w["isa"], w["threads"], w["family"]): i for i, w in enumerate(whole)}
    return sorted(lines, key=lambda v: place[v["isa"], v["threads"], v["family"].partition(": ")[0]])


HEAD = ["family", "cases", "peer", "mean", "least", "under", "mean", "least", "under", "median", "least", "under"]
GROUPS = (("", 2), ("as called", 4), ("as a plan", 3), ("% of roof", 3))
EXPLAINED = f"""\
as called: the peer's time over ours, geometric mean and least: torch against our call from Python, mkl and blas
against the kernel. as a plan: torch's call over our kernel alone. under: cases under 0.95 ({LIMIT["gemm"]} for gemm), or under
{ROOF} % of the roof. A "?" marks what has too few rounds that count."""


def cells(line):
    """A line of the overview as text."""
    found = [line["family"], str(line["cases"]) + "?" * bool(line["few"]), "+".join(line["peers"]) or "-"]
    for what in ("ratio", "replayed"):
        one = line[what]
        found += [f"{one['mean']:.2f}", f"{one['least']:.2f}", f"{len(one['under'])}/{one['of']}"] if one else ["-"] * 3
    one = line["roof"]
    found += [f"{one['median']:.0f}", f"{one['least']:.0f}", f"{len(one['under'])}/{one['of']}"] if one else ["-"] * 3
    return found


def parts(lines):
    """[(isa, threads, lines)] of the overview."""
    found = {}
    for line in lines:
        found.setdefault((line["isa"], line["threads"]), []).append(line)
    return [(isa, threads, group) for (isa, threads), group in found.items()]


def listed(lines, what, form):
    """[(family, "case value, case value")] of what is under its limit; parts and sums of families name nothing again."""
    found = []
    for line in lines:
        if ": " in line["family"] or line["family"].startswith("memory-bound") or not line[what]:
            continue
        under = [f"{title(row)} {form.format(value)}{'?' * (not ok)}" for value, row, ok in line[what]["under"]]
        if under:
            found.append((line["family"], ", ".join(under)))
    return found


LISTS = (
    ("ratio", "{:.2f}", "Under 0.95 of torch (gemm: 0.9 of mkl), as called"),
    ("replayed", "{:.2f}", "Under 0.95 of torch, as a plan"),
    ("roof", "{:.1f}", f"Under {ROOF} % of the roof"),
)
OTHERS = ("mkl", "onednn", "blas")  # libraries beside the one that judges


def faster(rows):
    """[(family, "case peer value, ...")]: libraries, other than the one that judges, which are faster beyond their spread."""
    found = {}
    for row in rows:
        for name in OTHERS:
            ratio = row["peers"][name]["ratio"] if name in row["peers"] and name != judge(row) else None
            if ratio and ratio["high"] < 1 and ratio["median"] < limit(row):
                one = f"{title(row)} {name} {ratio['median']:.2f}{'?' * (not sure(row['peers'][name]))}"
                found.setdefault(row["family"], []).append(one)
    return [(family, ", ".join(ones)) for family, ones in found.items()]


def _paragraph(family, names):
    """Wrapped between the entries of a list, never inside one."""
    lines, line = [], f"  {family}:"
    for one in names.split(", "):
        if len(line) + len(one) + 2 > WIDTH:
            lines.append(line)
            line = "     "
        line += f" {one},"
    return "\n".join([*lines, line.rstrip(",")])


def lists(rows, lines):
    """[(heading, [(family, names)])] of one part, without what is empty."""
    found = [(heading, listed(lines, what, form)) for what, form, heading in LISTS]
    isa, threads = lines[0]["isa"], lines[0]["threads"]
    mine = [r for r in rows if (r["isa"], r["threads"]) == (isa, threads)]
    found.append(("Other libraries that are faster beyond their spread, as called", faster(mine)))
    return [(heading, told) for heading, told in found if told]


def _columns(lines):
    """The table of one part, its groups of columns named above."""
    body = [cells(line) for line in lines]
    widths = [max(len(row[i]) for row in [HEAD, *body]) for i in range(len(HEAD))]
    starts = {0, 2, 6, 9}  # the first column of a group: two more spaces before it

    def text(row):
        made = ""
        for i, (cell, width) in enumerate(zip(row, widths)):
            made += " " * (0 if i == 0 else 4 if i in starts else 2) + (
                cell.ljust(width) if i in (0, 2) else cell.rjust(width)
            )
        return made.rstrip()

    first, at, above = text(HEAD), 0, ""
    for name, count in GROUPS:
        width = sum(widths[at : at + count]) + 2 * (count - 1)
        above += (" " * 4 if at else "") + name.ljust(width)
        at += count
    return "\n".join([above.rstrip(), first, "-" * max(map(len, [first, *map(text, body)])), *map(text, body)])


def text(run):
    """The overview for a terminal of 112 columns."""
    found = []
    for isa, threads, lines in parts(overview(run["rows"])):
        found.append(f"{isa}, {threads} thread{'s' * (threads > 1)}\n\n{_columns(lines)}")
        for heading, told in lists(run["rows"], lines):
            found.append("\n".join([f"{heading}:", *(_paragraph(*one) for one in told)]))
    return "\n\n".join([*found, EXPLAINED])


def markdown(run):
    """The overview as Markdown."""
    found = []
    for isa, threads, lines in parts(overview(run["rows"])):
        head = [name if i < 3 else f"{group}, {name}" for i, (name, group) in enumerate(zip(HEAD, grouped()))]
        table = [head, ["---", *["---:"] * (len(head) - 1)], *map(cells, lines)]
        found.append(f"### {isa}, {threads} thread{'s' * (threads > 1)}")
        found.append("\n".join("| " + " | ".join(row) + " |" for row in table))
        for heading, told in lists(run["rows"], lines):
            found.append("\n".join([f"{heading}:", "", *(f"* {family}: {names}" for family, names in told)]))
    return "\n\n".join([*found, EXPLAINED])


def grouped():
    """The name of the group of each column."""
    return [name for name, count in GROUPS for _ in range(count)]
