"""Results: noisy rounds dropped, medians, quartiles, ratios; the plain dictionary that a run is kept as."""

import numpy as np

NOISY = 0.85  # of the sentinel's rate in quiet phases
TOO_LONG = "would take too long"
KEEP = 5  # rounds at least: the best ones, where fewer count
SERIAL = ("numba", "numpy")  # peers that play SERIAL_ROUNDS rounds, once for all thread counts
SERIAL_ROUNDS = 3


def reference(marks):
    """The sentinel's rate when the machine is quiet: the 95th percentile of all rounds."""
    return float(np.percentile(marks, 95)) if len(marks) else 0.0


def references(rows):
    """{(isa, threads): reference}."""
    marks = {}
    for row in rows:
        marks.setdefault((row.isa, row.threads), []).extend(row.marks)
    return {key: reference(values) for key, values in marks.items()}


def counted(row, quiet):
    """The numbers of the rounds that count: the sentinel at its quiet rate, neither of our samples crowded."""
    return [i for i, mark in enumerate(row.marks) if mark >= NOISY * quiet and not _crowded(row, i)]


def short(row, quiet):
    """Whether we or a peer that plays all rounds have fewer than KEEP that count."""
    found = counted(row, quiet)
    players = [name for name in row.against if name not in SERIAL]
    return any(sum(not row.crowded[name][i] for i in found) < KEEP for name in ["kernel", *players])


def _crowded(row, i):
    return row.crowded["kernel"][i] or row.crowded["call"][i]


def kept(row, quiet):
    """The rounds that a row stands on: those that count, or the KEEP best where they are fewer."""
    found = counted(row, quiet)
    if len(found) < KEEP:
        found = sorted(sorted(range(len(row.marks)), key=lambda i: (_crowded(row, i), -row.marks[i]))[:KEEP])
    return found


def spread(values):
    """Median and quartiles of what is not None, or None."""
    values = [v for v in values if v is not None]
    if not values:
        return None
    low, middle, high = np.percentile(values, [25, 50, 75])
    return {"median": float(middle), "low": float(low), "high": float(high), "rounds": len(values)}


def finished(row, quiet):
    """The row as plain numbers and text."""
    keep, count = kept(row, quiet), len(counted(row, quiet))
    noisy = sum(mark < NOISY * quiet for mark in row.marks)
    kernel = [row.samples["kernel"][i] for i in keep]
    time = spread(kernel)
    result = {
        "op": row.case.op,
        "case": row.case.name,
        "family": row.family,
        "shapes": _shapes(row.case),
        "isa": row.isa,
        "threads": row.threads,
        "ranks": row.ranks,
        "flops": row.flops,
        "bytes": row.bytes,
        "footprint": row.footprint,
        "seconds": time,
        "call": spread(row.samples["call"][i] for i in keep),
        "gflops": row.flops / time["median"] / 1e9,
        "gbs": row.bytes / time["median"] / 1e9,
        "rounds": len(row.marks),
        "noisy": noisy,  # rounds dropped by the sentinel
        "crowded": len(row.marks) - count - noisy,  # and others that are dropped because our threads shared a CPU
        "counted": count,
        "enough": count >= KEEP,
        "sentinel": float(np.median([row.marks[i] for i in keep])) / 1e9,
        "peers": {},
        "left_out": row.left_out,
    }
    result["roof"] = _roof([row.allowed[i] for i in keep], [row.at_most[i] for i in keep], kernel)
    for name, against in row.against.items():
        if name not in row.samples:
            continue
        theirs = row.samples[name]
        played = [i for i in keep if theirs[i] is not None and not row.crowded[name][i]]
        calm = len(played)
        if not played:  # its few rounds were all noisy or crowded: better those than none
            played = [i for i, t in enumerate(theirs) if t is not None]
        ratios = {n: spread(theirs[i] / row.samples[n][i] for i in played) for n in ("kernel", "call")}
        result["peers"][name] = {
            "seconds": spread(theirs[i] for i in played),
            "ratio": ratios[against],
            "replayed": ratios["kernel"] if against == "call" else None,  # a plan runs no Python between kernels
            "setting": row.settings[name],
            "tried": row.tried.get(name, {}),
            "against": against,
            "crowded": sum(row.crowded[name]),
            "enough": count >= KEEP and calm >= (1 if name in SERIAL else min(KEEP, len(keep))),
        }
    return result


def _shapes(case):
    def shape(spec):
        return [shape(s) for s in spec] if isinstance(spec, list) else None if spec is None else list(spec.shape)

    return [shape(s) for s in case.inputs]


def _medians(rounds):
    whats = dict.fromkeys(what for r in rounds for what in r)
    return {what: float(np.median([r[what] for r in rounds if what in r])) for what in whats}


def _roof(rounds, at_most, kernel):
    """Which limit binds, by the medians of the rounds; percent is its time over ours.

    None where that is not known: what is bound by bytes and already in L1 has nothing nearer to compare it with; and a probe that
    was crowded in every round may be the one that binds. It is not, where even its crowded time, too long, is below another's.
    """
    limits = _medians(rounds)
    if not limits:
        return None
    by = max(limits, key=limits.get)
    if any(seconds > limits[by] for what, seconds in _medians(at_most).items() if what not in limits):
        return None
    percent = spread(100 * r[by] / t for r, t in zip(rounds, kernel) if by in r)
    return {"by": by, "seconds": limits[by], "limits": limits, "percent": percent}


def geometric_mean(values):
    """exp(mean(log))."""
    return float(np.exp(np.mean(np.log(values))))


def slower(rows, peers):
    """[(ratio, low, high, which, row)] where a peer is faster beyond its spread, worst first.

    `which` is the peer, or "torch, replayed" where our kernel alone is slower too.
    """
    found = []
    for row in rows:
        for name in peers:
            peer = row["peers"].get(name)
            if peer is None:
                continue
            for which, key in ((name, "ratio"), (f"{name}, replayed", "replayed")):
                ratio = peer[key]
                if ratio and ratio["high"] < 1 and ratio["median"] < 0.95:
                    found.append((ratio["median"], ratio["low"], ratio["high"], which, row))
    return sorted(found, key=lambda f: f[0])
