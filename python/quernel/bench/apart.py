"""A peer in a process of its own, for what cannot share ours (a second OpenMP runtime): `--apart torch`.

Its rounds alternate with ours: the other process works when it is asked, one JSON line each way, and sleeps else.
`python -m quernel.bench.apart NAME` is that process.
"""

import contextlib
import json
import os
import subprocess
import sys

from .contestants import Contestant, Ours
from .crowding import everywhere, spread, watch
from .peers import find


class Apart:
    """Stands for a peer that lives in another process of the same Python."""

    def __init__(self, name):
        self.name = name
        with everywhere():
            self.process = subprocess.Popen(
                [sys.executable, "-m", "quernel.bench.apart", name],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
            )  # fmt: skip
        hello = self.ask({})
        if "missing" in hello:
            self.close()
            raise ImportError(hello["missing"])
        self.version, self.against = hello["version"] + ", apart", hello["against"]

    def ask(self, question):
        """The answer to a question; raises what the other process reports."""
        try:
            self.process.stdin.write(json.dumps(question) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise RuntimeError(f"the process of {self.name} ended with status {self.process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def contestants(self, ours, threads):
        """The settings that the other process finds, each run there."""
        case = ours.case
        settings = self.ask({"op": case.op, "case": case.name, "threads": threads})["settings"]
        return [
            Contestant(
                self.name,
                lambda n, i=i: self.ask({"run": i, "times": n})["seconds"],
                f"{setting}, apart".removeprefix(", "),
                waits=lambda: self.ask({"waits": True})["waits"],
            )
            for i, setting in enumerate(settings)
        ]

    def start(self, threads):
        """Its pool starts over there."""

    def close(self):
        """Ends the process."""
        with contextlib.suppress(BrokenPipeError):  # it ended by itself
            self.process.stdin.close()
        self.process.wait()


def find_apart(names, apart):
    """peers.find, where the peers named in `apart` live in processes of their own."""
    found, missing = find([n for n in names if n not in apart])
    for name in names:
        if name in apart:
            try:
                found[name] = Apart(name)
            except (ImportError, RuntimeError) as error:
                missing[name] = str(error)
    return {n: found[n] for n in names if n in found}, missing


def openmp_runtimes():
    """The files of the OpenMP runtimes in this process, as far as threadpoolctl is installed to tell."""
    try:
        import threadpoolctl
    except ImportError:
        return []
    return sorted({i["filepath"] for i in threadpoolctl.threadpool_info() if i["user_api"] == "openmp"})


def _serve(name):
    """Answers questions from stdin until it closes."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not mix with the answers
    from ..testing.cases import speed_cases

    cases = {(c.op, c.name): c for c in speed_cases()}
    found, missing = find([name])
    peer, tried, watching = found.get(name), [], watch(1)

    def answer(question):
        nonlocal tried
        if "op" in question:
            case = cases[question["op"], question["case"]]
            spread(question["threads"], [peer])
            tried = peer.contestants(Ours(case, case.make("float32")), question["threads"])
            return {"settings": [c.setting for c in tried]}
        if "waits" in question:
            watching.look()
            return {"waits": {f"{name} {n}": t for n, t in watching.seen().items()}}
        if "run" in question:
            one = tried[question["run"]]
            if one.enter is not None:
                one.enter()
            return {"seconds": one.run(question["times"])}
        return {"missing": missing[name]} if peer is None else {"version": peer.version, "against": peer.against}

    for line in sys.stdin:
        try:
            reply = answer(json.loads(line))
        except (RuntimeError, AttributeError, TypeError) as error:  # as in run.py: its twins may lack something
            reply = {"error": f"{type(error).__name__}: {str(error).splitlines()[0]}"}
        answers.write(json.dumps(reply) + "\n")
        answers.flush()


if __name__ == "__main__":
    _serve(sys.argv[1])
