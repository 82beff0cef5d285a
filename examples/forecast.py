"""Forecasts of real series: handwritten digits, written from top to bottom.

Each of scikit-learn's 1,797 digits is a series of 8 rows of 8 pixels. A GRU reads the first rows and goes on by itself: its
forecast of a row is its next input, and its state goes from call to call. Beside it: the last row again, the mean of the
rows at that height, and ridge regression on all rows that were read.

    python examples/forecast.py
"""

import argparse

import numpy as np

import quernel as qn

GIVEN = 4  # rows that are read; the other four are forecast


def digits():
    """(to train on, held out): rows of pixels between 0 and 1, (n, 8, 8), in a fixed order."""
    from sklearn.datasets import load_digits

    images = (load_digits().images / 16).astype("float32")
    images = images[np.random.default_rng(0).permutation(len(images))]
    return images[:1400], images[1400:]


class Forecaster(qn.Model):
    """Rows (n, t, 8) -> for each of them the row that follows, and the state: a GRU whose output is a change of the row."""

    def __init__(self, units):
        super().__init__()
        self.gru = qn.layers.GRU(units, return_sequences=True, return_state=True)
        self.change = qn.layers.Dense(8)

    def call(self, rows, state=None):
        hidden, state = self.gru(rows, initial_state=state)
        return rows + self.change(hidden), state


class Trained(qn.Model):
    """The forecasts alone, for fit."""

    def __init__(self, forecaster):
        super().__init__()
        self.forecaster = forecaster

    def call(self, rows):
        return self.forecaster(rows)[0]


def go_on(forecaster, rows, steps):
    """`steps` forecasts after the rows, (n, steps, 8)."""
    following, state = forecaster(rows)
    forecasts = [following[:, -1:]]
    while len(forecasts) < steps:
        following, state = forecaster(forecasts[-1], state=state)
        forecasts.append(following)
    return np.clip(qn.ops.concatenate(forecasts, axis=1).numpy(), 0, 1)


def ridge(train, test, strength=1.0):
    """Linear forecasts of all rows to come from all rows read."""
    n, m = len(train), len(test)
    a = np.c_[train[:, :GIVEN].reshape(n, -1), np.ones(n)].astype("float64")
    w = np.linalg.solve(a.T @ a + strength * np.eye(a.shape[1]), a.T @ train[:, GIVEN:].reshape(n, -1))
    found = np.c_[test[:, :GIVEN].reshape(m, -1), np.ones(m)] @ w
    return np.clip(found.reshape(m, 8 - GIVEN, 8), 0, 1)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)

    qn.utils.set_random_seed(options.seed)
    train, test = digits()
    forecaster = Forecaster(options.units)
    model = Trained(forecaster)
    model.compile(qn.optimizers.Adam(0.005, global_clipnorm=1.0), "mse")
    model.fit(train[:, :-1], train[:, 1:], batch_size=50, epochs=options.epochs, verbose=2)

    future = test[:, GIVEN:]
    forecasts = {
        "the last row again": np.repeat(test[:, GIVEN - 1 : GIVEN], 8 - GIVEN, axis=1),
        "the mean of the rows there": np.broadcast_to(train[:, GIVEN:].mean(0), future.shape),
        "ridge regression": ridge(train, test),
        "GRU": go_on(forecaster, test[:, :GIVEN], 8 - GIVEN),
    }
    errors = {name: float(np.sqrt(np.mean((found - future) ** 2))) for name, found in forecasts.items()}
    print(f"\nroot mean squared error of rows {GIVEN + 1} to 8 of {len(test)} held-out digits:")
    for name, error in errors.items():
        print(f"{error:.4f}  {name}")
    return errors


if __name__ == "__main__":
    main()
