"""atomic_write: a file is either the whole new one or the old one, also when the process or the machine stops
in between.
"""

import contextlib
import errno
import os
import tempfile


@contextlib.contextmanager
def atomic_write(path):
    """A binary file to write to; at the end of the `with` block it takes the place of `path`, unless there was an
    error.

    Raises:
        FileNotFoundError: the folder of `path` is missing.

    Example:
        >>> import os, tempfile
        >>> from quernel.saving import atomic_write
        >>> path = os.path.join(tempfile.mkdtemp(), "a.bin")
        >>> with atomic_write(path) as file:
        ...     _ = file.write(b"abc")
        >>> open(path, "rb").read()
        b'abc'
    """
    path = os.fspath(path)
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, f"no folder {folder!r}; create it first", path)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=os.path.basename(path) + ".")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)  # mkstemp's files are private
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    if os.name == "posix":
        directory = os.open(folder, os.O_RDONLY)  # so that the rename itself survives a power cut
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
