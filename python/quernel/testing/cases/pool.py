"""Cases of pooling: windowed and global, forward and backward."""

import math

import numpy as np

from ... import kernels
from ...kernels.window import outputs, sliding, taps
from ..case import Case, distinct, exact, given, normal, terms

# name, x's shape, attributes
WINDOWS = [
    ("2x2", (2, 4, 6, 3), {"pool_size": 2}),
    ("odd_11", (2, 11, 11, 5), {"pool_size": 2}),  # the last row and column are dropped
    ("one_channel", (2, 7, 5, 1), {"pool_size": (2, 2)}),
    ("batch_of_the_digits", (3, 26, 26, 32), {"pool_size": 2}),
    ("channels_71", (1, 6, 6, 71), {"pool_size": 2}),
    ("overlap", (2, 7, 8, 19), {"pool_size": 3, "strides": 2}),
    ("gaps", (2, 9, 8, 3), {"pool_size": 2, "strides": 3}),
    ("same", (2, 7, 5, 18), {"pool_size": 2, "padding": "same"}),
    ("same_overlap", (2, 6, 7, 4), {"pool_size": (3, 2), "strides": (1, 2), "padding": "same"}),
    ("same_gaps", (1, 7, 8, 3), {"pool_size": (1, 2), "strides": 3, "padding": "same"}),
    ("same_wider_than_x", (2, 3, 2, 2), {"pool_size": 5, "padding": "same"}),
    ("line", (2, 9, 33), {"pool_size": 3, "strides": 2}),
    ("volume", (1, 4, 5, 6, 3), {"pool_size": 2, "strides": (2, 1, 2)}),
    ("volume_tiled", (2, 5, 4, 5, 2), {"pool_size": 2}),
    ("no_batch", (0, 4, 4, 3), {"pool_size": 2}),
    ("no_rows", (2, 0, 4, 3), {"pool_size": 2, "padding": "same"}),
    ("no_channels", (2, 4, 4, 0), {"pool_size": 2}),
]
TINY = ("overlap_tiny", (1, 4, 3, 2), {"pool_size": 2, "strides": 1, "padding": "same"})


def _axes(shape, attrs):
    return sliding("max_pool", shape, attrs["pool_size"], attrs.get("strides"), attrs.get("padding", "valid"))


def _taken(shape, attrs):
    """x and its maxima y, the maxima at infinity, where steps of x and y move no maximum; with ties."""
    axes = _axes(shape, attrs)
    rng = np.random.Generator(np.random.Philox(math.prod(shape)))
    x = rng.standard_normal(shape)
    x[rng.random(shape) < 0.4] = np.inf
    y = np.full(outputs(shape, axes), -np.inf)
    for i, o in taps(axes):
        y[o] = np.maximum(y[o], x[i])
    return x, y


def _exactly(a):
    return given(a) if a.size else normal(*a.shape)


def _max_cases(name, shape, attrs, tiny=False):
    x, y = _taken(shape, attrs)
    grad = bool(np.all(np.isinf(y)))  # elsewhere a step of x or y parts them
    pooled, overlap = y.shape, terms(math.prod(a.pool for a in _axes(shape, attrs)), scale=_of_first)
    return [
        Case("max_pool", name, (distinct(*shape),), attrs, exact, tiny=tiny),
        Case("max_pool_dx", name, (normal(*pooled), _exactly(x), _exactly(y)), attrs, overlap, grad=grad, tiny=tiny),
        Case("max_pool_gather", name, (normal(*shape), _exactly(x), _exactly(y)), attrs, exact, grad=grad, tiny=tiny),
    ]


def _of_first(inputs):
    return float(np.max(np.abs(inputs[0]), initial=0.0))


def _average_cases(name, shape, attrs, tiny=False):
    axes = _axes(shape, attrs)
    bound = terms(math.prod(a.pool for a in axes), scale=_of_first)
    dx = {**attrs, "input_shape": shape}
    return [
        Case("average_pool", name, (normal(*shape),), attrs, bound, tiny=tiny),
        Case("average_pool_dx", name, (normal(*outputs(shape, axes)),), dx, bound, tiny=tiny),
    ]


