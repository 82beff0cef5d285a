"""`quernel bench`: starts the measuring process in the environment it needs, or compares two runs."""

import importlib.util
import os
import signal
import subprocess
import sys

# Without binding a thread waited about 1 ms after PyTorch's (they share one libgomp); MKL on the GNU layer shares it too.
# OpenBLAS's idle threads sleep after 2**16 cycles, not after 2**28: for 100 ms whoever came next had them on its CPUs.
ENVIRONMENT = {"OMP_PROC_BIND": "true", "MKL_THREADING_LAYER": "GNU", "OPENBLAS_THREAD_TIMEOUT": "16"}


MODES = {"compare": (), "report": ("markdown", "html", "png")}  # what measures nothing, and what goes with it
PICTURES = (".png", ".svg", ".pdf")


def check(options):
    """What the options cannot have here, as a line, or None."""
    from . import parser

    usual, words = parser().parse_args(["bench"]), vars(options).items()
    given = [n for n, value in words if n not in ("words", "command") and value != getattr(usual, n)]
    for mode, allowed in MODES.items():
        other = next((n for n in given if n != mode and n not in allowed), None)
        if mode in given and other:
            return f"--{mode} measures nothing: it goes without --{other}"
    if "markdown" in given and "report" not in given:
        return "--markdown needs --report FILE"
    for flag, package in (("png", "matplotlib"), ("html", "matplotlib")):
        if getattr(options, flag) and importlib.util.find_spec(package) is None:
            return f"--{flag} needs {package}: pip install 'quernel[bench]'"
    for flag in ("json", "png", "html"):
        path = getattr(options, flag)
        if path and not os.path.isdir(os.path.dirname(os.path.abspath(path))):
            return f"--{flag}: the folder of {path} does not exist"
        if path and os.path.isdir(path):
            return f"--{flag}: {path} is a folder, expected a file"
        if path and not _writable(path):
            return f"--{flag}: {path} may not be written, or no file in its folder"
    if options.png and os.path.splitext(options.png)[1].lower() not in PICTURES:
        return f"--png: expected a name that ends in {', '.join(PICTURES)}, received {options.png}"
    if options.history and os.path.exists(options.history) and not os.path.isdir(options.history):
        return f"--history: {options.history} is a file, expected a folder"
    if any(mode in given for mode in MODES):
        return None
    if options.resume and not options.json:
        return "--resume needs --json FILE: the run that it goes on with"
    if importlib.util.find_spec("quernel._core") is None:
        return "the compiled core is not installed (a QUERNEL_PURE build): there is nothing to measure the roof with"
    return None


def _writable(path):
    if os.path.exists(path) and not os.access(path, os.W_OK):
        return False
    special = os.path.exists(path) and not os.path.isfile(path)  # /dev/stdout is written to, a file is replaced
    return special or os.access(os.path.dirname(os.path.abspath(path)), os.W_OK)


def show(options):
    """Prints the text of --compare or --report, whose pictures are written; False where one could not be.

    Raises:
        ValueError: a file is no run.
    """
    from ..bench import compare

    if options.compare:
        print(compare.text(*map(compare.load, options.compare)), flush=True)
        return True
    from ..bench import process, report

    run = compare.load(options.report, "--report")
    print(report.short(run, options.markdown), flush=True)
    return process.draw(run, options)


def bench(options):
    """Runs the command; returns the exit status."""
    problem = check(options)
    if problem:
        print(f"quernel bench: {problem}", file=sys.stderr)
        return 2
    if options.compare or options.report:
        try:
            return 0 if show(options) else 1
        except ValueError as error:
            print(f"quernel bench: {error}", file=sys.stderr)
            return 2
    environment = {**ENVIRONMENT, **os.environ}
    process = subprocess.Popen([sys.executable, "-m", "quernel.bench", *options.words], env=environment)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # a terminal sends it to both; whoever sends it here alone means both
            process.send_signal(signal.SIGINT)
