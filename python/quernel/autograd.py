"""GradientTape: records ops on Tensors while they run; backward.py replays their gradient rules backwards."""

import contextlib
import threading

from . import tree
from .backend import set_tapes, set_watch
from .backward import Node, backward, rule_of, touches
from .backward import gradient as gradient
from .backward import no_gradient as no_gradient
from .kernels.kernel import is_float
from .tensor import as_tensor

_local = threading.local()


def tapes():
    """The stack of this thread's recording tapes, innermost last."""
    try:
        return _local.stack
    except AttributeError:
        _local.stack = []
        return _local.stack


def _watch(kernel, inputs, result, attrs):
    """Tells this thread's tapes of an op."""
    outputs = result if type(result) is tuple else (result,)
    for tape in tapes():
        tape._record(kernel, inputs, outputs, attrs)


set_watch(_watch)


def is_watched(tensor):
    """Whether a recording tape of this thread follows `tensor`."""
    return any(id(tensor) in tape._tracked for tape in tapes())


def read(variable, stack):
    """The Tensor that reading `variable` gives while tapes record: one that all tapes watching the variable follow."""
    key = id(variable)
    last, fresh, watched = None, False, False
    for tape in stack:
        reads = tape._reads.get(key)
        if reads is None and tape._watch_accessed and variable._trainable:
            tape._watch_variable(variable)
            reads = tape._reads.get(key)
        if reads is None:
            continue
        watched = True
        if not reads or reads[-1]._variable is not variable or (last is not None and last is not reads[-1]):
            fresh = True  # not read yet, written since, or read while another tape paused
        else:
            last = reads[-1]
    if not watched:
        return variable._cached_reader()
    if fresh:
        last = variable._new_reader()
        for tape in stack:
            tape._follow(variable, last)
    return last


