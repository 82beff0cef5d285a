"""Run: times cases in rounds, ours beside the roof's probes, the peers and the sentinel."""

import difflib
import time

from .. import backend
from ..testing.cases import speed_cases
from . import crowding, families, roof
from .contestants import LONG, Ours, placed
from .results import KEEP, SERIAL, SERIAL_ROUNDS, TOO_LONG, reference, short

ROUNDS = (KEEP, 41)  # fewest and most of a case
MORE = 2.0  # times as many rounds at most where too few have counted
SLOW = 0.2  # seconds: the definition or the fallback of a larger case is left out
CALIBRATION = 3  # rounds of the choice between a peer's settings


class Row:
    """One case on one instruction set and thread count: what played, and the samples of its rounds."""

    def __init__(self, case, isa, threads):
        self.case, self.isa, self.threads = case, isa, threads
        self.family = families.family(case)
        self.settings, self.against, self.tried, self.left_out = {}, {}, {}, {}
        self.samples, self.marks, self.allowed = {}, [], []
        self.at_most = []  # as `allowed`, with the crowded probes, whose limits are too long
        self.crowded = {}  # {contestant: [whether its sample of a round was]}
        self.flops = self.bytes = self.footprint = 0
        self.ranks = 1


class Run:
    """What `quernel bench` measures.

    Args:
        cases: the cases.
        isas, threads: lists; each pair is measured.
        peers: {name: peer}, see peers.find.
        which: the backend of our side: "native", "numba" or "numpy".
        seconds: of the rounds of one case, instruction set and thread count.
        progress: called with the text of what comes next, before it.
        done: {(op, case, isa, threads)} that are not measured again.
        until: the time.monotonic() after which no more rows are begun.
        more: a row with too few counted rounds goes on until it has this many times as many.
    """

    def __init__(
        self, cases, isas, threads, peers, which="native", seconds=0.6, progress=None, done=(), until=float("inf"),
        more=MORE,
    ):  # fmt: skip
        self.isas, self.threads, self.until = isas, threads, until
        pairs = [(isa, t) for isa in isas for t in threads]
        self.left = {str(case): [p for p in pairs if (case.op, case.name, *p) not in done] for case in cases}
        self.cases = [case for case in cases if self.left[str(case)]]
        self.peers, self.which, self.seconds = peers, which, seconds
        self.progress = progress or (lambda text: None)
        self.rows, self.skipped, self.sentinels, self.roofs = [], [], {}, []
        self.more, self.watches, self.marks = more, {}, {}

    def steps(self):
        """How many rows are left: how many times `progress` will be called."""
        return sum(map(len, self.left.values()))

    def play(self):
        """Measures everything; rows appear in `rows` one by one, so that an interrupted run keeps what it has."""
        crowding.spread(max(self.threads), self.peers.values())
        self.watches = {threads: crowding.watch(threads) for threads in self.threads}
        for isa in self.isas:
            backend.set_isa(isa)
            for threads in self.threads:
                self.sentinels[isa, threads] = roof.sentinel(threads)
                self.roofs += machine_roofs(isa, threads)
        for case in self.cases:
            if time.monotonic() > self.until:
                return
            arrays = placed(case, case.make("float32"))
            for isa, threads in list(self.left[str(case)]):
                self.progress(f"{case} {isa} {threads}")
                backend.set_isa(isa)
                backend.set_num_threads(threads)
                self.measure(case, arrays, isa, threads, (isa, threads) == (self.isas[0], self.threads[0]))
                self.left[str(case)].remove((isa, threads))

    def measure(self, case, arrays, isa, threads, first=True):
        """The row of one case; `first` is false where serial peers have played it already."""
        ours = Ours(case, arrays)
        if not ours.native:
            self.skipped.append((str(case), f"no native kernel: {ours.resolved.declined}"))
            return
        watch = self.watches[threads]
        watch.look()
        row = Row(case, isa, threads)
        work = ours.estimate()
        row.flops, row.bytes, row.ranks = work["flops"], work["bytes"], work["ranks"]
        row.footprint = roof.touched(sum(ours.footprint()), row.bytes)
        slow = row.flops / 2e9 + row.bytes / 1e9 > SLOW
        if self.which == "native":
            mine = [ours.alone(threads), ours.called(threads)]
        else:
            mine = [ours.plain(self.which), ours.plain(self.which)]
            mine[0].name, mine[1].name = "kernel", "call"
        limits = roof.Roof(ours, threads, families.arithmetic(row.family))
        share = self.seconds / 12 / max(len(self.peers) + len(limits.contestants) + 3, 1)
        playing = [*mine, *limits.contestants]
        for contestant in playing:
            contestant.calibrate(share)
        for name, peer in self.peers.items():
            if name in SERIAL:
                if not first or name == self.which:
                    continue
                if slow:
                    row.left_out[name] = TOO_LONG
                    continue
            try:
                best = self.choose(row, peer, ours, threads, share, watch)
            except (RuntimeError, AttributeError, TypeError) as error:  # its twins call what other versions may lack
                row.left_out[name] = f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
                continue
            if best is not None:
                playing.append(best)
                row.settings[name], row.against[name] = best.setting, peer.against
        watch.look()
        self.rounds(row, playing, limits, watch)
        self.rows.append(row)

    def choose(self, row, peer, ours, threads, share, watch):
        """The fastest of a peer's settings, which play beside each other for some rounds first; None without a twin."""
        tried = [c.calibrate(share / 2) for c in peer.contestants(ours, threads)]
        if not tried:
            return None
        if len(tried) > 1:
            for c in tried:
                c.once = min(watch.sample(c)[0] for _ in range(CALIBRATION if c.once < LONG / 4 else 1))
        row.tried[peer.name] = {c.setting: c.once for c in tried}
        best = min(tried, key=lambda c: c.once)
        best.calls = max(1, min(100_000, int(share / max(best.once, 1e-8))))
        return best

    def rounds(self, row, playing, limits, watch, clock=time.perf_counter):
        """Rounds until the time is over: every contestant once, in a turning order, the sentinel before and after.

        Where too few have counted by then, more follow.
        """
        sentinel = self.sentinels[row.isa, row.threads]
        marks = self.marks.setdefault((row.isa, row.threads), [])
        row.samples, row.crowded = {c.name: [] for c in playing}, {c.name: [] for c in playing}
        start, enough = clock(), ROUNDS[1]
        before = sentinel.sample()
        for number in range(ROUNDS[1]):
            if number >= ROUNDS[0] and enough == ROUNDS[1] and clock() - start > self.seconds:
                enough = min(int(number * self.more), ROUNDS[1])
            if enough < ROUNDS[1] and (number >= enough or not short(row, reference(marks))):
                break
            turn = number % len(playing)
            times, crowded = {}, {}
            for c in playing[turn:] + playing[:turn]:
                if number < SERIAL_ROUNDS or c.name not in SERIAL:
                    times[c.name], crowded[c.name] = watch.sample(c)
            after = sentinel.sample()
            row.marks.append(sentinel.work / max(before, after))
            marks.append(row.marks[-1])
            before = after
            calm = {name: t for name, t in times.items() if not crowded[name]}
            row.allowed.append(limits.seconds(calm))
            row.at_most.append(limits.seconds(times))
            for name, samples in row.samples.items():
                samples.append(times.get(name))
                row.crowded[name].append(crowded.get(name, False))


