"""Labels for each step of a sequence: strips of handwritten digits, read column by column in both directions.

Two to six of scikit-learn's digits stand side by side; a bidirectional LSTM says for every column which digit it belongs
to. Strips differ in length: they are padded, the padding is masked, and neither loss nor accuracy counts it.

    python examples/sequence_labels.py
"""

import argparse

import numpy as np

import quernel as qn

PADDING = -1.0  # no pixel has this value
LONGEST = 6  # digits in a strip


def strips(images, labels, count, seed):
    """(columns (count, 48, 8), labels of the columns (count, 48)): strips of 2 to 6 digits, padded at the end."""
    rng = np.random.default_rng(seed)
    x = np.full((count, 8 * LONGEST, 8), PADDING, "float32")
    y = np.zeros((count, 8 * LONGEST), "int32")
    for i in range(count):
        chosen = rng.integers(len(images), size=rng.integers(2, LONGEST + 1))
        x[i, : 8 * len(chosen)] = np.concatenate([images[c].T for c in chosen])
        y[i, : 8 * len(chosen)] = np.repeat(labels[chosen], 8)
    return x, y


def digits():
    """Two lots of (images (n, 8, 8) with pixels between 0 and 1, labels), so that no test strip holds a training digit."""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    images, labels = (data.images / 16).astype("float32")[order], data.target[order]
    return (images[:1400], labels[:1400]), (images[1400:], labels[1400:])


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", type=int, default=48)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--strips", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)

    qn.utils.set_random_seed(options.seed)
    train, test = digits()
    x, y = strips(*train, options.strips, seed=1)
    x_test, y_test = strips(*test, 500, seed=2)

    model = qn.Sequential(
        [
            qn.Input((None, 8)),
            qn.layers.Masking(PADDING),
            qn.layers.Bidirectional(qn.layers.LSTM(options.units, return_sequences=True, dropout=0.1)),
            qn.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(
        qn.optimizers.Adam(0.005, global_clipnorm=1.0), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    model.fit(x, y, batch_size=50, epochs=options.epochs, verbose=2)
    loss, accuracy = model.evaluate(x_test, y_test, batch_size=50, verbose=0)

    counted = (x_test != PADDING).any(-1)
    found = model.predict(x_test, batch_size=50, verbose=0).argmax(-1)
    whole = ((found == y_test) | ~counted).all(-1).mean()
    print(
        f"\nheld-out strips: loss {loss:.3f}, {100 * accuracy:.2f} % of the columns right, {100 * whole:.1f} % of the strips"
    )
    first = x_test[:1, : int(counted[0].sum())]
    print("the first one alone, without padding:", model.predict(first, verbose=0).argmax(-1)[0].tolist())
    print("its labels:                          ", y_test[0][counted[0]].tolist())
    return loss, accuracy, float((found == y_test)[counted].mean())


if __name__ == "__main__":
    main()
