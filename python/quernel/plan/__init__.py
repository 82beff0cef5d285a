"""plan: a step recorded while it runs in Python, and replayed by one native call."""

from .function import Function as Function
from .function import function as function
from .memory import memory_stats as memory_stats
from .rows import Rows as Rows
from .turns import run_turns as run_turns
