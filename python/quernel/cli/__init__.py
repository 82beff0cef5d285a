"""The `quernel` command: `quernel info`, `quernel demo`, `quernel bench`."""

import argparse
import os
import sys


def _positive(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected an integer of at least 1, received {text!r}")
    return int(text)


def _number(text, good, expected):
    try:
        value = float(text)
    except ValueError:
        value = float("nan")  # which is never good
    if not good(value):
        raise argparse.ArgumentTypeError(f"expected {expected}, received {text!r}")
    return value


def _seconds(text):
    return _number(text, lambda value: 0 < value <= 600, "seconds above 0 and at most 600")


def _minutes(text):
    return _number(text, lambda value: value > 0, "minutes above 0")


def _list(one, choices=None, none=False):
    """The type of an option that takes a comma list, which may be empty where `none` is true."""

    def parse(text):
        values = [one(word.strip()) for word in text.split(",") if word.strip()]
        for value in values:
            if choices and value not in choices:
                raise argparse.ArgumentTypeError(f"expected some of {', '.join(choices)}, received {value!r}")
        if not values and not none:
            raise argparse.ArgumentTypeError(f"expected a comma list, received {text!r}")
        return values

    return parse


PEERS = ("torch", "onednn", "mkl", "blas", "numba", "numpy")  # of the bench


def _add_bench(commands):
    bench = commands.add_parser(
        "bench",
        help="time every op beside this machine's roof and beside the libraries found here",
        description="Times every op's speed cases in interleaved rounds beside the machine's roof, measured in the same "
        "rounds, and beside every peer that is installed (PyTorch, MKL, NumPy's BLAS, Numba, NumPy).",
    )
    add = bench.add_argument
    add("--op", type=_list(str), metavar="OP,...", help="only these ops (default: all)")
    add(
        "--isa",
        type=_list(str, ("avx512", "avx2", "base")),
        metavar="ISA,...",
        help="avx512, avx2, base (default: best)",
    )
    add("--threads", type=_list(_positive), metavar="N,...", help="thread counts (default: 1 and the default count)")
    add("--backend", choices=("native", "numba", "numpy"), help="our side of the comparison (default native)")
    add("--peers", type=_list(str, PEERS, none=True), metavar="PEER,...",
        help=f"{', '.join(PEERS)}, or '' for none (default: all that are installed)")  # fmt: skip
    add("--apart", type=_list(str, PEERS, none=True), default=[], metavar="PEER,...",
        help="peers that run in a process of their own: what brings another OpenMP runtime than ours")  # fmt: skip
    add("--quick", action="store_true", help="one case of each op, one thread count, under a minute")
    add("--seconds", type=_seconds, default=0.6, help="rounds of one case, ISA and thread count (default 0.6)")
    add("--minutes", type=_minutes, help="begin no more cases after so long; what is done is printed and kept")
    add("--json", metavar="FILE", help="keep the run")
    add("--resume", action="store_true", help="keep what the file of --json has and measure only what it lacks")
    add("--html", metavar="FILE", help="write tables and picture as one page")
    add("--png", metavar="FILE", help="draw the roofline")
    add("--history", metavar="FOLDER", help="keep the run in this folder under a name of its own")
    add("--report", metavar="FILE",
        help="print the overview of a run kept by --json, with --html or --png draw it; measures nothing")  # fmt: skip
    add("--markdown", action="store_true", help="with --report: as Markdown")
    add("--compare", nargs=2, metavar=("OLD", "NEW"), help="compare two runs kept by --json; measures nothing")


def parser():
    """The argument parser of the command."""
    top = argparse.ArgumentParser(prog="quernel", description="A deep-learning library whose kernels are its own.")
    commands = top.add_subparsers(dest="command", required=True, metavar="command")
    commands.add_parser("info", help="versions, CPU features, instruction set, backends, threads")
    demo = commands.add_parser("demo", help="train the textbook digit classifier on 4,000 handwritten digits")
    demo.add_argument("--epochs", type=_positive, default=12, help="passes over the training images (default 12)")
    demo.add_argument("--seed", type=int, default=0, help="seed of weights and shuffling (default 0)")
    demo.add_argument("--threads", type=_positive, help="threads of the native kernels (default: see quernel info)")
    demo.add_argument("--backend", choices=("native", "numba", "numpy"), help="default: see quernel info")
    demo.add_argument("--no-plot", action="store_true", help="write no quernel-demo.png")
    _add_bench(commands)
    return top


def main(arguments=None):
    """Runs the command; returns the exit status."""
    options = parser().parse_args(arguments)
    options.words = (sys.argv[1:] if arguments is None else list(arguments))[1:]
    try:
        return run(options)
    except BrokenPipeError:  # the reader (head, a pager) has left; Python's own flush at exit must not fail again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def run(options):
    """Runs the parsed command; returns the exit status."""
    if options.command == "info":
        from .info import info

        print(info(), flush=True)
        return 0
    if options.command == "bench":
        from .bench import bench

        return bench(options)
    from .demo import demo

    try:
        return demo(options)
    except ImportError as error:  # --backend names one that is not installed here: why_missing says what to install
        if options.backend is None:
            raise
        print(f"quernel demo: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
