"""A run in parts: `--resume` keeps what the file of `--json` has, measures what it lacks, and puts both into one run."""

import os

from ..testing.cases import speed_cases
from .compare import key, load

SAME = ("quernel", "processor", "compiler")  # of the machine: what all parts of a run must share


def start(path):
    """The run kept at `path`; None where there is no such file yet.

    Raises:
        ValueError: it is no run.
    """
    return load(path, "--resume") if os.path.exists(path) else None


def done(kept):
    """{(op, case, isa, threads)} of a run or of None."""
    return {key(row) for row in kept["rows"]} if kept else set()


def check(kept, machine, which, path):
    """Refuses to put unlike parts into one run.

    Raises:
        ValueError: processor, quernel, compiler, our backend or a peer's version differ.
    """
    before = kept["machine"]
    differ = [(n, before[n], machine[n]) for n in SAME if before[n] != machine[n]]
    if kept["settings"]["backend"] != which:
        differ.append(("backend", kept["settings"]["backend"], which))
    for name, peer in machine["peers"].items():
        other = before["peers"].get(name, peer)
        if other["version"] != peer["version"]:
            differ.append((name, other["version"], peer["version"]))
    if differ:
        name, old, new = differ[0]
        raise ValueError(f"--resume: {path} was measured with {name} {old}, this is {new}; name another --json file")


def joined(kept, found):
    """One run of two parts: rows in the order of the cases, of each limit of the machine the larger rate."""
    settings = {k: list(dict.fromkeys(kept["settings"][k] + found["settings"][k])) for k in ("isas", "threads")}
    machine = dict(kept["machine"])  # its date names the file in a history
    machine["peers"] = {**machine["peers"], **found["machine"]["peers"]}
    why = {**machine["missing"], **found["machine"]["missing"]}
    machine["missing"] = {name: reason for name, reason in why.items() if name not in machine["peers"]}
    part = {"date": found["machine"]["date"], "rows": len(found["rows"])}
    first = [{"date": kept["machine"]["date"], "rows": len(kept["rows"])}]
    order = {(case.op, case.name): i for i, case in enumerate(speed_cases())}
    rows = sorted(kept["rows"] + found["rows"], key=lambda r: order.get((r["op"], r["case"]), len(order)))
    return {
        **found,
        "machine": machine,
        "settings": {**found["settings"], **settings},
        "parts": [*kept.get("parts", first), part],
        "sentinel": _largest(kept["sentinel"] + found["sentinel"], "gflops", ("isa", "threads")),
        "roofs": _largest(kept["roofs"] + found["roofs"], "rate", ("isa", "threads", "probe", "in")),
        "rows": rows,
        "skipped": [list(s) for s in dict.fromkeys(map(tuple, kept["skipped"] + found["skipped"]))],
    }


def _largest(lines, value, names):
    """Of lines with the same names the one with the largest value, in the order of their first."""
    found = {}
    for line in lines:
        place = tuple(line[n] for n in names)
        if place not in found or line[value] > found[place][value]:
            found[place] = line
    return list(found.values())
