"""The demo's training, quernel beside torch eager (contiguous), as whole processes' training loops, interleaved.

    python bench/training.py [--runs 5] [--epochs 12]

Each run trains the digit network on the 4,000 images for --epochs epochs in a process of its own and prints the seconds of the
training loop (imports, data and evaluation excluded) and the test accuracy. The order alternates.
"""

import argparse
import statistics
import subprocess
import sys
import time

BATCH = 64


def scaled():
    from quernel.datasets import mnist_sample

    (x_train, y_train), (x_test, y_test) = mnist_sample.load_data()
    return x_train[..., None].astype("float32") / 255, y_train, x_test[..., None].astype("float32") / 255, y_test


def run_quernel(epochs, seed):
    import quernel as qn
    from quernel.cli.demo import build_model

    qn.utils.set_random_seed(seed)
    x_train, y_train, x_test, y_test = scaled()
    model = build_model()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    start = time.perf_counter()
    model.fit(x_train, y_train, batch_size=BATCH, epochs=epochs, verbose=0)
    seconds = time.perf_counter() - start
    return seconds, model.evaluate(x_test, y_test, verbose=0)[1]


def run_torch(epochs, seed):
    import torch

    torch.manual_seed(seed)
    nn = torch.nn
    x_train, y_train, x_test, y_test = scaled()
    x_train, x_test = (torch.from_numpy(x).permute(0, 3, 1, 2).contiguous() for x in (x_train, x_test))
    y_train, y_test = torch.from_numpy(y_train).long(), torch.from_numpy(y_test).long()
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten(), nn.Linear(576, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters())
    start = time.perf_counter()
    for _ in range(epochs):
        order = torch.randperm(len(x_train))
        total = right = 0.0
        for batch in order.split(BATCH):
            x, y = x_train[batch], y_train[batch]
            optimizer.zero_grad(set_to_none=True)
            scores = model(x)
            loss = nn.functional.cross_entropy(scores, y)
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(y)
            right += (scores.argmax(1) == y).sum()
    seconds = time.perf_counter() - start
    with torch.inference_mode():
        accuracy = (model(x_test).argmax(1) == y_test).float().mean().item()
    return seconds, accuracy


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--epochs", type=int, default=12)
    options.add_argument("--one", choices=("quernel", "torch"), help="one run in this process")
    options.add_argument("--seed", type=int, default=0)
    options = options.parse_args()
    if options.one:
        seconds, accuracy = (run_quernel if options.one == "quernel" else run_torch)(options.epochs, options.seed)
        print(f"{seconds} {accuracy}")
        return
    results = {"quernel": [], "torch": []}
    for run in range(options.runs):
        for name in results if run % 2 == 0 else reversed(results):
            command = [sys.executable, __file__, "--one", name, "--epochs", str(options.epochs), "--seed", str(run)]
            text = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
            results[name].append((float(text[-2]), float(text[-1])))
            print(
                f"run {run} {name:<8} {results[name][-1][0]:6.2f} s  test accuracy {100 * results[name][-1][1]:.2f} %",
                flush=True,
            )
    seconds = {name: statistics.median(s for s, _ in rows) for name, rows in results.items()}
    ours, theirs = seconds["quernel"], seconds["torch"]
    print(f"median: quernel {ours:.2f} s, torch {theirs:.2f} s, ratio {ours / theirs:.2f}")


if __name__ == "__main__":
    main()
