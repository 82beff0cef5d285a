"""Cases of slice and slice_dx."""

from ..case import Case, integers, normal

CASES = [
    Case("slice", "steps", (normal(7, 9),), {"start": (1, None), "stop": (None, 2), "step": (2, -3)}, tiny=True),
    Case("slice", "first_axis", (normal(5, 2),), {"start": (-3,), "stop": (-1,), "step": (None,)}),
    Case("slice", "empty", (normal(5, 2),), {"start": (4,), "stop": (1,), "step": (1,)}),
    Case(
        "slice_dx",
        "steps",
        (normal(3, 2),),
        {"shape": (7, 9), "start": (1, None), "stop": (None, 2), "step": (2, -3)},
        tiny=True,
    ),
    Case(
        "slice_dx",
        "rows",
        (normal(2, 70, 3),),
        {"shape": (4, 70, 5), "start": (1, None, 4), "stop": (3, None, 1), "step": (None, None, -1)},
    ),
    Case("slice_dx", "empty", (normal(0, 2),), {"shape": (5, 2), "start": (4,), "stop": (1,), "step": (1,)}),
    Case("slice_dx", "integers", (integers(3),), {"shape": (5,), "start": (0,), "stop": (3,), "step": (1,)}),
    Case("slice_dx", "scalar", (normal(),), {"shape": (), "start": (), "stop": (), "step": ()}),
]
SPEED = [
    Case(
        "slice_dx",
        "half_of_2MB",
        (normal(64, 56, 128),),
        {"shape": (64, 56, 256), "start": (0, 0, 0), "stop": (64, 56, 128), "step": (1, 1, 1)},
    ),
]
