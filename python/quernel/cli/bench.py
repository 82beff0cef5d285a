"""`quernel bench`: starts the measuring process in the environment it needs, or compares two runs."""

import importlib.util
import os
import signal
import subprocess
import sys

# Without binding a thread waited about 1 ms after PyTorch's (they share one libgomp); MKL on the GNU layer shares it too.
# OpenBLAS's idle threads sleep after 2**16 cycles, not after 2**28: for 100 ms whoever came next had them on its CPUs.
ENVIRONMENT = {"OMP_PROC_BIND": "true", "MKL_THREADING_LAYER": "GNU", "OPENBLAS_THREAD_TIMEOUT": "16"}


def check(options):
    """What the options cannot have here, as a line, or None."""
    for flag, package in (("png", "matplotlib"), ("html", "matplotlib")):
        if getattr(options, flag) and importlib.util.find_spec(package) is None:
            return f"--{flag} needs {package}: pip install 'quernel[bench]'"
    for flag in ("json", "png", "html"):
        path = getattr(options, flag)
        if path and not os.path.isdir(os.path.dirname(os.path.abspath(path))):
            return f"--{flag}: the folder of {path} does not exist"
    if options.resume and not options.json:
        return "--resume needs --json FILE: the run that it goes on with"
    if importlib.util.find_spec("quernel._core") is None:
        return "the compiled core is not installed (a QUERNEL_PURE build): there is nothing to measure the roof with"
    return None


def bench(options):
    """Runs the command; returns the exit status."""
    if options.compare:
        from ..bench import compare

        try:
            print(compare.text(*map(compare.load, options.compare)), flush=True)
        except ValueError as error:
            print(f"quernel bench: {error}", file=sys.stderr)
            return 2
        return 0
    problem = check(options)
    if problem:
        print(f"quernel bench: {problem}", file=sys.stderr)
        return 2
    environment = {**ENVIRONMENT, **os.environ}
    process = subprocess.Popen([sys.executable, "-m", "quernel.bench", *options.words], env=environment)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # a terminal sends it to both; whoever sends it here alone means both
            process.send_signal(signal.SIGINT)
