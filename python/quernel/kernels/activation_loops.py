"""The Numba fallbacks of activations, one element at a time."""

import math

import numpy as np

from .kernel import vectorized


@vectorized
def relu(x):
    return np.float32(0) if x <= 0 else x


@vectorized
def relu_dx(dy, y):
    return np.float32(0) if y <= 0 else dy


@vectorized
def leaky_relu(x, negative_slope):
    return x if x > 0 else negative_slope * x


@vectorized
def leaky_relu_dx(dy, x, negative_slope):
    return dy if x > 0 else negative_slope * dy


@vectorized
def sigmoid(x):
    e = math.exp(-abs(x))
    return (e if x < 0 else 1.0) / (1.0 + e)


@vectorized
def sigmoid_dx(dy, y):
    return dy * (y * (1 - y))


@vectorized
def tanh(x):
    return math.tanh(x)


@vectorized
def tanh_dx(dy, y):
    return dy * (1 - y * y)


@vectorized
def softplus(x):
    return (x if x > 0 or x != x else 0.0) + math.log1p(math.exp(-abs(x)))


@vectorized
def softplus_dx(dy, x):
    e = math.exp(-abs(x))
    return dy * ((e if x < 0 else 1.0) / (1.0 + e))


@vectorized
def silu(x):
    e = math.exp(-abs(x))
    return x * ((e if x < 0 else 1.0) / (1.0 + e))


@vectorized
def silu_dx(dy, x):
    e = math.exp(-abs(x))
    s = (e if x < 0 else 1.0) / (1.0 + e)
    return dy * (s * (1.0 + x * ((1.0 if x < 0 else e) / (1.0 + e))))
