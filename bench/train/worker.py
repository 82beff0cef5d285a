"""A peer in a process of its own: builds one model, then trains when told to, by lines of JSON on stdin and stdout.

    python worker.py MODULE VARIANT MODEL ARRAYS.npz THREADS

run.py starts it; by hand it is useful for a profiler. MODULE is a file peer_<MODULE>.py with a class Peer:
`Peer(model, x, y, weights, variant, threads)`, `version`, `train(epochs, in_order=False)`, which returns when the last step is
done, `warm()`, `reset()`, `get_weights()`, `predictor()`: a function of an array of rows that returns a NumPy array.
"""

import importlib
import json
import os
import sys
import threading
import time

import numpy as np
from models import MODELS


def open_reply():
    """A file on the real stdout; what the frameworks print goes to stderr."""
    reply = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return reply


def call_rates(call, row, seconds, threads):
    """Calls per second of each of some Python threads that call side by side."""
    rates, together = [0.0] * threads, threading.Barrier(threads)

    def loop(rank):
        together.wait()
        done, start = 0, time.perf_counter()
        while (passed := time.perf_counter() - start) < seconds:
            for _ in range(10):
                call(row)
            done += 10
        rates[rank] = done / passed

    loops = [threading.Thread(target=loop, args=(rank,)) for rank in range(threads)]
    for thread in loops:
        thread.start()
    for thread in loops:
        thread.join()
    return rates


def main():
    module, variant, name, arrays, threads = sys.argv[1:]
    threads = int(threads)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])  # the only limit that every framework obeys
    reply = open_reply()
    model = MODELS[name]
    with np.load(arrays) as file:
        x, y, weights = file["x"], file["y"], [file[key] for key in sorted(file) if key.startswith("w")]
    try:
        Peer = importlib.import_module(f"peer_{module}").Peer
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), file=reply)
        return
    peer = Peer(model, x, y, weights, variant, threads)
    print(json.dumps({"version": peer.version}), file=reply)
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "predict":  # calls per second of each thread, for one row
            predict, row = peer.predictor(), x[:1].copy()
            for _ in range(20):
                predict(row)
            rates = call_rates(predict, row, request["seconds"], request["threads"])
            print(json.dumps({"rates": rates}), file=reply)
            continue
        peer.reset()
        if request["do"] == "train":  # seconds of some epochs
            peer.warm()
            start = time.perf_counter()
            peer.train(request["epochs"])
            print(json.dumps({"seconds": time.perf_counter() - start}), file=reply)
        else:  # "weights" after one epoch in the arrays' order
            peer.train(1, in_order=True)
            np.savez(request["file"], *peer.get_weights())
            print(json.dumps({}), file=reply)


if __name__ == "__main__":
    main()
