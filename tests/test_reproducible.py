"""The same weights after training, bit for bit, for any number of threads and on avx2 and avx512; batch size 1 equals a row."""

import hashlib

import numpy as np
import pytest

import quernel as qn
from quernel import layers
from quernel.testing import each_isa

FMA_ISAS = [e for e in each_isa() if e.isa != "base"]
pytestmark = pytest.mark.skipif(not FMA_ISAS, reason="no FMA instruction set here")


def digest(model):
    h = hashlib.sha256()
    for w in model.get_weights():
        h.update(w.tobytes())
    return h.hexdigest()


def digits(count=96):
    (x, y), _ = qn.datasets.mnist_sample.load_data()
    return x[:count, ..., None].astype("float32") / 255, y[:count]


def convolutional():
    return qn.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(2),
            layers.DepthwiseConv2D(3, padding="same", activation="relu"),
            layers.Conv2D(17, 3, strides=2, activation="relu"),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(33, activation="tanh"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def dense():
    return qn.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Flatten(),
            layers.Dense(65, activation="gelu"),
            layers.Dense(31, activation="sigmoid"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def trained(build):
    qn.utils.set_random_seed(3)
    model = build()
    model.compile("adam", "sparse_categorical_crossentropy")
    x, y = digits()
    model.fit(x, y, batch_size=40, epochs=2, verbose=0)
    return model


@pytest.mark.parametrize("build", [convolutional, dense])
def test_weight_hashes(build, sharing):
    hashes = {}
    for engine in FMA_ISAS:
        for threads in (1, 2, 3, 7):
            with engine:
                qn.set_num_threads(threads)
                hashes[str(engine), threads] = digest(trained(build))
    assert len(set(hashes.values())) == 1, hashes


def test_the_seed_matters():
    first = digest(trained(dense))
    qn.utils.set_random_seed(4)
    model = dense()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(*digits(), batch_size=40, epochs=2, verbose=0)
    assert digest(model) != first


@pytest.mark.parametrize("build", [convolutional, dense])
def test_one_row_equals_its_row_in_a_batch(build):
    model = trained(build)
    x, _ = digits()
    whole = model.predict(x, batch_size=96, verbose=0)
    for i in (0, 1, 50, 95):
        assert np.array_equal(model.predict(x[i : i + 1], verbose=0)[0], whole[i])
