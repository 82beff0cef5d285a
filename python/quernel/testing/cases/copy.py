"""Cases of copy."""

from ..case import Case, normal

CASES = [
    Case("copy", "vector", (normal(17),), tiny=True),
    Case("copy", "cube", (normal(3, 4, 5),)),
    Case("copy", "empty", (normal(0, 3),)),
]
SPEED = [Case("copy", "4MB", (normal(1024, 1024),))]
