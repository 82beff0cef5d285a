"""Does an odd width cost more than the next whole vector? One op at every width from 8 to 256, in interleaved sweeps.

    python bench/widths.py [--op gemm,sum] [--direction NN,TN,NT] [--vary n,m,k] [--size 64,256] [--threads 1] [--json FILE]

The width w is one size of the op, `--size` gives the others: columns (n), rows (m) or terms (k) of gemm, outputs of
dense_forward, output channels of conv_forward (3 x 3 over 14 x 14 pixels), row lengths of add (a row added to rows), sum and
softmax. A sweep times every width once, warm, from C++, with the sentinel of `quernel bench` every few widths; a time is the
median over the sweeps of the time by the sentinel's. Listed is what breaks a rule, with the quartiles of its ratio:
* whole: time(w) is at most 1.1 of the time of w rounded up to 16;
* step: time(w + 1) / time(w) is at most 1.15 of the ratio of their vector counts.
"""

import argparse
import json

import numpy as np

import quernel as qn
from quernel.bench import roof
from quernel.bench.contestants import Ours, placed
from quernel.bench.report import table
from quernel.testing.case import Case, normal

LANES = {"avx512": 16, "avx2": 8, "base": 4}
WIDTHS = range(8, 257)
NEAR = 16  # widths between two samples of the sentinel
WHOLE, STEP = 1.1, 1.15


def gemm(direction, vary, w, size):
    """gemm of op(A) op(B) where `vary` of m, n, k is w and the two others, in that order, are `size`."""
    given = iter(size)
    m, n, k = (w if name == vary else next(given) for name in "mnk")
    turned = {"transpose_a": direction[0] == "T", "transpose_b": direction[1] == "T"}
    a, b = (k, m) if turned["transpose_a"] else (m, k), (n, k) if turned["transpose_b"] else (k, n)
    return (normal(*a), normal(*b), None), turned


OPS = {  # (rows, terms) of the size -> (inputs, attributes)
    "dense_forward": lambda w, n, k: ((normal(n, k), normal(k, w), normal(w)), {"activation": "relu"}),
    "conv_forward": lambda w, n, c: ((normal(max(1, n // 16), 14, 14, min(c, 64)), normal(3, 3, min(c, 64), w), normal(w)), {}),
    "add": lambda w, n, _: ((normal(n, w), normal(w)), {}),
    "sum": lambda w, n, _: ((normal(n, w),), {"axis": 1}),
    "softmax": lambda w, n, _: ((normal(n, w),), {}),
}  # fmt: skip


def series(options):
    """[(name, {w: case})]: what is swept."""
    found = []
    for op in options.op:
        if op == "gemm":
            for direction in options.direction:
                for vary in options.vary:
                    cases = {w: Case(op, str(w), *gemm(direction, vary, w, options.size)) for w in WIDTHS}
                    found.append((f"gemm {direction}, {vary} = w", cases))
        else:
            found.append((op, {w: Case(op, str(w), *OPS[op](w, *options.size)) for w in WIDTHS}))
    return found


def sweep(cases, sweeps, threads, seconds):
    """Times by the sentinel's, an array (sweeps, widths)."""
    runs = []
    for case in cases:
        run = Ours(case, placed(case, case.make("float32"))).alone(threads).calibrate(seconds)
        run.warm = 1 + run.calls // 4
        runs.append(run)
    sentinel = roof.probe("tile", 0, threads).calibrate(seconds)
    times = np.zeros((sweeps, len(runs)))
    for number in range(sweeps):
        before = sentinel.sample()
        for first in range(0, len(runs), NEAR):
            group = slice(first, first + NEAR)
            times[number, group] = [run.sample() for run in runs[group]]
            after = sentinel.sample()
            times[number, group] /= (before + after) / 2
            before = after
    return times


def broken(times, widths, lanes):
    """({rule: [ratio of each width to what the rule allows it to be 1 of]}, [(rule, w, ratio, its quartiles)] of the broken)."""
    at, middle = {w: i for i, w in enumerate(widths)}, np.median(times, axis=0)
    pairs = {"whole": [(w, -(-w // 16) * 16, 1.0) for w in widths]}
    pairs["step"] = [(w + 1, w, -(-w // lanes) / -(-(w + 1) // lanes)) for w in widths]
    limits, ratios, off = {"whole": WHOLE, "step": STEP}, {}, []
    for rule, compared in pairs.items():
        compared = [(w, other, scale) for w, other, scale in compared if w in at and other in at]
        ratios[rule] = [scale * middle[at[w]] / middle[at[other]] for w, other, scale in compared]
        for (w, other, scale), ratio in zip(compared, ratios[rule], strict=True):
            if ratio > limits[rule]:
                low, high = np.percentile(scale * times[:, at[w]] / times[:, at[other]], [25, 75])
                off.append((rule, w, float(ratio), float(low), float(high)))
    return ratios, off


def main():
    words = lambda text: text.split(",")  # noqa: E731
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--op", type=words, default=["gemm"], help=f"a comma list of gemm, {', '.join(OPS)}")
    options.add_argument(
        "--direction", type=words, default=["NN", "TN", "NT"], help="of gemm: N as it is, T transposed"
    )
    options.add_argument("--vary", type=words, default=["n"], help="which of gemm's m, n, k is the width")
    options.add_argument("--size", type=lambda text: [int(n) for n in text.split(",")], default=[64, 256])
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--sweeps", type=int, default=21)
    options.add_argument("--seconds", type=float, default=1e-4, help="of one sample")
    options.add_argument("--json", help="keep all medians here")
    options = options.parse_args()
    for given, known in (
        (options.op, ["gemm", *OPS]),
        (options.direction, ["NN", "TN", "NT", "TT"]),
        (options.vary, "mnk"),
    ):
        if unknown := [one for one in given if one not in known]:
            raise SystemExit(f"expected some of {', '.join(known)}; received {unknown[0]!r}")
    lanes, kept, off, summary = LANES[qn.backend.isa()], {}, [], []
    for name, cases in series(options):
        times = sweep(cases.values(), options.sweeps, options.threads, options.seconds)
        ratios, found = broken(times, list(cases), lanes)
        kept[name] = dict(zip(map(str, cases), np.median(times, axis=0).tolist(), strict=True))
        off += [[name, str(w), rule, f"{ratio:.2f}", f"{low:.2f} .. {high:.2f}"] for rule, w, ratio, low, high in found]
        count = {rule: sum(one[0] == rule for one in found) for rule in ratios}
        summary.append(f"{name}: {count['whole']} of {len(ratios['whole'])} widths over {WHOLE} of whole vectors, at most "
                       f"{max(ratios['whole']):.2f}; {count['step']} steps over {STEP} of their vectors, at most "
                       f"{max(ratios['step']):.2f}")  # fmt: skip
    if off:
        print(table(["series", "w", "rule", "ratio", "quartiles"], off))
    print("\n".join(summary))
    if options.json:
        with open(options.json, "w") as file:
            json.dump(kept, file, indent=1)


if __name__ == "__main__":
    main()