class GradientTape:
    """Records the ops that run inside its `with` block, and differentiates them.

    Trainable variables are watched when they are read, Tensors by `watch`. Tapes nest: an outer one records what the
    inner one's `gradient` computes, which gives higher derivatives. Each thread has its own stack of tapes.

    Args:
        persistent: whether `gradient` may be called more than once; such a tape keeps all values until it is dropped.
        watch_accessed_variables: whether trainable variables are watched when read.

    Example:
        >>> import quernel as qn
        >>> x = qn.Variable(3.0)
        >>> with qn.GradientTape() as tape:
        ...     y = x * x
        >>> tape.gradient(y, x).numpy()
        array(6., dtype=float32)

    Source: reverse mode as in TensorFlow's tf.GradientTape.
    """

    def __init__(self, persistent=False, watch_accessed_variables=True):
        self._persistent = bool(persistent)
        self._watch_accessed = bool(watch_accessed_variables)
        self._used = False
        self._clear()

    def _clear(self):
        self._nodes = []
        self._tracked = (
            set()
        )  # ids of the Tensors that depend on something watched; kept alive by _nodes, _kept, _reads
        self._kept = []
        self._reads = {}  # id(variable) -> its reader Tensors, in order
        self._variables = {}  # id(variable) -> variable

    def __enter__(self):
        if self in tapes():
            raise RuntimeError("GradientTape: this tape is already recording")
        tapes().append(self)
        set_tapes(len(tapes()))
        return self

    def __exit__(self, *error):
        self._pause()

    def _pause(self):
        stack = tapes()
        if self in stack:
            stack.remove(self)
            set_tapes(len(stack))

    def watch(self, tensor):
        """Follows a Tensor or Variable, or all of those in a structure; integers never carry a gradient and are
        passed over.
        """
        for value in tree.flatten(tensor):
            if hasattr(value, "__quernel_tensor__"):
                self._watch_variable(value)
            elif hasattr(value, "_array"):
                if is_float(value._array.dtype):
                    self._tracked.add(id(value))
                    self._kept.append(value)
            else:
                raise TypeError(
                    f"watch: expected a Tensor or Variable, received {type(value).__name__}; use convert_to_tensor"
                )

    def _watch_variable(self, variable):
        if id(variable) not in self._reads and is_float(variable._array.dtype):
            self._reads[id(variable)] = []
            self._variables[id(variable)] = variable

    def _follow(self, variable, reader):
        reads = self._reads.get(id(variable))
        if reads is not None:
            reads.append(reader)
            self._tracked.add(id(reader))

    def watched_variables(self):
        """The variables that this tape has watched, in the order of their first read."""
        return tuple(self._variables.values())

    @contextlib.contextmanager
    def stop_recording(self):
        """Within the `with` block this tape records nothing."""
        stack = tapes()
        if self not in stack:
            raise RuntimeError("stop_recording: expected a tape that is recording")
        position = stack.index(self)
        stack.remove(self)
        set_tapes(len(stack))
        try:
            yield
        finally:
            stack.insert(position, self)
            set_tapes(len(stack))

    def reset(self):
        """Forgets everything recorded and watched so far."""
        self._used = False
        self._clear()

    def _record(self, kernel, inputs, outputs, attrs):
        tracked = self._tracked
        if not tracked or not touches(inputs, tracked) or rule_of(kernel) is None:
            return
        follow = [id(o) for o in outputs if o._array.dtype.kind == "f" or is_float(o._array.dtype)]
        if follow:
            self._nodes.append(Node(kernel, inputs, outputs, kernel.freeze(attrs)))
            tracked.update(follow)

    def gradient(self, target, sources, output_gradients=None, unconnected_gradients="none"):
        """The gradients of `target` (the sum of all its elements) with respect to `sources`.

        Args:
            target: a Tensor or Variable, or a structure of them, whose gradients are added up.
            sources: a Tensor or Variable, or any structure of them: list, tuple, dict.
            output_gradients: gradients to start from, in the structure of `target`, None for ones.
            unconnected_gradients: "none" gives None, "zero" gives zeros, for a source that target does not depend on.

        Returns:
            Tensors in the structure of `sources`. Integer targets and sources are never connected.

        Raises:
            RuntimeError: on the second use of a tape that is not persistent.
            ValueError: when an output gradient's shape is not its target's.
        """
        if unconnected_gradients not in ("none", "zero"):
            raise ValueError(f"unconnected_gradients: expected 'none' or 'zero', received {unconnected_gradients!r}")
        if self._used:
            raise RuntimeError(
                "GradientTape: gradient was already called; a tape that is not persistent answers once. "
                "Use GradientTape(persistent=True)"
            )
        from . import ops
        from .row_gradient import summed

        targets = [self._target(t) for t in tree.flatten(target)]
        flat = tree.flatten(sources)
        for source in flat:
            if not (hasattr(source, "_array") or hasattr(source, "__quernel_tensor__")):
                raise TypeError(f"sources: expected Tensors and Variables, received {type(source).__name__}")
        if self._persistent:
            nodes, reads = list(self._nodes), self._reads
        else:
            self._pause()
            self._used = True
            nodes, reads = self._nodes, self._reads
            variables = self._variables
            self._clear()
            self._variables = variables
        readers = [[s] if not hasattr(s, "__quernel_tensor__") else reads.get(id(s), []) for s in flat]
        grads = self._seed(ops, targets, output_gradients)
        wanted = {id(r) for group in readers for r in group}
        backward(summed, nodes, grads, wanted)
        results = []
        for source, group in zip(flat, readers):
            total = None
            for reader in group:
                part = grads.get(id(reader))
                if part is not None:
                    total = part if total is None else summed(total, part)
            if total is None and unconnected_gradients == "zero":
                total = ops.zeros_like(source)
            results.append(total)
        return tree.pack(sources, results)

    def _target(self, value):
        if hasattr(value, "__quernel_tensor__"):
            reads = self._reads.get(id(value))
            return reads[-1] if reads else value._cached_reader()
        if not hasattr(value, "_array"):
            raise TypeError(f"target: expected a Tensor or Variable, received {type(value).__name__}")
        return value

    def _seed(self, ops, targets, output_gradients):
        if output_gradients is None:
            starts = [None] * len(targets)
        else:
            starts = tree.flatten(output_gradients)
            if len(starts) != len(targets):
                raise ValueError(
                    f"output_gradients: expected {len(targets)} of them, as target, received {len(starts)}"
                )
        grads = {}
        for value, start in zip(targets, starts):
            if not is_float(value._array.dtype):
                continue
            if start is None:
                start = ops.ones_like(value)
            else:
                start = as_tensor(start, "output_gradients", value.dtype)
                if start.shape != value.shape:
                    raise ValueError(f"output_gradients: expected shape {value.shape}, received {start.shape}")
            before = grads.get(id(value))
            grads[id(value)] = start if before is None else ops.add(before, start)
        return grads
