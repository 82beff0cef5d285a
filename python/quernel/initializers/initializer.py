"""Initializer: the base of all initializers."""


class Initializer:
    """The base of initializers: called with a shape and a dtype, it gives the first value of a variable.

    Example:
        >>> import quernel as qn
        >>> class Twos(qn.initializers.Initializer):
        ...     def __call__(self, shape, dtype=None):
        ...         return qn.ops.full(shape, 2, dtype=dtype)
        >>> qn.layers.Dense(3, bias_initializer=Twos()).bias_initializer.get_config()
        {}
    """

    def __call__(self, shape, dtype=None):
        """A Tensor of this shape and dtype; subclasses define it."""
        raise TypeError(f"{type(self).__name__} has to define __call__(self, shape, dtype=None)")

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def clone(self):
        """Another initializer with the same configuration."""
        return self.from_config(self.get_config())
