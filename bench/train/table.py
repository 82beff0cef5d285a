"""What a run of run.py says: medians with spread, ratios, and the table of the README."""

import re
import statistics

from models import MODELS

DROP = 0.85  # rounds whose sentinel ran below this share of the best are not counted
OURS = "quernel fit"
COLUMNS = {  # of the README: title, and the peers of which the faster one is shown
    "quernel `fit`": (OURS,),
    "PyTorch": ("torch", "torch channels_last"),
    "torch.compile": ("torch.compile",),
    "JAX": ("jax",),
    "JAX, scanned": ("jax scan",),
    "Keras": ("keras",),
}
MARKERS = ("<!-- bench:train -->", "<!-- /bench:train -->")


def kept(run, name):
    """Which rounds of the model count: [bool]."""
    best = max(speed for model in run["models"].values() for speed in model["sentinel"])
    return [speed >= DROP * best for speed in run["models"][name]["sentinel"]]


def medians(run, name):
    """{peer: (median, min, max) in us over the rounds that count}; all rounds where none does."""
    counted = kept(run, name)
    if not any(counted):
        counted = [True] * len(counted)
    result = {}
    for peer, facts in run["models"][name]["peers"].items():
        if times := [t for t, good in zip(facts.get("us", ()), counted) if good]:
            result[peer] = statistics.median(times), min(times), max(times)
    return result


def digits(us):
    return f"{us:,.0f}" if us >= 100 else f"{us:.1f}" if us >= 10 else f"{us:.2f}"


def print_model(run, name):
    """The model's rows: us per step of each peer, and what share of it quernel's fit takes."""
    rows = medians(run, name)
    for peer, (median, low, high) in rows.items():
        share = f"  quernel fit takes {rows[OURS][0] / median:.3f} of it" if OURS in rows and peer != OURS else ""
        print(f"  {peer:<24} {digits(median):>9} us a step  ({digits(low)} to {digits(high)}){share}")
    others = {peer: row[0] for peer, row in rows.items() if not peer.startswith("quernel")}
    if OURS in rows and others:
        best = min(others, key=others.get)
        print(f"  best peer: {best}; quernel fit is {others[best] / rows[OURS][0]:.2f} times as fast", flush=True)


def print_run(run):
    """All models again, now with the whole run's best sentinel as the measure, and how many rounds were dropped."""
    print(f"\n{run['machine']}; {run['threads']} threads; quernel on {run['isa']}")
    for name in run["models"]:
        counted = kept(run, name)
        none = "; none is left, all are shown" if not any(counted) else ""
        refused = run["models"][name]["refused"]
        print(f"{MODELS[name].title}: {len(counted)} rounds, {counted.count(False)} dropped{none}; {refused} not begun")
        print_model(run, name)
        losses = [f["loss"] for f in run["models"][name]["peers"].values() if "loss" in f]
        if losses:
            print(f"  losses after an epoch: {min(losses):.5f} to {max(losses):.5f}")


def markdown(run):
    """The table, and under it what it was measured with."""
    lines = [f"| us per step | batch | {' | '.join(COLUMNS)} | times the best peer |",
             f"|---|--:|{'--:|' * (len(COLUMNS) + 1)}"]  # fmt: skip
    versions, missing, dropped, rounds = {}, set(), 0, 0
    for name, result in run["models"].items():
        rows, facts = medians(run, name), result["peers"]
        counted = kept(run, name)
        dropped, rounds = dropped + counted.count(False), rounds + len(counted)
        cells = []
        for peers in COLUMNS.values():
            times = [rows[peer][0] for peer in peers if peer in rows]
            cells.append(digits(min(times)) if times else "-")
        others = [row[0] for peer, row in rows.items() if not peer.startswith("quernel")]
        cells.append(f"{min(others) / rows[OURS][0]:.1f}" if others and OURS in rows else "-")
        lines.append(f"| {MODELS[name].title} | {MODELS[name].batch} | {' | '.join(cells)} |")
        versions.update({f["version"]: None for f in facts.values() if "version" in f})
        missing |= {peer for peer, f in facts.items() if "missing" in f}
    absent = f" Not installed: {', '.join(sorted(missing))}." if missing else ""
    lines += ["", f"{run['machine']}, {run['threads']} threads; {', '.join(versions)}; medians over {rounds - dropped} "
              f"of {rounds} rounds, the others had a slow sentinel.{absent}"]  # fmt: skip
    return "\n".join(lines)


def write_markdown(run, path):
    """Replaces what is between the markers in the file.

    Raises:
        SystemExit: the file does not have them.
    """
    with open(path) as file:
        text = file.read()
    pattern = f"{re.escape(MARKERS[0])}.*{re.escape(MARKERS[1])}"
    if not re.search(pattern, text, re.S):
        raise SystemExit(f"--markdown: {path} has no {MARKERS[0]} ... {MARKERS[1]}")
    body = f"{MARKERS[0]}\n{markdown(run)}\n{MARKERS[1]}"
    with open(path, "w") as file:
        file.write(re.sub(pattern, lambda _: body, text, flags=re.S))
    print(f"wrote the table into {path}")
