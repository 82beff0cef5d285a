"""The peers, the settings that are tried for each, and the processes they run in."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from models import make_arrays
from referee import referee

HERE = Path(__file__).resolve().parent


class Peer(NamedTuple):
    """module: its peer_*.py. python: which --python it runs on.

    variants: for networks of dense layers; conv: for those with convolutions; steps: for recurrent ones (none: not run).
    """

    module: str
    python: str
    variants: tuple
    conv: tuple
    steps: tuple

    def variants_for(self, model):
        return self.steps if model.has_tokens else self.conv if model.has_conv else self.variants


# Tried and left out: torch.compile in mode max-autotune (never faster, slow to start), with the C++ wrapper beyond the smallest
# steps, of the optimizer's step alone; a scan in JAX where there are convolutions (inside of a loop XLA runs them 12 times
# slower); reduce_window in a scan.
EAGER = ("loop", "foreach", "fused", "loop,one", "foreach,one")
COMPILED = ("compile,fused", "compile,foreach,update", "compile,loop,cpp", "reduce,loop")
CONV_COMPILED = (
    "compile,fused",
    "compile,foreach,update",
    "channels_last,compile,fused",
    "channels_last,compile,foreach,update",
)
KERAS = ("nojit,many", "jit,many", "nojit,single", "jit,single")
PEERS = {
    "quernel fit": Peer("quernel", "quernel", ("fit",), ("fit",), ("fit",)),
    "quernel train_on_batch": Peer("quernel", "quernel", *[("train_on_batch",)] * 3),
    "quernel function": Peer("quernel", "quernel", *[("function",)] * 3),
    "torch": Peer("torch", "torch", EAGER, ("foreach", "fused"), ("fused", "steps_first,fused")),
    "torch channels_last": Peer("torch", "torch", (), ("channels_last,foreach", "channels_last,fused"), ()),
    "torch.compile": Peer("torch", "torch", COMPILED, CONV_COMPILED, ("compile,fused", "steps_first,compile,fused")),
    "jax": Peer("jax", "jax", ("step,sync", "step"), ("step,shape", "step,shape,sync", "step,window"), ("step",)),
    "jax scan": Peer("jax", "jax", ("scan", "scan,unroll"), (), ()),
    "keras": Peer("keras", "keras", KERAS, KERAS, ("nojit,single", "jit,single")),
}


class Missing(Exception):
    """The peer cannot be imported by its Python."""


class Worker:
    """One peer with one model in a process of its own.

    Args:
        peer: a key of PEERS.
        variant: its settings.
        model: a Model.
        arrays: path of the .npz with the data and the initial weights.
        threads: how many.
        pythons: {"torch": path, ...}; sys.executable where it has none.

    Raises:
        Missing: a package is not there.
        RuntimeError: the process died; with the end of its output.
    """

    def __init__(self, peer, variant, model, arrays, threads, pythons):
        self.peer, self.variant, self.model = peer, variant, model
        program = pythons.get(PEERS[peer].python, sys.executable)
        command = [program, str(HERE / "worker.py"), PEERS[peer].module, variant, model.name, str(arrays), str(threads)]
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self.process = subprocess.Popen(command, text=True, bufsize=1, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.log,
                                        env={**os.environ, "OMP_NUM_THREADS": str(threads)})  # fmt: skip
        answer = self.answer()
        if "missing" in answer:
            self.close()
            raise Missing(answer["missing"])
        self.version = answer["version"]

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.log.seek(0)
            raise RuntimeError(f"{self.peer} ({self.variant}) on {self.model.name} died:\n{self.log.read()[-3000:]}")
        return json.loads(line)

    def post(self, **request):
        print(json.dumps(request), file=self.process.stdin, flush=True)

    def ask(self, **request):
        self.post(**request)
        return self.answer()

    def step_time(self, epochs):
        """Seconds of a step in a block of some epochs, from the initial weights."""
        return self.ask(do="train", epochs=epochs)["seconds"] / (epochs * self.model.batches)

    def epochs_for(self, seconds):
        """How many epochs take about so long."""
        epochs = 1
        while True:
            took = self.step_time(epochs) * epochs * self.model.batches
            if took > seconds / 4:
                return max(1, round(epochs * seconds / took))
            epochs *= 4

    def loss(self, x, y, directory):
        """The referee's loss after one epoch in order."""
        path = Path(directory) / "trained.npz"
        self.ask(do="weights", file=str(path))
        with np.load(path) as file:
            return referee(self.model, x, y, [file[f"arr_{i}"] for i in range(len(file.files))])

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()


def save_arrays(model, directory):
    """Writes the model's arrays; returns (path, x, y)."""
    x, y, weights = make_arrays(model)
    path = Path(directory) / f"{model.name}.npz"
    np.savez(path, x=x, y=y, **{f"w{i:02}": w for i, w in enumerate(weights)})
    return path, x, y


def best_worker(peer, variants, model, arrays, threads, pythons, tried):
    """A Worker with the fastest of the variants; notes {variant: microseconds} in `tried`."""
    best, best_time = None, float("inf")
    for variant in variants:
        worker = Worker(peer, variant, model, arrays, threads, pythons)
        if len(variants) == 1:
            return worker
        epochs = worker.epochs_for(0.2)
        took = min(worker.step_time(epochs) for _ in range(3))  # other load only adds
        tried[variant] = round(1e6 * took, 1)
        if took < best_time:
            worker, best, best_time = best, worker, took
        if worker:
            worker.close()
    return best
