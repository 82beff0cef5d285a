"""Comparisons with a derived tolerance, and gradients against finite differences."""

import numpy as np


def assert_close(actual, expected, tolerance, what="result"):
    """Every element within the absolute `tolerance` (number or array); NaN equals NaN, inf equals the same inf."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    if actual.shape != expected.shape:
        raise AssertionError(f"{what}: expected shape {expected.shape}, received {actual.shape}")
    if actual.dtype.kind != "f" or expected.dtype.kind != "f":
        actual, expected = actual.astype(np.float64), expected.astype(np.float64)
    with np.errstate(all="ignore"):
        error = np.abs(actual.astype(np.float64) - expected.astype(np.float64))
    same = (actual == expected) | (np.isnan(actual) & np.isnan(expected))
    bad = ~same & ~(error <= tolerance)
    if bad.any():
        at = tuple(int(i[0]) for i in np.nonzero(bad)) if bad.ndim else ()
        limit = np.broadcast_to(tolerance, bad.shape)[at]
        raise AssertionError(
            f"{what}: {int(bad.sum())} of {bad.size} elements differ; at {at}: expected {expected[at]!r}, "
            f"received {actual[at]!r}, error {error[at]:.3g} exceeds {limit:.3g}"
        )


def assert_same_bits(actual, expected, what="result"):
    """Equal shape, dtype and bytes; NaN payloads and signs are not compared."""
    actual, expected = np.ascontiguousarray(actual), np.ascontiguousarray(expected)
    assert actual.shape == expected.shape and actual.dtype == expected.dtype, (
        f"{what}: expected {expected.dtype}{expected.shape}, received {actual.dtype}{actual.shape}"
    )
    if actual.dtype.kind == "f":
        nan = np.isnan(actual) & np.isnan(expected)
        actual, expected = np.where(nan, 0, actual), np.where(nan, 0, expected)
    different = (
        actual.view(np.uint8) != expected.view(np.uint8) if actual.ndim else actual.tobytes() != expected.tobytes()
    )
    if np.any(different):
        count = int(np.sum(actual != expected))
        raise AssertionError(f"{what}: {count} of {actual.size} elements differ in their bits")


def _flatten(arrays):
    for a in arrays:
        yield from a if isinstance(a, list) else [a]


def random_direction(arrays, seed=0):
    """Normal float64 arrays of the shapes of the float arrays in `arrays` (None elsewhere), flattened."""
    rng = np.random.Generator(np.random.Philox(seed))
    return [rng.standard_normal(a.shape) if a is not None and a.dtype.kind == "f" else None for a in _flatten(arrays)]


def _moved(arrays, direction, step):
    """`arrays` with step * direction added to the float ones; the structure stays."""
    directions = iter(direction)

    def one(a):
        d = next(directions)
        return a if d is None else np.asarray(a + step * d)

    return [[one(v) for v in a] if isinstance(a, list) else one(a) for a in arrays]


def _gradients(op, arrays, attrs, weights, directions=None):
    """Gradients (or, with `directions`, gradients of gradient . direction) of sum(weights * op(arrays)) by tapes."""
    from ..autograd import GradientTape
    from ..tensor import Tensor

    def lift(a):
        return None if a is None else Tensor(a)

    tensors = [[lift(v) for v in a] if isinstance(a, list) else lift(a) for a in arrays]
    sources = [t for t in _flatten(tensors) if t is not None and t.dtype == "float64"]
    constants = [Tensor(w) for w in weights]

    def first(tape):
        with tape:
            tape.watch(sources)
            results = op(*tensors, **attrs)
        results = results if isinstance(results, tuple) else (results,)
        pairs = [(r, c) for r, c in zip(results, constants) if r.dtype == "float64"]
        return tape.gradient([r for r, _ in pairs], sources, output_gradients=[c for _, c in pairs])

    if directions is None:
        return first(GradientTape())
    with GradientTape() as outer:
        outer.watch(sources)
        gradients = first(GradientTape())
    pairs = [(g, Tensor(d)) for g, d in zip(gradients, directions) if g is not None]
    if not pairs:
        return [None] * len(sources)
    return outer.gradient([g for g, _ in pairs], sources, output_gradients=[d for _, d in pairs])


def _dot(values, directions):
    total = 0.0
    for v, d in zip(values, directions):
        if v is not None:
            total += float(np.vdot(np.asarray(v), d))
    return total


def gradcheck(op, kernel, arrays, attrs, order=1, every_element=False, step=1e-5, rtol=1e-6):
    """Checks the gradient rule of `op` in float64 along a random direction against central differences of the definition.

    Args:
        op: the function of quernel.ops.
        kernel: its Kernel; `kernel.definition` is differenced.
        arrays: float64 (and integer) inputs.
        order: 1, or 2 for the derivative of the gradient.
        every_element: order 1 only: differences every input element instead of one direction.
        step, rtol: the difference step and the error allowed relative to the terms of the sum.
    """
    attrs = kernel.freeze(dict(attrs))
    with np.errstate(all="ignore"):
        outputs = kernel.definition(*arrays, **attrs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    weights = random_direction(list(outputs), seed=1)
    weights = [np.zeros(np.shape(o)) if w is None else w for w, o in zip(weights, outputs)]
    direction = random_direction(arrays, seed=2)
    flat = [d for d in direction if d is not None]

    def loss(at):
        with np.errstate(all="ignore"):
            values = kernel.definition(*at, **attrs)
        values = values if isinstance(values, tuple) else (values,)
        return _dot([v if np.asarray(v).dtype.kind == "f" else None for v in values], weights)

    if order == 1:
        gradients = _gradients(op, arrays, attrs, weights)
        if every_element:
            _check_every_element(loss, arrays, gradients, step, rtol)
            return
        analytic = _dot(gradients, flat)
        numeric = (loss(_moved(arrays, direction, step)) - loss(_moved(arrays, direction, -step))) / (2 * step)
        scale = sum(float(np.sum(np.abs(np.asarray(g) * d))) for g, d in zip(gradients, flat) if g is not None)
    else:
        second = random_direction(arrays, seed=3)
        flat2 = [d for d in second if d is not None]

        def slope(at):
            return _dot(_gradients(op, at, attrs, weights), flat)

        gradients = _gradients(op, arrays, attrs, weights, flat)
        analytic = _dot(gradients, flat2)
        numeric = (slope(_moved(arrays, second, step)) - slope(_moved(arrays, second, -step))) / (2 * step)
        scale = sum(float(np.sum(np.abs(np.asarray(g) * d))) for g, d in zip(gradients, flat2) if g is not None)
    limit = rtol * (1 + scale + abs(numeric))
    if not abs(analytic - numeric) <= limit:
        raise AssertionError(
            f"{kernel.name}: order {order}: the gradient rule gives {analytic:.9g} along a random direction, "
            f"differences give {numeric:.9g}; the difference exceeds {limit:.3g}"
        )


def _check_every_element(loss, arrays, gradients, step, rtol):
    index = 0
    floats = iter(gradients)
    for a in list(_flatten(arrays)):
        if a is None or a.dtype.kind != "f":
            continue
        gradient = next(floats)
        gradient = np.zeros(a.shape) if gradient is None else np.asarray(gradient)
        for at in np.ndindex(a.shape):
            old = a[at]
            a[at] = old + step
            up = loss(arrays)
            a[at] = old - step
            down = loss(arrays)
            a[at] = old
            numeric = (up - down) / (2 * step)
            if not abs(gradient[at] - numeric) <= rtol * (1 + abs(numeric)) * 10:
                raise AssertionError(
                    f"input {index} at {at}: the gradient rule gives {gradient[at]:.9g}, differences give {numeric:.9g}"
                )
        index += 1
