"""The dtypes of a layer: of its weights, of its computation, and how inputs are cast to the latter."""

from .. import dtypes
from ..operation import KerasTensor
from ..tensor import Tensor, as_tensor, is_tensor


class Casting:
    """The part of Layer that holds its DTypePolicy and casts inputs."""

    @property
    def dtype_policy(self):
        return self._dtype_policy

    @dtype_policy.setter
    def dtype_policy(self, value):
        if self.built and self.weights:
            raise ValueError(
                f"layer {self.name!r}: expected a dtype policy before the layer is built, received {value!r}"
            )
        self._dtype_policy = dtypes.policy(value)

    @property
    def compute_dtype(self):
        """The dtype it computes in."""
        return self._dtype_policy.compute_dtype

    @property
    def variable_dtype(self):
        """The dtype of its weights."""
        return self._dtype_policy.variable_dtype

    dtype = variable_dtype

    @property
    def input_dtype(self):
        """The dtype that floating-point inputs are cast to."""
        return self.compute_dtype

    def _convert_one(self, value):
        if isinstance(value, KerasTensor):
            if self.autocast and value.dtype != self.compute_dtype and dtypes.is_float(value.dtype):
                cast = KerasTensor(value.shape, self.compute_dtype, name=value.name)
                if getattr(value, "_keras_mask", None) is not None:
                    cast._keras_mask = value._keras_mask
                return cast
            return value
        if not isinstance(value, Tensor):
            if not (is_tensor(value) or hasattr(value, "__array__") or hasattr(value, "__dlpack__")) or isinstance(
                value, type
            ):
                return value
            value = as_tensor(value, name=self.name)
        if self.autocast and value._array.dtype.kind == "f" and value.dtype != self.compute_dtype:
            cast = as_tensor(value, self.name, self.compute_dtype)
            if getattr(value, "_keras_mask", None) is not None:
                cast._keras_mask = value._keras_mask
            return cast
        return value
