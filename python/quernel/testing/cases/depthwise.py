"""Cases of depthwise_conv_forward, depthwise_conv_dx, depthwise_conv_dw."""

from ..case import Case, normal, terms, uniform
from .conv import _product, _sizes


def trio(name, x, kernel, m, strides=1, padding="valid", dilation_rate=1, activation=None, bias=False, tiny=False):
    """A forward case and the dx and dw cases of the same depthwise convolution with m filters a channel."""
    spatial = len(x) - 2

    def every(value):
        return value if isinstance(value, tuple) else (value,) * spatial

    w = (*kernel, x[-1], m)
    positions = _sizes(x, kernel, every(strides), padding, every(dilation_rate))
    y = (x[0], *positions, x[-1] * m)
    attrs = {"strides": strides, "padding": padding, "dilation_rate": dilation_rate}
    taps = _product(kernel)
    b = uniform(x[-1] * m, low=1.0, high=2.0) if bias else None
    bound = terms(taps + 6)
    inputs = (normal(*x), normal(*w), b)
    attrs_forward = {**attrs, "activation": activation}
    smooth = activation != "relu"
    forward = Case("depthwise_conv_forward", name, inputs, attrs_forward, bound, grad=smooth, tiny=tiny)
    dx = Case(
        "depthwise_conv_dx", name, (normal(*y), normal(*w)), {**attrs, "input_shape": x}, terms(taps * m), tiny=tiny
    )
    sums = terms(x[0] * _product(positions))
    dw = Case("depthwise_conv_dw", name, (normal(*x), normal(*y)), {**attrs, "kernel_shape": w}, sums, tiny=tiny)
    return [forward, dx, dw]


CASES = [
    *trio("tiny", (1, 3, 4, 2), (2, 2), 1, bias=True, tiny=True),
    *trio("same", (2, 7, 6, 5), (3, 3), 1, padding="same", bias=True, activation="relu"),
    *trio("multiplier", (2, 6, 7, 3), (3, 2), 3, padding="same", bias=True),
    *trio("stride2", (2, 9, 8, 17), (3, 3), 1, strides=2, padding="same"),
    *trio("stride3-gaps", (2, 10, 11, 4), (2, 2), 2, strides=3),
    *trio("dilation", (2, 9, 10, 6), (3, 3), 1, padding="same", dilation_rate=2),
    *trio(
        "dilation-and-strides",
        (2, 13, 12, 3),
        (3, 2),
        2,
        strides=(2, 3),
        padding="same",
        dilation_rate=(3, 2),
    ),
    *trio("one-channel", (3, 6, 6, 1), (3, 3), 4, bias=True),
    *trio("window-wider-than-input-same", (2, 3, 2, 3), (5, 7), 1, padding="same"),
    *trio("100-channels", (2, 5, 4, 100), (3, 3), 1, padding="same", bias=True),
    *trio(
        "dilation-19-channels",
        (2, 9, 10, 19),
        (3, 3),
        1,
        padding="same",
        dilation_rate=2,
        bias=True,
        activation="relu",
    ),
    *trio("2000-positions", (5, 21, 20, 3), (3, 3), 1, padding="same"),
    *trio("one-dimension", (2, 19, 3), (4,), 2, strides=2, padding="same", bias=True),
    *trio("three-dimensions", (2, 5, 4, 6, 3), (3, 2, 3), 1, strides=(2, 1, 2), padding="same"),
    *trio("batch0", (0, 5, 5, 3), (3, 3), 1, bias=True),
    *trio("channels0", (2, 5, 5, 0), (3, 3), 2),
    *trio("image0", (2, 0, 5, 3), (3, 3), 1, bias=True),
]

SPEED = [
    *trio("16x28x28x128-same", (16, 28, 28, 128), (3, 3), 1, padding="same", bias=True),
    *trio("16x28x28x128-dilation2-same", (16, 28, 28, 128), (3, 3), 1, padding="same", dilation_rate=2, bias=True),
    *trio("64x28x28x128-same", (64, 28, 28, 128), (3, 3), 1, padding="same", bias=True),
    *trio("64x28x28x128-stride2-same", (64, 28, 28, 128), (3, 3), 1, strides=2, padding="same", bias=True),
    *trio("16x7x7x512-same", (16, 7, 7, 512), (3, 3), 1, padding="same", bias=True),
]
