"""Embedding: rows of a table of weights, taken by token ids."""

import warnings

from .. import constraints, initializers, ops, regularizers
from ..checks import positive_int
from .layer import Layer


class Embedding(Layer):
    """Replaces every token id by a row of a table of weights: y[..., :] = embeddings[ids[...], :].

    Args:
        input_dim: number of rows; ids are at least 0 and below it.
        output_dim: size of a row.
        embeddings_initializer: for the table.
        embeddings_regularizer: for the table; its gradient is that of the whole table.
        embeddings_constraint: for the table, applied to the whole of it after each update.
        mask_zero: whether id 0 stands for "nothing here": the mask that goes on with the output is `ids != 0`.
        weights: the table's first values, an array of shape (input_dim, output_dim), or a list of this one.

    Weights: embeddings (input_dim, output_dim).

    Shapes: (n, ...) of ids -> (n, ..., output_dim). Ids that are floats are cast to int32.

    Raises:
        ValueError: input_dim or output_dim is no positive int; weights of another shape.
        IndexError: (when called) an id is out of range.

    Example:
        >>> import quernel as qn
        >>> layer = qn.layers.Embedding(3, 2, weights=[[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]], mask_zero=True)
        >>> y = layer(qn.constant([[2, 1, 0]]))
        >>> y.numpy()[0].tolist(), layer.compute_mask(qn.constant([[2, 1, 0]])).numpy().tolist()
        ([[3.0, 4.0], [1.0, 2.0], [0.0, 0.0]], [[True, True, False]])
    """

    def __init__(
        self,
        input_dim,
        output_dim,
        embeddings_initializer="uniform",
        embeddings_regularizer=None,
        embeddings_constraint=None,
        mask_zero=False,
        weights=None,
        **kwargs,
    ):
        if kwargs.pop("input_length", None) is not None:
            warnings.warn("Embedding: input_length is not needed any more: leave it out", stacklevel=2)
        super().__init__(**kwargs)
        self.input_dim = positive_int(input_dim, "input_dim")
        self.output_dim = positive_int(output_dim, "output_dim")
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.mask_zero = bool(mask_zero)
        self.supports_masking = self.mask_zero
        self.autocast = False
        if weights is not None:
            self.build()
            one = isinstance(weights, (list, tuple)) and len(weights) == 1 and len(getattr(weights[0], "shape", ())) > 1
            self.set_weights(weights if one else [weights])

    def build(self, input_shape=None):
        if self.built:
            return
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(self.input_dim, self.output_dim),
            initializer=self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
        )
        self.built = True

    @property
    def input_dtype(self):
        """The dtype of the ids where a model makes its Input by itself."""
        return "int64"

    def call(self, inputs):
        ids = inputs
        if ids.dtype not in ("int32", "int64", "uint8"):
            ids = ops.cast(ids, dtype="int64" if ids.dtype in ("uint32", "uint64") else "int32")
        y = ops.embedding(self.embeddings, ids)
        return y if y.dtype == self.compute_dtype else ops.cast(y, dtype=self.compute_dtype)

    def compute_mask(self, inputs, mask=None):
        """Where ids are not 0, with mask_zero; else None."""
        return ops.not_equal(inputs, 0) if self.mask_zero else None

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.output_dim)

    def get_config(self):
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": initializers.serialize(self.embeddings_initializer),
            "embeddings_regularizer": regularizers.serialize(self.embeddings_regularizer),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "embeddings_constraint": constraints.serialize(self.embeddings_constraint),
            "mask_zero": self.mask_zero,
        }
