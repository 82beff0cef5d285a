"""Mutation check: applies each one-line mutation of mutants.txt to a scratch copy; the suite must go red each time.

    python tests/mutate.py [NAME ...]

The scratch copy lies in build/mutate, with native kernels of this machine's best instruction set; what a mutation
touches is rebuilt for it and for the next native one. Afterwards every test that killed a mutant must pass without it.
A line of mutants.txt:  name | file | old text | new text | tests that must go red (pytest arguments)
The table it prints goes into the closing note; the exit status is the number of mutants that were not killed.
"""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
SCRATCH = TOP / "build" / "mutate"
COPY, BUILD, LOG = SCRATCH / "copy", SCRATCH / "build", SCRATCH / "log.txt"


def mutants():
    """(name, file, old, new, tests) for every line."""
    for line in (TOP / "tests" / "mutants.txt").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            parts = [part.strip() for part in line.split(" | ")]
            if len(parts) != 5:
                raise SystemExit(f"mutants.txt: expected 5 parts, received {len(parts)}: {line}")
            yield parts


def copy_tree():
    """Brings the scratch copy up to date; files that did not change keep their time, so builds stay incremental."""
    names = subprocess.run(["git", "ls-files"], cwd=TOP, capture_output=True, text=True, check=True).stdout.split("\n")
    names = {name for name in names if (TOP / name).is_file()}
    for name in names:
        target = COPY / name
        content = (TOP / name).read_bytes()
        if not target.exists() or target.read_bytes() != content:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    for old in COPY.rglob("*"):
        if old.suffix in (".py", ".cpp", ".hpp", ".txt") and old.relative_to(COPY).as_posix() not in names:
            old.unlink()


def build():
    """Builds what changed and installs it into the copy's python folder; whether it compiled."""
    steps = [
        ["cmake", "--build", str(BUILD), "--parallel"],
        ["cmake", "--install", str(BUILD), "--prefix", str(COPY / "python")],
    ]
    if not (BUILD / "CMakeCache.txt").exists():
        import pybind11

        configure = ["cmake", "-S", str(COPY), "-B", str(BUILD), "-DQUERNEL_ISAS=native"]
        configure += [f"-Dpybind11_DIR={pybind11.get_cmake_dir()}", f"-DPython_EXECUTABLE={sys.executable}"]
        configure += ["-G", "Ninja"] if shutil.which("ninja") else []
        configure += ["-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"] if shutil.which("ccache") else []
        steps.insert(0, configure)
    with open(LOG, "a") as log:
        return all(subprocess.run(step, stdout=log, stderr=log).returncode == 0 for step in steps)


def pytest(arguments, numba_cache):
    """(exit status, ids of the tests that failed) of pytest on the scratch copy."""
    env = {
        **os.environ,
        "PYTHONPATH": str(COPY / "python"),
        "PYTHONDONTWRITEBYTECODE": "1",  # bytecode is told from its source by size and second: too coarse here
        "NUMBA_CACHE_DIR": str(numba_cache),  # Numba's index does not see a change in a function that was inlined
        "QUERNEL_DEVELOPMENT": "1",
        "COLUMNS": "200",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-rfE", "--tb=short", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=COPY, env=env, capture_output=True, text=True)
    with open(LOG, "a") as log:
        log.write(done.stdout + done.stderr)
    return done.returncode, re.findall(r"^(?:FAILED|ERROR) (\S+::.*?)(?: - .*)?$", done.stdout, re.M)


def check(file, old, new, tests, stale):
    """(verdict, the test that went red) of one mutant; `stale`: the native modules hold another mutation."""
    path = COPY / file
    text = path.read_text()
    caches = SCRATCH / "numba"
    cache = caches / ("whole" if file.startswith("csrc/") else "mutated")
    shutil.rmtree(caches / "mutated", ignore_errors=True)
    path.write_text(text.replace(old, new))
    try:
        if (file.startswith("csrc/") or stale) and not build():
            return "NOT BUILT", ""
        status, failed = pytest(["-x", *shlex.split(tests)], cache)
    finally:
        path.write_text(text)
    if status == 0:
        return "SURVIVED", ""
    return ("killed", failed[0]) if status == 1 and failed else (f"PYTEST {status}", "")


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("names", nargs="*", help="names of mutants; default: all")
    names = options.parse_args().names
    chosen = [m for m in mutants() if not names or m[0] in names]
    if not chosen or set(names) - {m[0] for m in chosen}:
        raise SystemExit(f"mutants.txt has no mutant {sorted(set(names) - {m[0] for m in chosen})}")
    for name, file, old, *_ in chosen:
        count = (TOP / file).read_text().count(old)
        if count != 1:
            raise SystemExit(f"{name}: {file} holds the text {old!r} {count} times, expected once")
    SCRATCH.mkdir(parents=True, exist_ok=True)
    LOG.write_text("")
    copy_tree()
    if not build():
        raise SystemExit(f"the unchanged copy does not build; see {LOG}")
    killers, missed, stale = [], [], False
    print(
        f"| {'mutant':<24} | {'file':<40} | {'verdict':<8} | {'s':>5} | by\n| --- | --- | --- | --- | ---", flush=True
    )
    for name, file, old, new, tests in chosen:
        started = time.perf_counter()
        verdict, test = check(file, old, new, tests, stale)
        stale = file.startswith("csrc/")
        print(f"| {name:<24} | {file:<40} | {verdict:<8} | {time.perf_counter() - started:5.1f} | {test}", flush=True)
        if verdict == "killed":
            killers.append(test)
        else:
            missed.append(name)
    if stale and not build():
        raise SystemExit(f"the restored copy does not build; see {LOG}")
    if killers and pytest(sorted(set(killers)), SCRATCH / "numba" / "whole")[0] != 0:
        raise SystemExit(f"a test that killed a mutant fails without it, too; see {LOG}")
    print(f"{len(chosen) - len(missed)} of {len(chosen)} mutants are killed" + (f"; not: {missed}" if missed else ""))
    return len(missed)


if __name__ == "__main__":
    sys.exit(main())
