"""Cold processes: start, import, build, 100 steps of a 10-10-1 network; the wall time of the whole process, from outside.

    python bench/train/cold.py [--runs 9] [--threads 2] [--python jax=/path/to/python ...] [--json FILE]

Interleaved, the order alternating, medians. A first round that is not counted fills the page cache and the files that a package
keeps of its own accord.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

DATA = """
import numpy as np
rng = np.random.default_rng(0)
x = rng.standard_normal((10000, 10), dtype="float32")
y = (x.sum(axis=1, keepdims=True) > 0).astype("float32")
"""
PROGRAMS = {
    "quernel": """
import quernel as qn
from quernel import layers
model = qn.Sequential([layers.Input((10,)), layers.Dense(10, activation="relu"), layers.Dense(1, activation="sigmoid")])
model.compile(qn.optimizers.SGD(0.1), "binary_crossentropy")
loss = model.fit(x, y, batch_size=100, epochs=1, verbose=0).history["loss"][-1]
""",
    "torch": """
import torch
torch.set_num_threads(THREADS)
model = torch.nn.Sequential(torch.nn.Linear(10, 10), torch.nn.ReLU(), torch.nn.Linear(10, 1))
optimizer = torch.optim.SGD(model.parameters(), 0.1, foreach=False)
loss_of = torch.nn.functional.binary_cross_entropy_with_logits
total = 0
for a, b in zip(torch.from_numpy(x).split(100), torch.from_numpy(y).split(100)):
    optimizer.zero_grad()
    loss = loss_of(model(a), b)
    loss.backward()
    optimizer.step()
    total += loss.detach()
loss = total.item() / 100
""",
    "jax": """
import jax, jax.numpy as jnp
from functools import partial
weights = [rng.uniform(-.5, .5, (10, 10)).astype("float32"), np.zeros(10, "float32"),
           rng.uniform(-.7, .7, (10, 1)).astype("float32"), np.zeros(1, "float32")]
def loss_of(w, a, b):
    z = jax.nn.relu(a @ w[0] + w[1]) @ w[2] + w[3]
    return jnp.mean(jnp.logaddexp(0, z) - z * b)
@partial(jax.jit, donate_argnums=0)
def step(w, a, b):
    loss, g = jax.value_and_grad(loss_of)(w, a, b)
    return [v - 0.1 * d for v, d in zip(w, g)], loss
losses = []
for i in range(0, 10000, 100):
    weights, loss = step(weights, x[i:i + 100], y[i:i + 100])
    losses.append(loss)
loss = float(np.mean(losses))
""",
    "keras": """
import os
os.environ["KERAS_BACKEND"] = "tensorflow"
import keras
from keras import layers
model = keras.Sequential([layers.Input((10,)), layers.Dense(10, activation="relu"), layers.Dense(1, activation="sigmoid")])
model.compile(keras.optimizers.SGD(0.1), "binary_crossentropy", jit_compile=False)
loss = model.fit(x, y, batch_size=100, epochs=1, verbose=0).history["loss"][-1]
""",
}  # fmt: skip
IMPORTS = {"quernel": "quernel", "torch": "torch", "jax": "jax", "keras": "keras, tensorflow"}


def run(python, program, threads):
    """(seconds, what it printed)."""
    command = [python, "-c", program.replace("THREADS", str(threads))]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "QUERNEL_NUM_THREADS": str(threads)}
    cores = sorted(os.sched_getaffinity(0))[:threads]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=environment,
                          preexec_fn=lambda: os.sched_setaffinity(0, cores))  # fmt: skip
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:2])} ... failed:\n{done.stderr[-2000:]}")
    return seconds, done.stdout.split()


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--runs", type=int, default=9)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument(
        "--python", action="append", default=[], metavar="NAME=PATH", help="quernel, torch, jax, keras"
    )
    options.add_argument("--json")
    options = options.parse_args()
    pythons = dict(pair.split("=", 1) for pair in options.python)
    peers, times = {}, {}
    for name, program in PROGRAMS.items():
        python = pythons.get(name, sys.executable)
        if subprocess.run([python, "-c", f"import {IMPORTS[name]}"], capture_output=True).returncode:
            print(f"{name}: not installed in {python}; --python {name}=PATH names its Python")
            continue
        peers[name], times[name] = (python, DATA + program + "\nprint(loss)"), []
    for turn in range(options.runs + 1):
        for name in peers if turn % 2 == 0 else reversed(peers):
            seconds, printed = run(*peers[name], options.threads)
            if turn:
                times[name].append(seconds)
            else:
                print(f"{name}: mean loss of the 100 steps {float(printed[-1]):.4f}")
    medians = {name: statistics.median(samples) for name, samples in times.items()}
    for name, samples in times.items():
        ratio = f"  quernel is {medians[name] / medians['quernel']:.1f} times as fast" if "quernel" in medians else ""
        print(f"{name:<8} median {medians[name]:6.3f} s  ({min(samples):.3f} to {max(samples):.3f})"
              f"{ratio if name != 'quernel' else ''}")  # fmt: skip
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"threads": options.threads, "seconds": times}, file, indent=1)


if __name__ == "__main__":
    main()
