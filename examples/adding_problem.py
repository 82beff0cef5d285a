"""The adding problem: a GRU and an LSTM learn to remember.

Each step of a sequence is a number between 0 and 1 and a mark. Two steps are marked, one in each half; the answer, after
the last step, is the sum of their two numbers. Who answers 1 errs by 1/6 in the mean of squares; who answers below 0.005
has found both numbers and carried them over the whole sequence.

    python examples/adding_problem.py

Source: S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9, 1997, section 5.4; with one
mark in each half as in Q. Le, N. Jaitly and G. Hinton, "A simple way to initialize recurrent networks", 2015.
"""

import argparse
import time

import numpy as np

import quernel as qn

SOLVED = 0.005


def sequences(count, steps, seed):
    """(x, y): x (count, steps, 2) holds numbers and marks, y (count, 1) the sums of the marked numbers."""
    rng = np.random.default_rng(seed)
    x = np.zeros((count, steps, 2), "float32")
    x[:, :, 0] = rng.random((count, steps))
    row = np.arange(count)
    x[row, rng.integers(0, steps // 2, count), 1] = 1
    x[row, rng.integers(steps // 2, steps, count), 1] = 1
    return x, (x[:, :, 0] * x[:, :, 1]).sum(axis=1, keepdims=True)


def learn(kind, options):
    """The mean squared error on held-out sequences, and the number of training steps."""
    qn.utils.set_random_seed(options.seed)
    cell = {"gru": qn.layers.GRU, "lstm": qn.layers.LSTM}[kind]
    model = qn.Sequential([qn.Input((options.steps, 2)), cell(options.units), qn.layers.Dense(1)])
    model.compile(qn.optimizers.Adam(options.rate, clipnorm=1.0), "mse")
    held_out = sequences(2000, options.steps, seed=options.seed + 1_000_000)
    begin, error = time.perf_counter(), float("inf")
    for chapter in range(options.chapters):
        x, y = sequences(10_000, options.steps, seed=options.seed + chapter)
        model.fit(x, y, batch_size=options.batch, epochs=1, verbose=0)
        error = model.evaluate(*held_out, batch_size=500, verbose=0)
        done = int(model.optimizer.iterations)
        print(
            f"{kind}: {done:6d} steps, {time.perf_counter() - begin:6.1f} s, mean squared error {error:.5f}", flush=True
        )
        if error < SOLVED and not options.all:
            break
    return error, int(model.optimizer.iterations)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=50, help="length of a sequence")
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--rate", type=float, default=0.003)
    parser.add_argument("--chapters", type=int, default=30, help="of 10,000 fresh sequences each, at most")
    parser.add_argument("--all", action="store_true", help="go on after it is solved")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    return {kind: learn(kind, options) for kind in ("gru", "lstm")}


if __name__ == "__main__":
    main()
