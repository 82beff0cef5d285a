"""`quernel bench --compare old.json new.json`: how many times faster each case became, with the spread of both runs."""

import json
from pathlib import Path

from .report import duration, table
from .results import geometric_mean


def load(path, option="--compare"):
    """A run that --json wrote.

    Raises:
        ValueError: the file is not there or is no such run.
    """
    try:
        found = json.loads(Path(path).read_text())
    except OSError as error:
        raise ValueError(f"{option}: {path}: {error.strerror}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{option}: {path} is no JSON: {error}") from None
    if not isinstance(found, dict) or found.get("format") != 1 or "rows" not in found:
        raise ValueError(f"{option}: {path} is no run of quernel bench; write one with --json")
    return found


def key(row):
    """What names a line of a run."""
    return row["op"], row["case"], row["isa"], row["threads"]


def pairs(old, new):
    """[{row, ratio, low, high, sure}] of the cases of both runs; ratio is old over new time: above 1 the new run is faster.

    The sentinel's rates of the two rows take out what the machine itself did between the runs; `sure` is whether the quartiles of
    the two do not overlap.
    """
    before = {key(r): r for r in old["rows"]}
    found = []
    for row in new["rows"]:
        other = before.get(key(row))
        if other is None:
            continue
        a, b = other["seconds"], row["seconds"]
        machine = row["sentinel"] / other["sentinel"]
        low, high = a["low"] / b["high"], a["high"] / b["low"]
        found.append(
            {"row": row, "old": a["median"], "new": b["median"], "ratio": a["median"] / b["median"], "low": low,
             "high": high, "machine": machine, "sure": low > 1 or high < 1}
        )  # fmt: skip
    return found


def text(old, new):
    """The comparison as a report."""
    found = pairs(old, new)
    if not found:
        return "The two runs have no case in common (same op, case, instruction set and threads)."
    head = ["case", "ISA", "threads", "old", "new", "old/new", "spread", "sentinel new/old", ""]
    lines = []
    for p in found:
        row = p["row"]
        word = ("faster" if p["ratio"] > 1 else "slower") if p["sure"] else "within the spread"
        lines.append(
            [f"{row['op']} {row['case']}", row["isa"], str(row["threads"]), duration(p["old"]), duration(p["new"]),
             f"{p['ratio']:.2f}", f"{p['low']:.2f} .. {p['high']:.2f}", f"{p['machine']:.2f}", word]
        )  # fmt: skip
    groups = {}
    for p in found:
        groups.setdefault((p["row"]["family"], p["row"]["isa"], p["row"]["threads"]), []).append(p)
    short = [
        [f, isa, str(t), str(len(g)), f"{geometric_mean([p['ratio'] for p in g]):.2f}",
         f"{min(p['ratio'] for p in g):.2f}", f"{max(p['ratio'] for p in g):.2f}"]
        for (f, isa, t), g in sorted(groups.items())
    ]  # fmt: skip
    missing = len(new["rows"]) - len(found), len(old["rows"]) - len(found)
    tail = f"{len(found)} cases in both runs; {missing[0]} only in the new one, {missing[1]} only in the old one."
    machines = {old["machine"]["processor"], new["machine"]["processor"]}
    if len(machines) > 1:
        tail += f"\nThe runs are from different processors: {' and '.join(sorted(machines))}."
    summary = table(["family", "ISA", "threads", "cases", "mean", "least", "most"], short, left=2)
    return "\n\n".join([table(head, lines, left=2), summary, tail])
