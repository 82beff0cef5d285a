"""Cases of concat, pad and full."""

from ..case import Case, bools, integers, normal

CASES = [
    Case("concat", "two", ([normal(2, 3), normal(2, 4)],), tiny=True),
    Case("concat", "middle", ([normal(3, 1, 5), normal(3, 17, 5), normal(3, 0, 5)],), {"axis": 1}),
    Case("concat", "one", ([normal(4)],), {"axis": 0}),
    Case("concat", "channels", ([normal(2, 5, 5, 3), normal(2, 5, 5, 4)],), {"axis": -1}),
    Case("concat", "integers", ([integers(3, 2), integers(1, 2)],), {"axis": 0}),
    Case("concat", "bytes", ([integers(3, dtype="uint8"), integers(40, dtype="uint8")],), {"axis": 0}),
    Case("pad", "matrix", (normal(2, 3),), {"pad_width": ((1, 2), (0, 3)), "constant_values": 1.5}, tiny=True),
    Case("pad", "image", (normal(2, 5, 6, 3),), {"pad_width": ((0, 0), (1, 1), (2, 1), (0, 0))}),
    Case("pad", "nothing", (normal(3),), {"pad_width": ((0, 0),)}),
    Case("pad", "scalar", (normal(),), {"pad_width": ()}),
    Case("pad", "empty", (normal(0, 2),), {"pad_width": ((2, 1), (1, 0)), "constant_values": -1}),
    Case("pad", "bools", (bools(4),), {"pad_width": ((1, 1),), "constant_values": True}),
    Case("pad", "int64", (integers(4, dtype="int64"),), {"pad_width": ((3, 1),), "constant_values": 2**40}),
    Case("full", "float", (), {"shape": (3, 17), "fill_value": 0.1}),
    Case("full", "integers", (), {"shape": (5,), "fill_value": -3, "dtype": "int64"}),
    Case("full", "bytes", (), {"shape": (2, 3), "fill_value": 255, "dtype": "uint8"}),
    Case("full", "empty", (), {"shape": (0, 3), "fill_value": 1.0}),
]
SPEED = [
    Case("concat", "channels_4MB", ([normal(64, 28, 28, 8), normal(64, 28, 28, 8)],)),
    Case("pad", "image_4MB", (normal(64, 28, 28, 16),), {"pad_width": ((0, 0), (1, 1), (1, 1), (0, 0))}),
    Case("full", "4MB", (), {"shape": (1024, 1024), "fill_value": 0.0}),
]
