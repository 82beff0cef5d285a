"""One run of the bench from its options: measures, finishes the rows, writes what was asked for."""

import importlib
import importlib.util
import json
import signal
import sys
import time
from pathlib import Path

from .. import backend
from . import machine, parts, report, results
from .apart import Apart, find_apart, openmp_runtimes
from .files import put
from .peers import NAMES
from .roof import level, sentinel
from .run import MORE, Run, choose_cases

QUICK = 14.0  # seconds of all rounds of --quick; as much again goes into arrays, settings and the head
QUICK_ENDS = 45.0  # seconds after which --quick begins no more cases, on a machine that is slow or busy


def _bar(total):
    """(progress, close): a tqdm bar on stderr where tqdm is installed, else nothing."""
    if importlib.util.find_spec("tqdm") is None:
        return (lambda text: None), (lambda: None)
    import tqdm

    shape = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}] {postfix}"
    bar = tqdm.tqdm(total=total, file=sys.stderr, leave=False, mininterval=0.5, bar_format=shape)

    def progress(text):
        bar.set_postfix_str(text, refresh=False)
        bar.update()

    return progress, bar.close


def plan(options, kept=None):
    """(Run, missing peers) of the options; `kept` is the run that it goes on with.

    Raises:
        ValueError: an option names something that is not there.
    """
    isas = options.isa or [backend.isa()]
    for isa in isas:
        if not backend.available(isa):
            raise ValueError(f"--isa: {isa} is not available: {backend.why_missing(isa)}")
    threads = options.threads or sorted({1, backend.get_num_threads()})
    cases = choose_cases(options.op, options.quick)
    names = options.peers if options.peers is not None else [n for n in NAMES if not (options.quick and n == "numba")]
    peers, missing = find_apart(names, options.apart)
    if options.quick and options.peers is None:
        missing["numba"] = "left out by --quick: it compiles"
    if options.quick and not options.threads:
        threads = threads[-1:]
    seconds = options.seconds
    if options.quick:
        seconds = min(seconds, QUICK / max(len(cases) * len(isas) * len(threads), 1))
    try:
        sentinel(max(threads))
    except ValueError as error:
        raise ValueError(f"--threads: {error}") from None
    until = float("inf") if options.minutes is None else time.monotonic() + 60 * options.minutes
    run = Run(
        cases, isas, threads, peers, options.backend or "native", seconds, done=parts.done(kept), until=until,
        more=1.0 if options.quick else MORE,
    )  # fmt: skip
    if options.quick and options.minutes is None:
        run.until = time.monotonic() + QUICK_ENDS
    return run, missing


def gather(run, missing, interrupted):
    """The run as the dictionary that --json writes."""
    marks = results.references(run.rows)
    rows = []
    for row in run.rows:
        made = results.finished(row, marks[row.isa, row.threads])
        made["level"] = level(row.footprint, row.threads)
        rows.append(made)
    return {
        "format": 1,
        "machine": machine.describe(run.peers, missing),
        "settings": {"isas": run.isas, "threads": run.threads, "backend": run.which, "seconds": run.seconds},
        "sentinel": [{"isa": i, "threads": t, "gflops": rate / 1e9} for (i, t), rate in marks.items()],
        "roofs": run.roofs,
        "rows": rows,
        "skipped": run.skipped,
        "interrupted": interrupted,
        "left": run.steps(),
    }


def measure(options):
    """Runs the bench; returns the exit status."""
    try:
        kept = parts.start(options.json) if options.resume else None
        run, missing = plan(options, kept)
        if kept is not None:
            parts.check(kept, machine.describe(run.peers, missing), run.which, options.json)
    except ValueError as error:
        print(f"quernel bench: {error}", file=sys.stderr)
        return 2
    shared = openmp_runtimes()
    if len(shared) > 1:
        print(
            f"quernel bench: {len(shared)} OpenMP runtimes share this process, and their waiting threads disturb each "
            f"other ({', '.join(shared)}); put the peer that brings its own into a process of its own with --apart",
            file=sys.stderr,
        )
    progress, close = _bar(run.steps())
    run.progress = progress
    interrupted = False
    try:
        run.play()
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # what is done will be printed
        interrupted = True
    finally:
        close()
        for peer in run.peers.values():
            if isinstance(peer, Apart):
                peer.close()
    found = gather(run, missing, interrupted)
    if kept is not None:
        found = parts.joined(kept, found)
    print(report.text(found), flush=True)
    complete = write(found, options)
    return 130 if interrupted else 0 if complete else 1


def write(found, options):
    """The files that the options name; False where one could not be written, which a line on stderr says."""
    stamp = found["machine"]["date"].replace(":", "").replace("-", "").partition("+")[0]
    kept = options.history and Path(options.history) / f"{stamp}-{found['machine']['quernel']}.json"

    def keep():
        kept.parent.mkdir(parents=True, exist_ok=True)
        save(found, kept)

    steps = [("--json", options.json, lambda: save(found, options.json), None), ("--history", kept, keep, "kept as")]
    return _written(steps + _pictures(found, options))


def draw(found, options):
    """Writes picture and page of a run where the options ask for them, as `write` does."""
    return _written(_pictures(found, options))


def _pictures(found, options):
    def draw_with(module, path):  # they import matplotlib
        importlib.import_module(f".{module}", __package__).save(found, path)

    png, html = options.png if found["rows"] else None, options.html if found["rows"] else None
    return [
        ("--png", png, lambda: draw_with("picture", png), "the roofline is in"),
        ("--html", html, lambda: draw_with("page", html), "the page is in"),
    ]


def _written(steps):
    """Runs the steps (option, path or None, function, what to say or None); a failure of one keeps none of the others."""
    complete = True
    for option, path, step, told in steps:
        if not path:
            continue
        try:
            step()
        except OSError as error:  # a full disk, a folder that nobody may write to
            print(f"quernel bench: {option}: {path} could not be written: {error.strerror or error}", file=sys.stderr)
            complete = False
        else:
            if told:
                print(f"{told} {path}", flush=True)
    return complete


def save(found, path):
    """Writes the run as JSON, a line for each row, so that two runs differ line by line; floats keep 5 figures."""
    rows = found["rows"]
    head = json.dumps(_short({**found, "rows": []}), indent=1)
    lines = ",\n".join("  " + json.dumps(_short(r)) for r in rows)
    text = head.replace('"rows": []', f'"rows": [\n{lines}\n ]' if rows else '"rows": []')
    put(path, text + "\n")


def _short(value):
    if isinstance(value, dict):
        return {k: _short(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_short(v) for v in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value
