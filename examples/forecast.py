"""Forecasts of a real series: carbon dioxide in the air over Mauna Loa, week by week from 1958 to 2001.

From the last two years an LSTM forecasts the half year that follows; it is trained on the first 33 years and tested on the
rest. Beside it: the last value again, the same weeks a year ago plus that year's growth, and ridge regression. The series comes
with statsmodels (pip install statsmodels).

    python examples/forecast.py
"""

import argparse

import numpy as np
from sklearn.linear_model import Ridge

import quernel as qn

GIVEN, FUTURE, YEAR = 104, 26, 52  # weeks
SPLIT = 1991


def series():
    """(parts per million of each week, its year); weeks without a measurement lie on a line between their neighbours."""
    from statsmodels.datasets import co2

    data = co2.load_pandas().data["co2"].interpolate()
    return data.to_numpy(), data.index.year.to_numpy()


def windows(values):
    """(n, GIVEN) weeks and the (n, FUTURE) after them, both as differences to the last week given."""
    rows = np.lib.stride_tricks.sliding_window_view(values, GIVEN + FUTURE)
    rows = rows - rows[:, GIVEN - 1 : GIVEN]
    return rows[:, :GIVEN], rows[:, GIVEN:]


def build(units):
    """An LSTM that reads (n, GIVEN, 1) and writes (n, FUTURE)."""
    model = qn.Sequential([qn.layers.Input((GIVEN, 1)), qn.layers.LSTM(units), qn.layers.Dense(FUTURE)])
    model.compile(qn.optimizers.Adam(0.003, clipnorm=1.0), "mse")
    return model


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)

    qn.utils.set_random_seed(options.seed)
    values, years = series()
    given, future = windows(values[years < SPLIT])
    new_given, new_future = windows(values[years >= SPLIT])
    scale = given.std()

    model = build(options.units)
    model.fit((given / scale)[..., None], future / scale, batch_size=64, epochs=options.epochs, verbose=2)
    forecasts = {
        "the last week again": np.zeros_like(new_future),
        "a year ago, and its growth": new_given[:, GIVEN - YEAR : GIVEN - YEAR + FUTURE]
        - new_given[:, [GIVEN - YEAR - 1]],
        "ridge regression": Ridge(1.0).fit(given, future).predict(new_given),
        "LSTM": model.predict((new_given / scale)[..., None], verbose=0) * scale,
    }
    errors = {name: float(np.sqrt(np.mean((found - new_future) ** 2))) for name, found in forecasts.items()}
    print(
        f"\nroot mean squared error of {FUTURE} weeks, parts per million, {len(new_future)} forecasts from {SPLIT} on:"
    )
    for name, error in errors.items():
        print(f"{error:.3f}  {name}")
    return errors


if __name__ == "__main__":
    main()
