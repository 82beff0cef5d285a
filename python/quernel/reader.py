"""Reader: the Tensor that reading a Variable gives; how it leaves the memory of the Variable is in variable.py."""

import weakref

from . import recording
from .tensor import Tensor


class Reader(Tensor):
    """A Tensor on the memory of a variable. `_variable` is that variable, None once the Tensor has memory of
    its own. `_step` tells which recorded step made it, if one did.
    """

    __slots__ = ("_step", "_variable")

    def __init__(self, array, variable):
        self._array = array
        self._variable = variable
        self._step = None
        if recording.count:
            recorder = recording.current()
            if recorder is not None:
                recorder.keep((self,))
                self._step = recorder.step
        readers = variable._readers
        readers[weakref.ref(self, readers.pop)] = None  # last: from now on other threads see it

    def __array__(self, dtype=None, copy=None):
        return Tensor.__array__(self, dtype, True)  # a view would change with the variable

    def _leave(self, array):
        """Shows another array from now on."""
        self._array = array
        variable, self._variable = self._variable, None
        if variable is not None:
            for reference in [r for r in variable._readers if r() is self]:
                del variable._readers[reference]


def derived(array, inputs):
    """The Tensor for an op's result: a Reader when it is a view of a variable's memory."""
    for value in inputs:
        if type(value) is Reader:
            variable = value._variable
            if variable is None:  # another thread wrote it since, perhaps after `array` was made from its memory
                variable = recording.STORAGE.get(id(array.base))
            if variable is not None and (array is variable._array or array.base is variable._array):
                return Reader(array, variable)
    return Tensor(array)


def settle_readers():
    """Gives Tensors read from Variables memory of their own, as the next write would: all but those that a step reads
    which another thread records at this moment.
    """
    for variable in recording.variables():
        variable._reader = None
        if variable._readers:
            variable._detach(recording.STEPS)
