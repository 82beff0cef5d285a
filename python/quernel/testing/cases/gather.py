"""Cases of gather, scatter_add and one_hot."""

from ..case import Case, given, integers, normal, terms

REPEATED = terms(40, scale=5.0)  # at most 40 terms of normal size meet in one element

CASES = [
    Case("gather", "rows", (normal(5, 3), given([4, -5, 0, 4], "int32")), tiny=True),
    Case("gather", "columns", (normal(3, 7), integers(2, 2, low=-7, high=7, dtype="int64")), {"axis": -1}),
    Case("gather", "middle", (normal(2, 6, 4), integers(9, low=0, high=6)), {"axis": 1}),
    Case("gather", "scalar_index", (normal(4, 2), given(2, "int32"))),
    Case("gather", "bytes", (integers(9, 5, high=255, dtype="uint8"), integers(4, high=9, dtype="uint8"))),
    Case("gather", "no_index", (normal(4, 2), integers(0))),
    Case("gather", "images", (normal(20, 4, 4, 2), integers(33, high=20, dtype="int64"))),
    Case("scatter_add", "rows", (given([2, 0, -1, 2], "int32"), normal(4, 3)), {"shape": (3, 3)}, REPEATED, tiny=True),
    Case("scatter_add", "vector", (integers(40, low=-5, high=5), normal(40)), {"shape": (5,)}, REPEATED),
    Case("scatter_add", "wide", (integers(6, high=3), normal(6, 130)), {"shape": (3, 130)}, REPEATED),
    Case("scatter_add", "middle", (integers(8, high=3), normal(5, 8, 2)), {"shape": (5, 3, 2), "axis": 1}, REPEATED),
    Case("scatter_add", "last", (integers(2, 3, high=4), normal(5, 2, 3)), {"shape": (5, 4), "axis": -1}, REPEATED),
    Case("scatter_add", "integers", (integers(9, high=2), integers(9, low=-9)), {"shape": (2,)}),
    Case("scatter_add", "nothing", (integers(0), normal(0, 3)), {"shape": (2, 3)}),
    Case("one_hot", "labels", (integers(7, high=4),), {"num_classes": 4}),
    Case("one_hot", "outside", (given([[-1, 0], [3, 2]], "int64"),), {"num_classes": 3, "dtype": "int32"}),
    Case("one_hot", "bytes", (integers(70, high=10, dtype="uint8"),), {"num_classes": 10, "dtype": "bool"}),
    Case("one_hot", "no_class", (integers(3),), {"num_classes": 0}),
]
SPEED = [
    Case("gather", "batch_of_images", (normal(4000, 28, 28, 1), integers(64, high=4000, dtype="int64"))),
    Case("scatter_add", "embedding", (integers(2048, high=10000), normal(2048, 64)), {"shape": (10000, 64)}),
    Case("one_hot", "labels", (integers(4096, high=10),), {"num_classes": 10}),
]
