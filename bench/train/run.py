"""Whole training steps: quernel beside PyTorch, JAX and Keras, the models of models.py, each peer in a process of its own.

    python bench/train/run.py [--models linear,tiny] [--peers "quernel fit,torch"] [--rounds 7] [--threads 2]
        [--python jax=/path/to/python ...] [--json FILE] [--markdown README.md] [--load FILE ...]
        [--settings FILE]

For each model: every peer is started once with each of its settings (contestants.py), the fastest stays; its weights after one
epoch are checked by a NumPy referee; then rounds: one block of each peer in turn, the order alternating, between two runs of a
sentinel (256-cubed gemms of ours). A block starts from the initial weights. A round where a sentinel was over 15 % slower than
the run's best is dropped, or not begun where the first one was; at most three times as many rounds as asked for are tried.
"""

import argparse
import json
import os
import platform
import tempfile
import time

import numpy as np
from contestants import PEERS, Missing, best_worker, save_arrays
from models import MODELS
from table import DROP, print_model, print_run, write_markdown

import quernel as qn


def sentinel(seconds=0.06):
    """GFLOP/s of 256-cubed gemms on all threads."""
    a = np.ones((256, 256), "float32")
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for _ in range(10):
            qn.kernels.gemm(a, a)
        done += 10
    return done * 2 * 256**3 / (time.perf_counter() - start) / 1e9


def start_peers(model, options, directory):
    """([Worker], {peer: what is known of it before the rounds})."""
    path, x, y = save_arrays(model, directory)
    workers, facts = [], {}
    for peer in options.peers:
        if not PEERS[peer].variants_for(model):
            continue
        tried = {}
        try:
            variants = options.settings.get(model.name, {}).get(peer) or PEERS[peer].variants_for(model)
            worker = best_worker(peer, variants, model, path, options.threads, options.python, tried)
        except Missing as missing:
            facts[peer] = {"missing": str(missing)}
            print(
                f"  {peer}: not installed ({missing}); --python {PEERS[peer].python}=PATH names its Python", flush=True
            )
            continue
        loss = worker.loss(x, y, directory)
        facts[peer] = {"version": worker.version, "setting": worker.variant, "tried": tried, "loss": loss, "us": []}
        worker.epochs = worker.epochs_for(options.seconds)
        workers.append(worker)
        beside = f" (of {', '.join(f'{k}: {v:.1f} us' for k, v in tried.items())})" if tried else ""
        print(
            f"  {peer}: {worker.version}, setting {worker.variant}{beside}; loss after an epoch {loss:.5f}", flush=True
        )
    return workers, facts


def run_model(model, options, directory, best):
    """{"peers": facts with the times of each round, "sentinel": [GFLOP/s of each round], "refused": rounds not begun}.

    best: a list with the best sentinel's speed so far; kept up to date.
    """
    workers, facts = start_peers(model, options, directory)
    speeds, refused = [], 0
    most = 3 * options.rounds
    while sum(speed >= DROP * best[0] for speed in speeds) < options.rounds and len(speeds) + refused < most:
        before = sentinel()
        best[0] = max(best[0], before)
        if before < DROP * best[0] and refused < most - 1:  # on a machine that is never quiet one round is made anyway
            refused += 1
            time.sleep(0.5)
            continue
        for worker in workers if len(speeds) % 2 == 0 else reversed(workers):
            facts[worker.peer]["us"].append(1e6 * worker.step_time(worker.epochs))
        after = sentinel()
        best[0] = max(best[0], after)
        speeds.append(min(before, after))
    for worker in workers:
        worker.close()
    return {"peers": facts, "sentinel": speeds, "refused": refused}


def machine():
    """The processor's name."""
    with open("/proc/cpuinfo") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {len(os.sched_getaffinity(0))} cores"


def chosen_settings(path):
    """{model: {peer: (setting,)}} of an earlier run."""
    with open(path) as file:
        models = json.load(file)["models"]
    return {name: {peer: (facts["setting"],) for peer, facts in result["peers"].items() if "setting" in facts}
            for name, result in models.items()}  # fmt: skip


def load(paths):
    """The run of several --json: their models in the order of models.py, a later file's instead of an earlier one's.

    Raises:
        SystemExit: they were measured on different machines, threads or instruction sets.
    """
    run, models = None, {}
    for path in paths:
        with open(path) as file:
            part = json.load(file)
        run = run or part
        for name in ("machine", "threads", "isa"):
            if part[name] != run[name]:
                raise SystemExit(f"--load: {path} was measured with {name} {part[name]}, {paths[0]} with {run[name]}")
        models.update(part["models"])
    return {**run, "models": {name: models[name] for name in MODELS if name in models}}


def parse():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = {"models": MODELS, "peers": PEERS}
    for option, known in names.items():
        options.add_argument(f"--{option}", default=",".join(known), help=f"of {', '.join(known)}")
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--seconds", type=float, default=0.3, help="length of a block")
    options.add_argument("--threads", type=int, default=2)
    options.add_argument(
        "--python", action="append", default=[], metavar="NAME=PATH", help="quernel, torch, jax, keras"
    )
    options.add_argument("--settings", help="a --json whose settings are taken over, so that none are tried")
    options.add_argument("--json", help="write all times here")
    options.add_argument(
        "--load",
        nargs="+",
        metavar="FILE",
        help="read the times of these --json instead of measuring; of a model the last",
    )
    options.add_argument("--markdown", help="put the table between the markers in this file")
    options = options.parse_args()
    options.settings = chosen_settings(options.settings) if options.settings else {}
    options.python = dict(pair.split("=", 1) for pair in options.python)
    for option, known in names.items():
        chosen = getattr(options, option).split(",")
        if unknown := [name for name in chosen if name not in known]:
            raise SystemExit(f"--{option}: expected names of {', '.join(known)}; received {', '.join(unknown)}")
        setattr(options, option, chosen)
    return options


def main():
    options = parse()
    if options.load:
        run = load(options.load)
    else:
        qn.set_num_threads(options.threads)
        best = [sentinel(0.5)]
        run = {"machine": machine(), "threads": options.threads, "isa": qn.backend.isa(), "models": {}}
        with tempfile.TemporaryDirectory() as directory:
            for name in options.models:
                print(f"{MODELS[name].title}, batch {MODELS[name].batch}, {MODELS[name].optimizer}", flush=True)
                run["models"][name] = run_model(MODELS[name], options, directory, best)
                print_model(run, name)
    print_run(run)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(run, file, indent=1)
    if options.markdown:
        write_markdown(run, options.markdown)


if __name__ == "__main__":
    main()
