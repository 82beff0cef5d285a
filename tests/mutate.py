"""Mutation check: applies each one-line mutation of mutants.txt to a scratch copy; the suite must go red each time.

    python tests/mutate.py [--jobs N] [NAME ...]

The scratch copy is built once (native kernels of this machine's best instruction set) and rebuilt after each C++ mutation.
A line of mutants.txt:  name | file | old text | new text | tests that must go red (pytest arguments)
The table it prints goes into the closing note; the exit status is the number of survivors.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent


def mutants():
    """(name, file, old, new, tests) for every line."""
    for line in (TOP / "tests" / "mutants.txt").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            yield tuple(part.strip() for part in line.split(" | "))


def build(scratch, log):
    """Builds and installs the native modules of the scratch copy into its python/ folder; True when it compiled."""
    folder = scratch / "build" / "mutate"
    steps = [["ninja", "-C", str(folder)], ["cmake", "--install", str(folder), "--prefix", str(scratch / "python")]]
    if not (folder / "build.ninja").exists():
        import pybind11

        steps.insert(0, ["cmake", "-S", str(scratch), "-B", str(folder), "-G", "Ninja", "-DQUERNEL_ISAS=native",
                         f"-Dpybind11_DIR={pybind11.get_cmake_dir()}", f"-DPython_EXECUTABLE={sys.executable}"])  # fmt: skip
    return all(subprocess.run(s, stdout=log, stderr=log).returncode == 0 for s in steps)


def red(scratch, tests, log):
    """Whether pytest fails (exit status 1) on the scratch copy."""
    env = {
        **os.environ,
        "PYTHONPATH": str(scratch / "python"),
        "QUERNEL_DEVELOPMENT": "1",
        "NUMBA_DISABLE_CACHING": "1",
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:benchmark",
        *tests.split(),
    ]
    status = subprocess.run(command, cwd=scratch, env=env, stdout=log, stderr=log).returncode
    if status not in (0, 1):
        raise SystemExit(f"pytest ended with status {status}; see {log.name}")
    return status == 1


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("names", nargs="*")
    names = options.parse_args().names
    scratch = Path(tempfile.mkdtemp(prefix="quernel-mutate-"))
    files = subprocess.run(["git", "ls-files"], cwd=TOP, capture_output=True, text=True, check=True).stdout.split()
    for name in files:
        (scratch / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(TOP / name, scratch / name)
    survivors = []
    with open(scratch / "log.txt", "w") as log:
        if not build(scratch, log):
            raise SystemExit(f"the unchanged copy does not build; see {log.name}")
        for name, file, old, new, tests in mutants():
            if names and name not in names:
                continue
            path = scratch / file
            text = path.read_text()
            if text.count(old) != 1:
                raise SystemExit(f"{name}: {file} holds the text {old!r} {text.count(old)} times, expected once")
            started = time.perf_counter()
            path.write_text(text.replace(old, new))
            native = file.startswith("csrc/")
            compiled = build(scratch, log) if native else True
            killed = red(scratch, tests, log) if compiled else False
            path.write_text(text)
            if native and not build(scratch, log):
                raise SystemExit(f"{name}: the restored copy does not build; see {log.name}")
            verdict = "killed" if killed else "SURVIVED" if compiled else "DOES NOT COMPILE"
            print(f"{name:<28} {verdict:<10} {time.perf_counter() - started:6.1f} s  {file}", flush=True)
            if not killed:
                survivors.append(name)
    if not survivors:
        shutil.rmtree(scratch)
    print(f"{len(survivors)} survivors: {survivors}" if survivors else "all mutants are killed")
    return len(survivors)


if __name__ == "__main__":
    sys.exit(main())
