"""`quernel demo`: the textbook digit classifier, trained on the handwritten digits of the package."""

import importlib.util
import math
import time

import numpy as np

from .. import backend
from ..datasets import mnist_sample

PICTURE = "quernel-demo.png"
BATCH = 64


def build_model():
    """The network: three convolutions, two poolings, two dense layers; 93,322 parameters.

    Source: Chollet, Deep Learning with Python, second edition, section 8.1.
    """
    import quernel as qn

    layers = qn.layers
    return qn.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ],
        name="digits",
    )


def demo(options):
    """Trains, evaluates, draws; returns 0, or 1 when the loss became NaN."""
    import quernel as qn

    if options.backend:
        backend.set_backend(options.backend, "--backend")
    if options.threads:
        backend.set_num_threads(options.threads)
    qn.utils.set_random_seed(options.seed)
    (x_train, y_train), (x_test, y_test) = mnist_sample.load_data()
    x_train = x_train[..., None].astype("float32") / 255
    x_test = x_test[..., None].astype("float32") / 255

    model = build_model()
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.summary()
    where = f"{backend.backend()} kernels"
    if backend.backend() == "native":
        where += f", instruction set {backend.isa()}, {backend.get_num_threads()} threads ({backend.thread_source()})"
    print(f"{len(x_train)} training and {len(x_test)} test images, batch {BATCH}, seed {options.seed}; {where}")

    started = time.perf_counter()
    history = model.fit(x_train, y_train, batch_size=BATCH, epochs=options.epochs).history
    seconds = time.perf_counter() - started
    steps = options.epochs * math.ceil(len(x_train) / BATCH)
    print(
        f"trained {options.epochs} epochs in {seconds:.1f} s: {1000 * seconds / steps:.2f} ms per step, "
        f"{options.epochs * len(x_train) / seconds:.0f} images per second"
    )
    probabilities = model.predict(x_test, batch_size=256, verbose=0)
    _, accuracy = model.evaluate(x_test, y_test, batch_size=256, verbose=0)
    if any(math.isnan(v) for v in history["loss"]) or np.isnan(probabilities).any():
        print("the loss became NaN")
        return 1
    if not options.no_plot:
        if importlib.util.find_spec("matplotlib") is None:
            print(f"no {PICTURE}: drawing needs matplotlib (pip install 'quernel[viz]')")
        else:
            draw(history, x_test, y_test, probabilities)
            print(f"wrote {PICTURE}")
    print(f"test accuracy {100 * accuracy:.2f} %")
    return 0


def draw(history, images, labels, probabilities, path=PICTURE):
    """Writes a picture: loss and accuracy by epoch, and a grid of test digits with predictions, wrong ones marked in red."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    predictions = probabilities.argmax(axis=-1)
    wrong = np.flatnonzero(predictions != labels)
    right = np.flatnonzero(predictions == labels)
    shown = np.concatenate([wrong[:20], right[: 40 - min(len(wrong), 20)]])
    figure = Figure(figsize=(13, 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    curves, grid = figure.subfigures(1, 2, width_ratios=(1, 1.7))
    epochs = np.arange(1, len(history["loss"]) + 1)
    for axes, key in zip(curves.subplots(2, 1, sharex=True), ("loss", "accuracy")):
        axes.plot(epochs, history[key], marker="o", markersize=4)
        axes.set_ylabel(f"training {key}")
        axes.grid(alpha=0.3)
    axes.set_xlabel("epoch")
    axes.xaxis.get_major_locator().set_params(integer=True)
    grid.suptitle(
        f"{len(wrong)} of {len(labels)} test digits are wrong; the first {min(len(wrong), 20)} are marked in red",
        fontsize=11,
    )
    for i, axes in enumerate(grid.subplots(4, 10).flat):
        axes.set_axis_off()
        if i >= len(shown):
            continue
        at = shown[i]
        bad = predictions[at] != labels[at]
        axes.imshow(images[at, :, :, 0], cmap="gray_r")
        axes.set_title(
            f"{predictions[at]} (is {labels[at]})" if bad else f"{predictions[at]}",
            color="crimson" if bad else "black",
            fontsize=9,
        )
    figure.savefig(path, dpi=110)
