"""Cases of the activations and their gradients."""

import numpy as np

from ..case import Case, distinct, exact, normal, ulps, uniform


def _scaled(n):
    """n ulps of the result or of the inputs' product: where 1 + tanh, 1 + erf or 1 - y cancels."""

    def bound(inputs, attrs, expected, eps):
        size = np.abs(expected)
        for a in inputs[:1]:
            size = np.maximum(size, np.abs(a))
        return n * eps * size + 2.4e-38

    return bound


def _cases(op, tolerance, dx_tolerance, attrs=({},)):
    made = []
    for i, a in enumerate(attrs):
        tag = "".join(f"-{v}" for v in a.values())
        # distinct values straddle 0 without touching it: no kink within a difference step
        made += [
            Case(op, f"scalar{tag}", (normal(),), a, tolerance),
            Case(op, f"tail{tag}", (distinct(3, 46, low=-6.0, high=6.0),), a, tolerance),
            Case(op, f"empty{tag}", (normal(0, 3),), a, tolerance, grad=False),
            Case(op, f"tiny{tag}", (distinct(6, low=-2.0, high=2.0),), a, tolerance, tiny=i == 0),
        ]
        low, high = (-0.9, 0.9) if op == "tanh" else (0.01, 0.99) if op == "sigmoid" else (-6.0, 6.0)
        made += [
            Case(f"{op}_dx", f"tail{tag}", (normal(3, 46), distinct(3, 46, low=low, high=high)), a, dx_tolerance),
            Case(f"{op}_dx", f"empty{tag}", (normal(0, 3), normal(0, 3)), a, dx_tolerance, grad=False),
            Case(
                f"{op}_dx", f"tiny{tag}", (normal(4), distinct(4, low=low / 3, high=high)), a, dx_tolerance, tiny=i == 0
            ),
        ]
    return made


CASES = [
    *_cases("relu", exact, exact),
    *_cases("leaky_relu", ulps(1), ulps(1), ({}, {"negative_slope": 0.3})),
    *_cases("elu", ulps(3), ulps(4), ({}, {"alpha": 0.5})),
    *_cases("selu", ulps(4), ulps(5)),
    *_cases("gelu", _scaled(4), _scaled(8), ({"approximate": True}, {"approximate": False})),
    *_cases("sigmoid", ulps(2), _scaled(3)),
    *_cases("tanh", ulps(2), _scaled(3)),
    *_cases("softplus", ulps(3), ulps(3)),
    *_cases("silu", ulps(3), _scaled(8)),
]
_OPS = ("relu", "leaky_relu", "elu", "selu", "gelu", "sigmoid", "tanh", "softplus", "silu")
SPEED = [
    *(Case(op, "1MB", (normal(64, 4096),)) for op in _OPS),
    *(Case(f"{op}_dx", "1MB", (normal(64, 4096), uniform(64, 4096))) for op in _OPS),
]
for _name, _shape in (("64KB", (16, 1024)), ("16MB", (1024, 4096))):
    for _op in ("relu", "gelu", "tanh"):
        SPEED += [Case(_op, _name, (normal(*_shape),)), Case(f"{_op}_dx", _name, (normal(*_shape), uniform(*_shape)))]