def machine_roofs(isa, threads):
    """The machine's limits for the head of a report: [{isa, threads, what, rate, unit}]."""
    sizes = roof.caches()
    streams = [("L1", sizes[0] // 2), ("L2", sizes[1] // 2), ("memory", 256 << 20)]
    wanted = [("fma", "registers", 0, "GFLOP/s"), ("tile", "L1", 0, "GFLOP/s")]
    wanted += [(name, where, n * threads, "GB/s") for where, n in streams for name in ("read", "copy")]
    found = []
    for name, where, size, unit in wanted:
        probe = roof.probe(name, min(size, 256 << 20), threads).calibrate(2e-3)
        best = min(probe.sample() for _ in range(5))
        found.append(
            {"isa": isa, "threads": threads, "probe": name, "in": where, "rate": probe.work / best / 1e9, "unit": unit}
        )
    return found


def choose_cases(ops=None, quick=False):
    """The speed cases of the ops asked for; with `quick` the one of each op whose arrays are closest to 1 MB.

    Raises:
        ValueError: when no case has such an op.
    """
    cases = speed_cases()
    if ops:
        known = {c.op for c in cases}
        for op in ops:
            if op not in known:
                near = sorted(n for n in known if op and op in n) or difflib.get_close_matches(op, known, 8, 0.5)
                raise ValueError(f"--op: received {op!r}, expected ops of {', '.join(near or sorted(known))}")
        cases = [c for c in cases if c.op in ops]
    if quick:
        chosen = {}
        for case in cases:
            distance = abs(_bytes(case) - 1e6)
            if case.op not in chosen or distance < chosen[case.op][0]:
                chosen[case.op] = distance, case
        cases = [case for _, case in chosen.values()]
    return cases


def _bytes(case):
    total = 0
    for value in case.inputs:
        for array in value if isinstance(value, list) else [value]:
            n = 4
            for length in array.shape if array is not None else (0,):
                n *= length
            total += n
    return total
