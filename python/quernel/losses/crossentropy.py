"""Cross-entropies: functions that give one value for each sample, and the classes that reduce them."""

import warnings

from .. import ops
from ..dtypes import is_float
from ..ops.apply import is_symbolic, operand
from .loss import LossFunctionWrapper
from .reduction import floats


def _logits(y_pred, from_logits, function, axis=None):
    """(values, whether they are logits) that a cross-entropy computes from: the logits that `function` left on y_pred,
    else y_pred. Those of another function or axis stand for other probabilities.
    """
    logits = getattr(y_pred, "_keras_logits", None)
    if logits is None or y_pred._keras_logits_of != (function, axis):
        return y_pred, from_logits
    if from_logits:
        warnings.warn(
            "from_logits=True, but y_pred is the output of a softmax or sigmoid activation; "
            "its logits are used. Drop the activation or from_logits.",
            stacklevel=3,
        )
    return logits, True


def _last_axis(axis, *tensors):
    """The tensors with `axis` moved to the end, where the fused kernels want the classes."""
    rank = len(tensors[-1].shape)
    axis = axis % rank
    if axis == rank - 1:
        return tensors
    order = [i for i in range(rank) if i != axis] + [axis]
    return tuple(ops.transpose(t, order) if len(t.shape) == rank else t for t in tensors)


def _without(ignore_class, y_true, loss):
    """loss(y_true), with 0 where y_true is `ignore_class`, and a mask of the others for means."""
    if ignore_class is None:
        return loss(y_true)
    valid = ops.not_equal(y_true, ignore_class)
    values = loss(ops.where(valid, y_true, ops.zeros_like(y_true)))
    values = ops.where(valid, values, ops.zeros_like(values))
    if not is_symbolic(values):
        values._keras_mask = valid
    return values


def binary_crossentropy(y_true, y_pred, from_logits=False, label_smoothing=0.0, axis=-1):
    """loss = mean over `axis` of -(t * log(p) + (1 - t) * log(1 - p)), with t = y_true and p = y_pred.

    Args:
        y_true: targets in 0 to 1 (n, ..., d).
        y_pred: probabilities (clipped to 1e-7 .. 1 - 1e-7), or logits; the output of a sigmoid brings its logits.
        from_logits: whether y_pred are logits.
        label_smoothing: moves the targets toward 0.5: t * (1 - s) + s / 2.
        axis: the axis of the mean.

    Returns:
        A Tensor with one axis less.

    Example:
        >>> import quernel as qn
        >>> qn.losses.binary_crossentropy([[1.0]], [[0.5]]).numpy().round(4)
        array([0.6931], dtype=float32)
    """
    y_true, y_pred = floats(y_true, y_pred)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    output, from_logits = _logits(y_pred, from_logits, "sigmoid")
    return ops.mean(ops.binary_crossentropy(y_true, output, from_logits=from_logits), axis=axis)


def categorical_crossentropy(y_true, y_pred, from_logits=False, label_smoothing=0.0, axis=-1):
    """loss = -sum over `axis` of y_true * log(p), with p = y_pred scaled to sum 1 along `axis`.

    Args:
        y_true: targets, a distribution along `axis` (one-hot for labels) (n, ..., classes).
        y_pred: probabilities (clipped to 1e-7 .. 1 - 1e-7), or logits; the output of a softmax brings its logits.
        from_logits: whether y_pred are logits.
        label_smoothing: t * (1 - s) + s / classes.
        axis: the axis of the classes.

    Returns:
        A Tensor with one axis less.

    Raises:
        ValueError: `axis` is not an int, or there is one class only.

    Example:
        >>> import quernel as qn
        >>> qn.losses.categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).numpy().round(4)
        array([0.6931], dtype=float32)
    """
    if isinstance(axis, bool) or not isinstance(axis, int):
        raise ValueError(f"axis: expected an int, received {axis!r}")
    y_true, y_pred = floats(y_true, y_pred)
    if y_pred.shape[-1] == 1:
        warnings.warn(
            f"categorical_crossentropy on y_pred of shape {y_pred.shape}: with one class the loss is 0. "
            "Use binary_crossentropy for a single output.",
            SyntaxWarning,
            stacklevel=2,
        )
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + label_smoothing / y_true.shape[axis]
    output, from_logits = _logits(y_pred, from_logits, "softmax", axis % len(y_pred.shape))
    y_true, output = _last_axis(axis, y_true, output)
    return ops.categorical_crossentropy(y_true, output, from_logits=from_logits)


