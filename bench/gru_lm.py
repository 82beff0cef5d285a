"""The training step of examples/gru_lm.py beside PyTorch's, eager and compiled: ms a step and megabytes resident.

    python bench/gru_lm.py [--rounds 5] [--steps 3] [--threads 2] [--python torch=/path/to/python] [--json FILE]

Each contestant has a process of its own, which waits on a pipe; a round is some steps of each, the order alternating.
All start from the same weights and see the same words, so their losses must agree; they are printed (Adam's epsilon is
1e-12, because PyTorch puts it elsewhere). The products of a
step are 6 n k m each: 77 GFLOP in the last layer, 82 in all.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

WORDS, UNITS, EMBEDDING, BATCH, LENGTH = 10000, 128, 64, 100, 100
GFLOP = 6e-9 * BATCH * LENGTH * (UNITS * WORDS + UNITS * UNITS + 3 * UNITS * (UNITS + EMBEDDING))
CONTESTANTS = {"quernel": "quernel", "torch eager": "torch", "torch compile": "torch"}


def make_arrays():
    """The words of some steps, and weights in Keras's layout."""
    rng = np.random.default_rng(7)

    def glorot(*shape):
        limit = (6 / sum(shape)) ** 0.5
        return rng.uniform(-limit, limit, shape).astype("float32")

    words = rng.zipf(1.3, (4, BATCH, LENGTH + 1)) % WORDS
    weights = [glorot(WORDS, EMBEDDING), glorot(EMBEDDING, 3 * UNITS), glorot(UNITS, 3 * UNITS)]
    weights += [np.zeros((2, 3 * UNITS), "float32"), glorot(UNITS, UNITS), np.zeros(UNITS, "float32")]
    weights += [glorot(UNITS, WORDS), np.zeros(WORDS, "float32")]
    return {"words": words.astype("int32"), **{f"w{i}": w for i, w in enumerate(weights)}}


def quernel_steps(arrays, weights, threads):
    """A generator of losses, one a step."""
    import quernel as qn

    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))
    from gru_lm import LanguageModel

    qn.set_num_threads(threads)
    model = LanguageModel(WORDS, EMBEDDING, UNITS)
    model(arrays["words"][0, :1, :-1])  # makes the weights
    model.set_weights(weights)
    loss_of, optimizer = qn.losses.SparseCategoricalCrossentropy(), qn.optimizers.Adam(1e-3, epsilon=1e-12)

    @qn.function
    def step(x, y, state):
        with qn.GradientTape() as tape:
            probabilities, state = model(x, state=state, return_state=True)
            loss = loss_of(y, probabilities)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss, state

    state = qn.ops.zeros((BATCH, UNITS))
    while True:
        for some in arrays["words"]:
            loss, state = step(some[:, :-1], some[:, 1:], state)
            yield loss


def torch_steps(arrays, weights, threads, compiled):
    """The same with torch: logits and cross_entropy, the fused Adam, denormals flushed."""
    import torch

    torch.set_flush_denormal(True)
    torch.set_num_threads(threads)
    weights = [torch.from_numpy(w) for w in weights]

    def gates(w):  # Keras: update, reset, new; torch: reset, update, new, each row a unit
        z, r, n = w.split(UNITS, dim=-1)
        return torch.cat([r, z, n], dim=-1)

    embedding, gru = torch.nn.Embedding(WORDS, EMBEDDING), torch.nn.GRU(EMBEDDING, UNITS, batch_first=True)
    hidden, last = torch.nn.Linear(UNITS, UNITS), torch.nn.Linear(UNITS, WORDS)
    values = [weights[0], gates(weights[1]).T, gates(weights[2]).T, gates(weights[3][0]), gates(weights[3][1])]
    values += [weights[4].T, weights[5], weights[6].T, weights[7]]
    places = [embedding.weight, *gru.parameters(), hidden.weight, hidden.bias, last.weight, last.bias]
    with torch.no_grad():
        for place, value in zip(places, values):
            place.copy_(value)
    optimizer = torch.optim.Adam(places, 1e-3, eps=1e-12, fused=True)

    def loss_of(x, y, state):
        h, state = gru(embedding(x), state)
        z = last(torch.relu(hidden(h)))
        return torch.nn.functional.cross_entropy(z.flatten(0, 1), y.flatten()), state

    loss_of = torch.compile(loss_of) if compiled else loss_of
    state = torch.zeros(1, BATCH, UNITS)
    while True:
        for some in torch.from_numpy(arrays["words"].astype("int64")):
            optimizer.zero_grad(set_to_none=True)
            loss, state = loss_of(some[:, :-1], some[:, 1:], state)
            state = state.detach()
            loss.backward()
            optimizer.step()
            yield loss.detach()


