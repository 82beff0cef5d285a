"""One eager training step of the digit network, batch 64, beside PyTorch's, interleaved.

    python bench/step.py [--rounds 7] [--steps 20] [--threads N] [--json FILE]

A step is: forward, sparse categorical cross-entropy, gradients, Adam (PyTorch: zero_grad, forward, cross_entropy,
backward, Adam).
The steps walk through the 4,000 images: on one batch repeated the loss dies out, and subnormal gradients slow PyTorch,
not quernel.
Each round times a block of steps of every contestant in turn and a sentinel, a 256-cubed gemm on one thread from L2, whose speed
shows how noisy the machine was. PyTorch runs at its best: same threads, contiguous and channels_last both, set_to_none.
"""

import argparse
import itertools
import json
import os
import statistics
import time

os.environ.setdefault(
    "OMP_PROC_BIND", "true"
)  # without it a thread waits about 1 ms after torch's backward (one libgomp)

import numpy as np

BATCH = 64


def data():
    """All training batches of the digits, 62 of 64 images."""
    from quernel.datasets import mnist_sample

    (x, y), _ = mnist_sample.load_data()
    x, y = x[..., None].astype("float32") / 255, y.astype("int32")
    return [(x[i : i + BATCH], y[i : i + BATCH]) for i in range(0, len(x) - BATCH + 1, BATCH)]


def quernel_step():
    import quernel as qn
    from quernel.cli.demo import build_model

    batches = itertools.cycle(data())
    model = build_model()
    optimizer = qn.optimizers.Adam()
    loss_of = qn.losses.SparseCategoricalCrossentropy()

    def step():
        x, y = next(batches)
        with qn.GradientTape() as tape:
            loss = loss_of(y, model(x, training=True))
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    return step


def torch_step(channels_last):
    import torch

    layout = torch.channels_last if channels_last else torch.contiguous_format
    prepared = [
        (torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=layout), torch.from_numpy(y).long())
        for x, y in data()
    ]
    batches = itertools.cycle(prepared)
    nn = torch.nn
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten(), nn.Linear(576, 64), nn.ReLU(), nn.Linear(64, 10),
    ).to(memory_format=layout)  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters())

    def step():
        x, y = next(batches)
        optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def sentinel():
    import quernel as qn

    a = np.ones((256, 256), "float32")

    def step():
        return qn.kernels.gemm(a, a)

    return step


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--steps", type=int, default=20)
    options.add_argument("--threads", type=int)
    options.add_argument("--json")
    options = options.parse_args()
    import quernel as qn

    threads = options.threads or qn.get_num_threads()
    qn.set_num_threads(threads)
    contestants = {"quernel": quernel_step()}
    try:
        import torch
    except ImportError:
        print("torch is not installed: quernel alone")
    else:
        torch.set_num_threads(threads)
        contestants["torch contiguous"] = torch_step(False)
        contestants["torch channels_last"] = torch_step(True)
        print(f"torch {torch.__version__}")
    print(
        f"quernel {qn.__version__}, {qn.backend.isa()}, {threads} threads; {options.rounds} rounds of {options.steps} steps"
    )
    contestants["sentinel"] = sentinel()
    times = {name: [] for name in contestants}
    for step in contestants.values():
        for _ in range(5):
            step()
    for _ in range(options.rounds):
        for name, step in contestants.items():
            for _ in range(2):  # a peer's sleeping threads wake outside the clock
                step()
            samples = []
            for _ in range(options.steps):
                start = time.perf_counter()
                step()
                samples.append(time.perf_counter() - start)
            times[name].append(statistics.median(samples) * 1e3)
    medians = {name: statistics.median(rounds) for name, rounds in times.items()}
    for name, rounds in times.items():
        ratio = f"  quernel takes {medians['quernel'] / medians[name]:.2f} of it" if name.startswith("torch") else ""
        print(f"{name:<20} median {medians[name]:7.3f} ms  min {min(rounds):7.3f}  max {max(rounds):7.3f}{ratio}")
    gflops = 2 * 256**3 / medians["sentinel"] / 1e6
    print(
        f"sentinel: {gflops:.0f} GFLOP/s in the median round, {2 * 256**3 / min(times['sentinel']) / 1e6:.0f} in the best"
    )
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"threads": threads, "isa": qn.backend.isa(), "ms": times}, file, indent=1)


if __name__ == "__main__":
    main()
