"""The `quernel` command: `quernel info`, `quernel demo`."""

import argparse
import os
import sys


def _positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected an integer of at least 1, received {text}")
    return value


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
    return top


def main(arguments=None):
    """Runs the command; returns the exit status."""
    options = parser().parse_args(arguments)
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