def _global_cases(name, shape, keepdims=False, tiny=False):
    small = (shape[0], *(1,) * (len(shape) - 2), shape[-1]) if keepdims else (shape[0], shape[-1])
    places = math.prod(shape[1:-1])
    attrs = {"keepdims": keepdims}
    bound = terms(min(places, 80), scale=_of_first)
    found = [  # a mean over no place is NaN, and so are its differences
        Case("global_average_pool", name, (normal(*shape),), attrs, bound, grad=places > 0, tiny=tiny),
        Case(
            "global_average_pool_dx", name, (normal(*small),), {"input_shape": shape}, bound, grad=places > 0, tiny=tiny
        ),
    ]
    if places:
        x, _ = _taken(shape, {"pool_size": shape[1:-1]})
        x[:, -1] = np.inf  # one maximum at infinity in every image and channel
        y = np.full(small, np.inf)
        found += [
            Case("global_max_pool", name, (distinct(*shape),), attrs, exact, tiny=tiny),
            Case("global_max_pool_dx", name, (normal(*small), _exactly(x), _exactly(y)), {}, exact, tiny=tiny),
        ]
    return found


CASES = [
    *(case for row in WINDOWS for case in _max_cases(*row)),
    *_max_cases(*TINY, tiny=True),
    *(case for row in WINDOWS for case in _average_cases(*row)),
    *_average_cases(*TINY, tiny=True),
    *_global_cases("tiny", (2, 2, 3, 2), tiny=True),
    *_global_cases("image", (3, 7, 7, 33), keepdims=True),
    *_global_cases("long", (1, 70, 70, 3)),  # more than one chunk of the sum's tree
    *_global_cases("line", (2, 300, 65)),
    *_global_cases("volume", (2, 3, 4, 5, 16), keepdims=True),
    *_global_cases("one_channel", (2, 5, 5, 1)),
    *_global_cases("no_batch", (0, 4, 4, 3)),
    *_global_cases("no_place", (2, 0, 4, 3)),
]


def _pooled(inputs, attrs):
    """y is the pooled x."""
    dy, x, _ = inputs
    return [dy, x, kernels.max_pool(x, **attrs)]


def _timed(name, shape, attrs):
    pooled = outputs(shape, _axes(shape, attrs))
    return [
        Case("max_pool", name, (distinct(*shape),), attrs),
        Case("max_pool_dx", name, (normal(*pooled), distinct(*shape), normal(*pooled)), attrs, settle=_pooled),
        Case("average_pool", name, (normal(*shape),), attrs),
        Case("average_pool_dx", name, (normal(*pooled),), {**attrs, "input_shape": shape}),
    ]


def _pooled_whole(inputs, attrs):
    """y holds the maxima of x's images."""
    dy, x, _ = inputs
    return [dy, x, x.max(axis=(1, 2))]


SPEED = [
    *_timed("26x26x32", (64, 26, 26, 32), {"pool_size": 2}),
    *_timed("11x11x64", (64, 11, 11, 64), {"pool_size": 2}),
    *_timed("56x56x64_3x3", (8, 56, 56, 64), {"pool_size": 3, "strides": 2, "padding": "same"}),
    Case("max_pool_gather", "11x11x64", (normal(64, 11, 11, 64), distinct(64, 11, 11, 64), normal(64, 5, 5, 64)),
         {"pool_size": 2}, settle=_pooled),
    Case("global_average_pool", "7x7x512", (normal(64, 7, 7, 512),)),
    Case("global_average_pool_dx", "7x7x512", (normal(64, 512),), {"input_shape": (64, 7, 7, 512)}),
    Case("global_max_pool", "7x7x512", (normal(64, 7, 7, 512),)),
    Case("global_max_pool_dx", "7x7x512", (normal(64, 512), distinct(64, 7, 7, 512), normal(64, 512)),
         settle=_pooled_whole),
]  # fmt: skip
