"""Cases of the views."""

from ..case import Case, integers, normal

CASES = [
    Case("reshape", "matrix", (normal(3, 8),), {"newshape": (4, -1)}, tiny=True),
    Case("reshape", "to_scalar", (normal(1, 1),), {"newshape": ()}),
    Case("reshape", "empty", (normal(0, 3),), {"newshape": (3, 0, 2)}),
    Case("reshape", "integers", (integers(2, 3),), {"newshape": 6}),
    Case("transpose", "matrix", (normal(3, 5),), tiny=True),
    Case("transpose", "cube", (normal(2, 3, 4),), {"axes": (2, 0, 1)}),
    Case("transpose", "negative_axes", (normal(2, 3, 4),), {"axes": (-1, 0, 1)}),
    Case("expand_dims", "front_and_back", (normal(3, 4),), {"axis": (0, -1)}, tiny=True),
    Case("squeeze", "all", (normal(1, 3, 1, 2),), {}, tiny=True),
    Case("squeeze", "one", (normal(1, 3, 1),), {"axis": -1}),
    Case("broadcast_to", "row", (normal(1, 3),), {"shape": (2, 4, 3)}, tiny=True),
    Case("broadcast_to", "scalar", (normal(),), {"shape": (5,)}),
    Case("broadcast_to", "same", (normal(2, 3),), {"shape": (2, 3)}),
    Case("stop_gradient", "matrix", (normal(2, 3),), {}),
]
SPEED = []