def resident(name):
    """Megabytes by a name of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))


def work(name, path, threads):
    """A contestant: does as many steps as each line on stdin says."""
    import time

    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])  # the only limit that every framework obeys
    reply = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    with np.load(path) as file:
        arrays = dict(file)
    weights = [arrays[f"w{i}"] for i in range(len(arrays) - 1)]
    try:
        steps = (quernel_steps(arrays, weights, threads) if name == "quernel"
                 else torch_steps(arrays, weights, threads, name == "torch compile"))  # fmt: skip
        losses = [float(next(steps)) for _ in range(4)]
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), file=reply)
        return
    print(json.dumps({"losses": losses}), file=reply)
    for line in sys.stdin:
        start = time.perf_counter()
        for _ in range(int(line)):
            loss = next(steps)
        float(loss)
        seconds = (time.perf_counter() - start) / int(line)
        print(json.dumps({"ms": 1e3 * seconds, "now": resident("VmRSS"), "most": resident("VmHWM")}), file=reply)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3, help="of each contestant in a round")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--python", action="append", default=[], metavar="NAME=PATH", help="quernel, torch")
    parser.add_argument("--json", help="write all numbers here")
    parser.add_argument("--work", nargs=2, metavar=("NAME", "ARRAYS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(*options.work, options.threads)
        return
    pythons = dict(pair.split("=", 1) for pair in options.python)
    found, results = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "arrays.npz")
        np.savez(path, **make_arrays())
        for name, package in CONTESTANTS.items():
            command = [pythons.get(package, sys.executable), __file__, "--threads", str(options.threads)]
            process = subprocess.Popen([*command, "--work", name, path], stdin=-1, stdout=-1, text=True, bufsize=1)
            line = process.stdout.readline()
            first = json.loads(line) if line else {"missing": f"it ended with {process.wait()}"}
            if "missing" in first:
                print(f"{name}: does not run ({first['missing']})")
                continue
            print(f"{name}: losses {', '.join(f'{loss:.4f}' for loss in first['losses'])}", flush=True)
            found[name], results[name] = process, []
        for turn in range(options.rounds):
            for name in found if turn % 2 == 0 else reversed(found):
                found[name].stdin.write(f"{options.steps}\n")
                results[name].append(json.loads(found[name].stdout.readline()))
        for process in found.values():
            process.stdin.close()
            process.wait()
    for name, rounds in results.items():
        ms = statistics.median(r["ms"] for r in rounds)
        ratios = [r["ms"] / o["ms"] for r, o in zip(rounds, results.get("quernel", rounds))]
        print(f"{name:<14}{ms:6.0f} ms a step ({min(r['ms'] for r in rounds):.0f} to {max(r['ms'] for r in rounds):.0f}), "
              f"{GFLOP / ms * 1e3:4.0f} GFLOP/s, {rounds[-1]['now']:5.0f} MB resident, {rounds[-1]['most']:5.0f} at most"
              f"{f'; quernel is {statistics.median(ratios):.2f} times as fast' if name != 'quernel' else ''}")  # fmt: skip
    if options.json:
        Path(options.json).write_text(json.dumps({"threads": options.threads, "results": results}, indent=1))


if __name__ == "__main__":
    main()
