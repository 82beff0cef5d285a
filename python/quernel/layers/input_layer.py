"""Input: where a functional model begins."""

from .. import dtypes
from ..operation import KerasTensor, Node, standardize_shape
from .layer import Layer


class InputLayer(Layer):
    """The layer behind an `Input`: it stands for data that the model is called on.

    Args:
        shape: the shape of one sample, without the batch axis.
        batch_size: the size of the batch axis, None where open.
        dtype: of the data; default `floatx()`. Data of another dtype are cast.
        batch_shape: the whole shape, instead of `shape` and `batch_size`.
        name: default "input_layer", "input_layer_1", ...
    """

    def __init__(self, shape=None, batch_size=None, dtype=None, batch_shape=None, name=None):
        super().__init__(name=name)
        if (shape is None) == (batch_shape is None):
            raise ValueError(
                f"Input: expected `shape` or `batch_shape`, received shape={shape}, batch_shape={batch_shape}"
            )
        if batch_shape is not None and batch_size is not None:
            raise ValueError("Input: expected `batch_size` with `shape` only, received it with `batch_shape`")
        self.batch_shape = (
            standardize_shape(batch_shape) if batch_shape is not None else (batch_size, *standardize_shape(shape))
        )
        self._input_dtype = dtypes.standardize_dtype(dtype)
        self.built = True
        Node(self, (), {}, KerasTensor(self.batch_shape, self._input_dtype, name=self.name))

    @property
    def dtype(self):
        """The dtype of the data."""
        return self._input_dtype

    def call(self, *args, **kwargs):
        raise TypeError(f"Input {self.name!r}: expected to be called never: the model hands its data on")

    def get_config(self):
        return {"batch_shape": self.batch_shape, "dtype": self._input_dtype, "name": self.name}


def Input(shape=None, batch_size=None, dtype=None, name=None, batch_shape=None):  # noqa: N802 - Keras's name
    """A KerasTensor for the data of a functional model.

    Args:
        shape: the shape of one sample, None where open.
        batch_size: the size of the batch axis, if fixed.
        dtype: of the data; default `floatx()`. Data of another dtype are cast when the model is called.
        name: default "input_layer", "input_layer_1", ...
        batch_shape: the whole shape, instead of `shape` and `batch_size`.

    Returns:
        A KerasTensor.

    Raises:
        ValueError: unless exactly one of `shape` and `batch_shape` is given.

    Example:
        >>> import quernel as qn
        >>> qn.Input((28, 28, 1)).shape
        (None, 28, 28, 1)
    """
    return InputLayer(shape, batch_size, dtype, batch_shape, name).output
