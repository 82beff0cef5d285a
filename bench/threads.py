"""Does the library choose the right number of threads? Every speed case at the default beside every fixed count.

    python bench/threads.py [--op relu,gemm] [--seconds 0.15] [--all] [--json FILE]

The default looks at the estimated work (`worth`, csrc/base/check.hpp) and stays on fewer ranks where more do not pay; a fixed
count is always used. Kernels are called from C++, warm, in interleaved rounds whose order turns; a ratio is the default's time
over the fixed count's in the same round, then the median. Listed are the cases whose default takes over 1.1 of the best fixed
count, the quartiles beside it; `--all` lists every case.
"""

import argparse
import json
import time

import numpy as np

import quernel as qn
from quernel.bench.contestants import Ours
from quernel.bench.report import duration, table
from quernel.bench.run import choose_cases

ROUNDS = (7, 41)
SLOWER = 1.1


def play(ours, counts, seconds):
    """{None or a count: [seconds of each round]}; None is the default."""
    core = qn.backend._state.core
    usual = core.wake_us()
    run = {count: ours.alone(count or max(counts)) for count in (None, *counts)}

    def sample(count, times):
        core.set_wake_us(usual if count is None else 0.0)
        one = run[count]
        one.enter()
        one.run(max(1, times // 4))
        return one.run(times) / times

    once = max(sample(1, 1), 1e-8)
    times = max(1, int(seconds / ROUNDS[0] / len(run) / 1.25 / once))
    found = {count: [] for count in run}
    start = time.perf_counter()
    try:
        for number in range(ROUNDS[1]):
            if number >= ROUNDS[0] and time.perf_counter() - start > seconds:
                break
            order = list(run)[number % len(run) :] + list(run)[: number % len(run)]
            for count in order:
                found[count].append(sample(count, times))
    finally:
        core.set_wake_us(usual)
    return found


def line(case, ours, counts, seconds):
    """What is known of one case: the default's ranks and time, the best fixed count, the ratio with its quartiles."""
    found = play(ours, counts, seconds)
    best = min(counts, key=lambda count: np.median(found[count]))
    low, middle, high = np.percentile(np.divide(found[None], found[best]), [25, 50, 75])
    qn.set_num_threads(max(counts))
    return {"case": str(case), "ranks": ours.estimate()["ranks"], "default": float(np.median(found[None])), "best": best,
            "ratio": float(middle), "low": float(low), "high": float(high),
            "fixed": {str(count): float(np.median(found[count])) for count in counts}}  # fmt: skip


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--op", type=lambda text: text.split(","), help="only these ops, a comma list")
    options.add_argument("--seconds", type=float, default=0.15, help="of one case")
    options.add_argument("--all", action="store_true", help="list every case")
    options.add_argument("--json", help="keep all lines here")
    options = options.parse_args()
    most = qn.get_num_threads()
    counts, lines = list(range(1, most + 1)), []
    if most == 1:
        raise SystemExit("one thread is all this process may use: there is nothing to choose")
    for case in choose_cases(options.op):
        ours = Ours(case, case.make("float32"))
        if ours.native:
            lines.append(line(case, ours, counts, options.seconds))
    if options.json:
        with open(options.json, "w") as file:
            json.dump(lines, file, indent=1)
    off = [one for one in lines if one["ratio"] > SLOWER]
    shown = sorted(lines if options.all else off, key=lambda one: -one["ratio"])
    head = ["case", "ranks", "default", *(f"{c} thread{'s' * (c > 1)}" for c in counts), "default / best", "quartiles"]
    cells = [[one["case"], str(one["ranks"]), duration(one["default"]), *(duration(t) for t in one["fixed"].values()),
              f"{one['ratio']:.2f}", f"{one['low']:.2f} .. {one['high']:.2f}"] for one in shown]  # fmt: skip
    if cells:
        print(table(head, cells))
    ratios = [one["ratio"] for one in lines]
    print(
        f"{len(off)} of {len(lines)} cases take over {SLOWER} of the best fixed count; median {np.median(ratios):.2f}"
    )


if __name__ == "__main__":
    main()
