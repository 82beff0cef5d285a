"""Cases of conv_forward, conv_dx, conv_dw."""

from ..case import Case, normal, terms, uniform


def _sizes(x, kernel, strides, padding, dilation):
    """Output positions of each dimension."""
    each = []
    for i, k, s, d in zip(x[1:-1], kernel, strides, dilation):
        span = (k - 1) * d + 1
        each.append(-(-i // s) if padding == "same" else max((i - span) // s + 1, 0))
    return each


def _product(sizes):
    n = 1
    for s in sizes:
        n *= s
    return n


def trio(
    name,
    x,
    kernel,
    o,
    strides=1,
    padding="valid",
    dilation_rate=1,
    groups=1,
    activation=None,
    bias=False,
    tiny=False,
):
    """A forward case and the dx and dw cases of the same convolution."""
    spatial = len(x) - 2

    def every(value):
        return value if isinstance(value, tuple) else (value,) * spatial

    w = (*kernel, x[-1] // groups, o)
    positions = _sizes(x, kernel, every(strides), padding, every(dilation_rate))
    y = (x[0], *positions, o)
    attrs = {"strides": strides, "padding": padding, "dilation_rate": dilation_rate, "groups": groups}
    taps = _product(kernel)
    k = taps * w[-2]
    squash = 1.0 if activation in ("sigmoid", "tanh") else None
    bound = terms(k + 2) if squash is None else terms(k + 6, scale=_forward_scale)
    b = uniform(o, low=1.0, high=2.0) if bias else None  # above one: a factor of the bound, and away from relu's kink
    forward = Case("conv_forward", name, (normal(*x), normal(*w), b), {**attrs, "activation": activation}, bound,
                   grad=activation != "relu", tiny=tiny)  # fmt: skip
    dx = Case(
        "conv_dx", name, (normal(*y), normal(*w)), {**attrs, "input_shape": x}, terms(taps * o // groups), tiny=tiny
    )
    sums = terms(x[0] * _product(positions))
    dw = Case("conv_dw", name, (normal(*x), normal(*y)), {**attrs, "kernel_shape": w}, sums, tiny=tiny)
    return [forward, dx, dw]


def _forward_scale(inputs):
    """The product of the largest magnitudes, at least one: sigmoid and tanh add an error of their own near one."""
    size = 1.0
    for a in inputs:
        if a is not None and a.size:
            size *= float(abs(a).max())
    return max(size, 1.0)


CASES = [
    *trio("tiny", (1, 3, 4, 2), (2, 2), 3, bias=True, tiny=True),
    *trio("one-channel", (3, 8, 9, 1), (3, 3), 5, bias=True, activation="relu"),
    *trio("three-channels-same", (2, 7, 6, 3), (3, 3), 8, padding="same", bias=True),
    *trio("even-kernel-same", (2, 6, 7, 3), (2, 4), 4, padding="same"),
    *trio("stride2-same", (2, 9, 8, 3), (3, 3), 7, strides=2, padding="same", bias=True, activation="relu"),
    *trio("stride3-gaps", (2, 11, 10, 2), (2, 2), 3, strides=3),
    *trio("strides-differ", (2, 9, 10, 3), (3, 2), 4, strides=(1, 3), padding="same"),
    *trio("dilation2", (2, 9, 11, 3), (3, 3), 4, dilation_rate=2),
    *trio("dilation-same", (2, 7, 5, 3), (3, 3), 4, padding="same", dilation_rate=(2, 3)),
    *trio("dilation-and-strides", (2, 13, 12, 2), (3, 2), 3, strides=2, padding="same", dilation_rate=3),
    *trio("groups", (2, 6, 6, 6), (3, 3), 9, groups=3, padding="same", bias=True),
    *trio("groups-each", (2, 5, 5, 4), (3, 3), 8, groups=4),
    *trio("odd", (3, 6, 7, 17), (3, 3), 33, padding="same", bias=True, activation="relu"),
    *trio("48-filters", (2, 5, 6, 5), (3, 3), 48, bias=True),
    *trio("70-filters", (2, 4, 5, 6), (2, 2), 70),
    *trio("1x1", (3, 5, 4, 7), (1, 1), 19, bias=True, activation="tanh"),
    *trio("1x1-stride2", (2, 6, 5, 4), (1, 1), 6, strides=2),
    *trio("sigmoid", (2, 5, 5, 3), (3, 3), 4, bias=True, activation="sigmoid"),
    *trio("window-is-input", (4, 5, 5, 3), (5, 5), 6, bias=True),
    *trio("window-wider-than-input-same", (2, 3, 2, 3), (5, 7), 4, padding="same"),
    *trio("600-terms", (7, 5, 5, 67), (3, 3), 20, bias=True),
    *trio("1100-terms-same", (3, 6, 6, 123), (3, 3), 35, padding="same"),
    *trio("2000-positions", (5, 21, 20, 3), (3, 3), 6, padding="same"),
    *trio("batch40-small-image", (40, 4, 4, 8), (3, 3), 16, padding="same", bias=True),
    *trio("winograd", (2, 13, 14, 32), (3, 3), 35, bias=True, activation="relu"),
    *trio("winograd-same", (3, 11, 13, 37), (3, 3), 70, padding="same", bias=True),
    *trio("winograd-gradients", (4, 13, 13, 36), (3, 3), 40, padding="same", bias=True),
    *trio("winograd-rim", (1, 13, 13, 32), (3, 3), 64),
    *trio("winograd-groups", (2, 12, 13, 72), (3, 3), 80, padding="same", groups=2, bias=True),
    *trio("one-dimension", (2, 19, 3), (4,), 5, strides=2, padding="same", bias=True),
    *trio("three-dimensions", (2, 5, 4, 6, 3), (3, 2, 3), 4, strides=(2, 1, 2), padding="same", bias=True),
    *trio("batch0", (0, 5, 5, 3), (3, 3), 4, bias=True),
    *trio("channels0", (2, 5, 5, 0), (3, 3), 4, bias=True),
    *trio("filters0", (2, 5, 5, 3), (3, 3), 0),
    *trio("image0", (2, 0, 5, 3), (3, 3), 4, bias=True),
]

SPEED = [
    *trio("64x28x28x1-32", (64, 28, 28, 1), (3, 3), 32, bias=True, activation="relu"),
    *trio("64x13x13x32-64", (64, 13, 13, 32), (3, 3), 64, bias=True, activation="relu"),
    *trio("64x5x5x64-64", (64, 5, 5, 64), (3, 3), 64, bias=True, activation="relu"),
    *trio("64x32x32x32-32-same", (64, 32, 32, 32), (3, 3), 32, padding="same", bias=True),
    *trio("64x16x16x64-128-stride2-same", (64, 16, 16, 64), (3, 3), 128, strides=2, padding="same", bias=True),
    *trio("64x32x32x3-32-same", (64, 32, 32, 3), (3, 3), 32, padding="same", bias=True),
    *trio("64x14x14x128-128-1x1", (64, 14, 14, 128), (1, 1), 128, bias=True),
    *trio("8x56x56x64-64-same", (8, 56, 56, 64), (3, 3), 64, padding="same", bias=True),
    *trio("1x224x224x3-64-7x7-stride2", (1, 224, 224, 3), (7, 7), 64, strides=2, padding="same", bias=True),
    *trio(
        "16x28x28x64-64-dilation2-same",
        (16, 28, 28, 64),
        (3, 3),
        64,
        padding="same",
        dilation_rate=2,
        bias=True,
    ),
    *trio("16x28x28x128-128-groups4-same", (16, 28, 28, 128), (3, 3), 128, padding="same", groups=4, bias=True),
]