def sparse_categorical_crossentropy(y_true, y_pred, from_logits=False, ignore_class=None, axis=-1):
    """loss = -log(p[y_true]), with p = y_pred scaled to sum 1 along `axis`.

    Args:
        y_true: integer labels (n, ...), or (n, ..., 1).
        y_pred: probabilities (clipped to 1e-7 .. 1 - 1e-7), or logits; the output of a softmax brings its logits.
        from_logits: whether y_pred are logits.
        ignore_class: a label whose entries have loss 0 and do not count in means, or None.
        axis: the axis of the classes.

    Returns:
        A Tensor (n, ...).

    Raises:
        ValueError: the shapes do not fit; a label is outside 0 .. classes - 1.

    Example:
        >>> import quernel as qn
        >>> qn.losses.sparse_categorical_crossentropy([1], [[0.5, 0.5]]).numpy().round(4)
        array([0.6931], dtype=float32)
    """
    y_true, y_pred = operand(y_true), operand(y_pred)
    if is_float(y_true.dtype):
        y_true = ops.cast(y_true, dtype="int32")
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, axis=-1)
    output, from_logits = _logits(y_pred, from_logits, "softmax", axis % len(y_pred.shape))
    (output,) = _last_axis(axis, output)
    if not from_logits:
        output = output / ops.sum(output, axis=-1, keepdims=True)
    return _without(
        ignore_class, y_true, lambda t: ops.sparse_categorical_crossentropy(t, output, from_logits=from_logits)
    )


def linear_cross_entropy(y_true, x, kernel, bias=None, ignore_class=None):
    """The sparse cross-entropy of the logits x @ kernel + bias, of which only a few rows exist at a time.

    loss = log(sum(exp(z))) - z[y_true] with z = x @ kernel + bias: the bits of a Dense layer followed by
    `sparse_categorical_crossentropy(from_logits=True)`, where 10,000 rows of 10,000 logits would take 400 MB and
    their gradients 400 more. Under a GradientTape backward computes the logits once more; a plan computes values and
    gradients in one pass, and makes such a pass of a Dense layer and its loss by itself.

    Args:
        y_true: integer labels (n, ...).
        x: what the Dense layer would take (n, ..., d).
        kernel: (d, classes).
        bias: (classes,), or None.
        ignore_class: a label whose entries have loss 0 and do not count in means, or None.

    Returns:
        A Tensor (n, ...).

    Raises:
        ValueError: the shapes do not fit; a label is outside 0 .. classes - 1.

    Example:
        >>> import quernel as qn
        >>> qn.losses.linear_cross_entropy([0], [[1.0, 0.0]], [[2.0, 0.0], [0.0, 1.0]]).numpy().round(3)
        array([0.127], dtype=float32)
    """
    y_true = operand(y_true)
    if is_float(y_true.dtype):
        y_true = ops.cast(y_true, dtype="int32")
    return _without(ignore_class, y_true, lambda labels: ops.linear_cross_entropy(x, kernel, labels, bias)[0])


class BinaryCrossentropy(LossFunctionWrapper):
    """Cross-entropy of two-class labels; see binary_crossentropy for the formula and the arguments.

    Example:
        >>> import quernel as qn
        >>> round(float(qn.losses.BinaryCrossentropy(from_logits=True)([[1.0]], [[0.0]])), 4)
        0.6931
    """

    def __init__(
        self,
        from_logits=False,
        label_smoothing=0.0,
        axis=-1,
        reduction="sum_over_batch_size",
        name="binary_crossentropy",
        dtype=None,
    ):
        super().__init__(
            binary_crossentropy,
            name=name,
            reduction=reduction,
            dtype=dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


class CategoricalCrossentropy(LossFunctionWrapper):
    """Cross-entropy of one-hot labels; see categorical_crossentropy for the formula and the arguments.

    Example:
        >>> import quernel as qn
        >>> round(float(qn.losses.CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
        0.6931
    """

    def __init__(
        self,
        from_logits=False,
        label_smoothing=0.0,
        axis=-1,
        reduction="sum_over_batch_size",
        name="categorical_crossentropy",
        dtype=None,
    ):
        super().__init__(
            categorical_crossentropy,
            name=name,
            reduction=reduction,
            dtype=dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


class SparseCategoricalCrossentropy(LossFunctionWrapper):
    """Cross-entropy of integer labels; see sparse_categorical_crossentropy for the formula and the arguments.

    Example:
        >>> import quernel as qn
        >>> round(float(qn.losses.SparseCategoricalCrossentropy()([1], [[0.5, 0.5]])), 4)
        0.6931
    """

    def __init__(
        self,
        from_logits=False,
        ignore_class=None,
        reduction="sum_over_batch_size",
        axis=-1,
        name="sparse_categorical_crossentropy",
        dtype=None,
    ):
        super().__init__(
            sparse_categorical_crossentropy,
            name=name,
            reduction=reduction,
            dtype=dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )

    def _target(self, y_true):
        return operand(y_true)  # labels stay integers: float32 holds them only up to 2^24
