"""put: how the bench writes what it found, which took minutes to find."""

import os
from pathlib import Path

from ..saving import atomic_write


def put(path, data):
    """Writes text or bytes; a file that was there stays as it is until all of the new one is on the disk.

    Raises:
        OSError: the folder is missing, the disk is full, nobody may write there.
    """
    data = data.encode() if isinstance(data, str) else data
    if os.path.exists(path) and not os.path.isfile(path):  # /dev/stdout, a pipe
        Path(path).write_bytes(data)
        return
    with atomic_write(path) as file:
        file.write(data)
