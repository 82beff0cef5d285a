"""Cases of batch normalization: training, inference, gradient."""

import math

import numpy as np

from ..case import Case, given, normal, terms, uniform

CHAIN = 80  # terms one after the other in the tree of csrc/fold/columns.hpp: chains of 64, then logarithms


def _largest(a):
    return 0.0 if a is None else float(np.max(np.abs(a), initial=0.0))


def _train_scale(eps):
    """Bound of y, mean and variance: |x| scaled by gamma / sqrt(variance + epsilon), |beta|, and |x| squared."""

    def scale(inputs):
        x, gamma, beta = inputs
        rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1]).astype(np.float64)
        if not rows.size:
            return 1.0
        steep = 1 / math.sqrt(float(np.min(np.var(rows, axis=0))) + eps)
        size = _largest(x)
        normal_size = (1.0 if gamma is None else _largest(gamma)) * size * steep
        return normal_size * (1 + size * size * steep * steep / CHAIN) + _largest(beta) + size * size

    return scale


def _inference_scale(eps):
    def scale(inputs):
        x, mean, variance, gamma, beta = inputs
        steep = 1 / math.sqrt(float(np.min(variance, initial=np.inf)) + eps) if variance.size else 1.0
        return (_largest(x) + _largest(mean)) * steep * (1.0 if gamma is None else _largest(gamma)) + _largest(beta)

    return scale


def _dx_scale(eps):
    def scale(inputs):
        dy, x, mean, variance, gamma = inputs
        if not variance.size:
            return 1.0
        steep = 1 / math.sqrt(float(np.min(variance)) + eps)
        h = (_largest(x) + _largest(mean)) * steep
        rows = math.prod(x.shape[:-1])
        return _largest(dy) * (1 + h) * (rows + steep * (1.0 if gamma is None else _largest(gamma)) * (1 + h))

    return scale


def _trio(name, shape, gamma=True, beta=True, epsilon=1e-3, x=None, tiny=False):
    c = shape[-1]
    x = normal(*shape, mean=0.5) if x is None else x
    attrs = {"epsilon": epsilon}
    scale = uniform(c, low=0.5, high=2.0) if gamma else None
    shift = normal(c) if beta else None
    mean, variance = normal(c), uniform(c, low=0.5, high=2.0)
    return [
        Case("batch_norm_train", name, (x, scale, shift), attrs, terms(CHAIN, _train_scale(epsilon)),
             grad=0 not in shape[:-1], tiny=tiny),  # the mean of no row is NaN, and so are its differences
        Case("batch_norm_inference", name, (x, mean, variance, scale, shift), attrs,
             terms(8, _inference_scale(epsilon)), tiny=tiny),
        Case("batch_norm_dx", name, (normal(*shape), x, mean, variance, scale), attrs,
             terms(CHAIN, _dx_scale(epsilon)), tiny=tiny),
    ]  # fmt: skip


CASES = [
    *_trio("tiny", (2, 3, 2), tiny=True),
    *_trio("bare", (4, 5, 3), gamma=False, beta=False),
    *_trio("scale_only", (9, 7), beta=False),
    *_trio("offset_only", (9, 7), gamma=False),
    *_trio("image", (4, 11, 11, 64), epsilon=1e-5),
    *_trio("channels_33", (3, 5, 7, 33)),
    *_trio("channels_100", (130, 100)),
    *_trio("one_channel", (70, 70, 1)),  # 64 lanes of one channel, two chunks
    *_trio("three_channels", (2, 40, 41, 3)),
    *_trio("many_chunks", (1500, 10)),
    *_trio("vector", (5,)),  # no row axis: one row
    *_trio("one_row", (1, 6)),
    *_trio("no_rows", (0, 4)),
    *_trio("no_channels", (3, 0)),
    *_trio("constant", (6, 2), x=given([[3.0, -1.0]] * 6)),  # variance 0
]
_IMAGES = normal(64, 26, 26, 32)
SPEED = [
    Case("batch_norm_train", "26x26x32", (_IMAGES, normal(32), normal(32))),
    Case("batch_norm_dx", "26x26x32", (_IMAGES, _IMAGES, normal(32), uniform(32, low=0.5), normal(32))),
    Case("batch_norm_inference", "26x26x32", (_IMAGES, normal(32), uniform(32, low=0.5), normal(32), normal(32))),
    Case("batch_norm_train", "56x56x256", (normal(4, 56, 56, 256), normal(256), normal(256))),
    Case("batch_norm_train", "64x128", (normal(64, 128), normal(128), normal(128))),
    Case("batch_norm_dx", "64x128",
         (normal(64, 128), normal(64, 128), normal(128), uniform(128, low=0.5), normal(128))),
]  # fmt: skip
