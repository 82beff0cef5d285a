"""BatchNormalization."""

from .. import constraints, initializers, kernels, ops, regularizers
from .input_spec import InputSpec
from .layer import Layer
from .parts import as_floats


class BatchNormalization(Layer):
    """y = gamma * (x - mean) / sqrt(variance + epsilon) + beta, with mean and variance over all axes but one.

    In training (training=True and the layer is trainable) they are those of the batch, the variance divided by the
    number of values, and the moving ones follow: moving = moving * momentum + batch * (1 - momentum). Else the moving
    ones are used. Where a mask came with the input, (n, ...) for all axes but the last, the batch's statistics leave out
    what is masked.

    Args:
        axis: the axis that keeps its own mean, usually the channels.
        momentum: share of the moving statistics that an update keeps.
        epsilon: added to the variance.
        center: whether there is a beta.
        scale: whether there is a gamma.
        beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer: first values.
        beta_regularizer, gamma_regularizer: added to the loss.
        beta_constraint, gamma_constraint: applied after updates.

    Weights: gamma, beta, moving_mean, moving_variance, each (channels,).

    Shapes: the output's is the input's.

    Raises:
        ValueError: axis is no int, or the input has no such axis; a mask of another rank.

    Example:
        >>> import quernel as qn
        >>> layer = qn.layers.BatchNormalization()
        >>> y = layer(qn.constant([[1.0], [3.0]]), training=True)
        >>> y.numpy().round(2).tolist()
        [[-1.0], [1.0]]

    Source: Ioffe and Szegedy, 2015.
    """

    def __init__(
        self,
        axis=-1,
        momentum=0.99,
        epsilon=1e-3,
        center=True,
        scale=True,
        beta_initializer="zeros",
        gamma_initializer="ones",
        moving_mean_initializer="zeros",
        moving_variance_initializer="ones",
        beta_regularizer=None,
        gamma_regularizer=None,
        beta_constraint=None,
        gamma_constraint=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if isinstance(axis, bool) or not isinstance(axis, int):
            raise ValueError(f"axis: expected an int, received {axis!r}")
        self.axis = axis
        self.momentum = float(momentum)
        self.epsilon = float(epsilon)
        self.center = center
        self.scale = scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.supports_masking = True

    def build(self, input_shape):
        rank = len(input_shape)
        if not -rank <= self.axis < rank:
            raise ValueError(
                f"BatchNormalization: expected an input with an axis {self.axis}, received shape {input_shape}"
            )
        size = input_shape[self.axis]
        if size is None:
            raise ValueError(
                f"BatchNormalization: expected a known size of axis {self.axis}, received the input shape {input_shape}"
            )
        self.gamma = self.beta = None
        if self.scale:
            self.gamma = self.add_weight(
                name="gamma",
                shape=(size,),
                initializer=self.gamma_initializer,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
            )
        if self.center:
            self.beta = self.add_weight(
                name="beta",
                shape=(size,),
                initializer=self.beta_initializer,
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
            )
        self.moving_mean = self.add_weight(
            name="moving_mean", shape=(size,), initializer=self.moving_mean_initializer, trainable=False
        )
        self.moving_variance = self.add_weight(
            name="moving_variance", shape=(size,), initializer=self.moving_variance_initializer, trainable=False
        )
        self.input_spec = InputSpec(ndim=rank, axes={self.axis: size})
        self.built = True

    def call(self, inputs, training=None, mask=None):
        x = as_floats(inputs, self.compute_dtype)
        last = len(x.shape) - 1
        axis = self.axis % (last + 1)
        learns = training and self.trainable
        kept = self._kept(mask, x) if mask is not None and learns else None
        if axis != last:  # the kernels normalize the last axis
            order = [*(i for i in range(last + 1) if i != axis), axis]
            x = ops.transpose(x, order)
            kept = None if kept is None else ops.transpose(kept, order)
        if learns:
            if kept is None:
                y, mean, variance = ops.batch_norm_train(x, self.gamma, self.beta, epsilon=self.epsilon)
            else:
                mean, variance = _masked_moments(x, kept)
                y = ops.batch_norm_inference(x, mean, variance, self.gamma, self.beta, epsilon=self.epsilon)
            if not getattr(mean, "_is_symbolic", False):
                self._follow(self.moving_mean, mean)
                self._follow(self.moving_variance, variance)
        else:
            y = ops.batch_norm_inference(
                x, self.moving_mean, self.moving_variance, self.gamma, self.beta, epsilon=self.epsilon
            )
        return y if axis == last else ops.transpose(y, [*range(axis), last, *range(axis, last)])

    def _kept(self, mask, x):
        """The mask (n, ...) of all axes of x but the last, with x's shape."""
        if len(mask.shape) != len(x.shape) - 1:
            raise ValueError(
                f"BatchNormalization: mask: expected one axis less than the input's shape {tuple(x.shape)}, received "
                f"shape {tuple(mask.shape)}"
            )
        return ops.broadcast_to(ops.expand_dims(mask, axis=-1), x.shape)

    def _follow(self, moving, batch):
        storage = moving._prepare_write()
        kernels.lerp_update(storage, batch._array, momentum=self.momentum)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "gamma_initializer": initializers.serialize(self.gamma_initializer),
            "moving_mean_initializer": initializers.serialize(self.moving_mean_initializer),
            "moving_variance_initializer": initializers.serialize(self.moving_variance_initializer),
            "beta_regularizer": regularizers.serialize(self.beta_regularizer),
            "gamma_regularizer": regularizers.serialize(self.gamma_regularizer),
            "beta_constraint": constraints.serialize(self.beta_constraint),
            "gamma_constraint": constraints.serialize(self.gamma_constraint),
        }


def _masked_moments(x, kept):
    """Mean and variance of each channel (the last axis) over what is kept; 0 where nothing is."""
    axes = tuple(range(len(x.shape) - 1))
    count = ops.sum(ops.cast(kept, dtype=x.dtype), axis=axes)
    mean = ops.divide_no_nan(ops.sum(ops.where(kept, x, 0), axis=axes), count)
    distance = ops.where(kept, x - mean, 0)
    return mean, ops.divide_no_nan(ops.sum(ops.square(distance), axis=axes), count)
