"""The process that measures: `python -m quernel.bench` with the options of `quernel bench`, in the environment it needs."""

import signal
import sys

from ..cli import parser
from .process import measure

if __name__ == "__main__":
    options = parser().parse_args(["bench", *sys.argv[1:]])
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # `timeout`: as Ctrl-C, what is done is printed
    try:
        sys.exit(measure(options))
    except KeyboardInterrupt:  # before the first case
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.exit(130)
