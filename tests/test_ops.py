"""Every op on every engine, case and layout against its NumPy definition in float64."""

import functools
import os

import numpy as np
import pytest

import quernel as qn
from quernel.kernels.kernel import spec
from quernel.testing import assert_close, assert_same_bits, each_isa, engines
from quernel.testing.cases import all_cases, speed_cases

CASES = all_cases()
LARGE = speed_cases() if os.environ.get("QUERNEL_SPEED_BITS") else []  # minutes: the sizes that benches time
ENGINES = engines()
COMPILED = [e for e in ENGINES if e.backend != "numpy"]
FMA_ISAS = [e for e in each_isa() if e.isa != "base"]
NATIVE_DTYPES = {"float32", "int32", "int64", "uint8", "bool"}
GUARD = 0xA5


def kernel_of(case):
    return getattr(qn.kernels, case.op)


def flat(arrays):
    out = []
    for a in arrays:
        out.extend(a if isinstance(a, list) else [a])
    return out


def apply_to(arrays, function):
    return [None if a is None else [function(v) for v in a] if isinstance(a, list) else function(a) for a in arrays]


def call(kernel, arrays, attrs, out=None):
    """The outputs of a call as a tuple; of an in-place kernel, what its updated inputs hold afterwards."""
    if kernel.updates:
        arrays = [apply_to([a], np.copy)[0] if name in kernel.updates else a for name, a in zip(kernel.inputs, arrays)]
        kernel(*arrays, **attrs)
        return tuple(
            a for a in flat([a for n, a in zip(kernel.inputs, arrays) if n in kernel.updates]) if a is not None
        )
    result = kernel(*arrays, **attrs) if out is None else kernel(*arrays, **attrs, out=out)
    return result if isinstance(result, tuple) else (result,)


def expected_of(kernel, arrays, attrs):
    wide = apply_to(arrays, lambda a: a.astype(np.float64) if a.dtype.kind == "f" else a.copy())
    with qn.backend.use_backend("numpy"):
        return call(kernel, wide, attrs)


def check(case, arrays, results, expected):
    assert len(results) == len(expected)
    for i, (got, want) in enumerate(zip(results, expected)):
        bound = 0
        if got.dtype.kind == "f":
            bound = case.tolerance(arrays, case.attrs, np.asarray(want), np.finfo(got.dtype).eps)
        assert_close(got, want, bound, f"{case} output {i}")


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_against_the_definition(engine, case):
    kernel = kernel_of(case)
    arrays = case.make("float32")
    before = apply_to(arrays, np.copy)
    expected = expected_of(kernel, arrays, case.attrs)
    with engine:
        results = call(kernel, arrays, case.attrs)
        if not kernel.view and {a.dtype.name for a in flat(arrays) if a is not None} <= NATIVE_DTYPES:
            used = kernel.resolve(kernel.collect(tuple(arrays), {}), kernel.freeze(dict(case.attrs))).backend
            assert used == engine.backend, kernel.explain(*arrays, **case.attrs)
    check(case, arrays, results, expected)
    for a, b in zip(flat(arrays), flat(before)):
        if a is not None:
            assert_same_bits(a, b, f"{case}: an input was modified")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_float64(case):
    kernel = kernel_of(case)
    arrays = case.make("float64")
    expected = expected_of(kernel, arrays, case.attrs)
    results = call(kernel, arrays, case.attrs)
    check(case, arrays, results, expected)
    assert [r.dtype for r in results] == [e.dtype for e in expected]


def guarded(like, offset, step):
    """(buffer, view): an output of `like`'s shape inside guard bytes, `offset` bytes off alignment, last axis strided."""
    shape = like.shape
    wide = shape[:-1] + (shape[-1] * step,) if shape else ()
    count = int(np.prod(wide, dtype=int))
    buffer = np.full(256 + count * like.itemsize, GUARD, np.uint8)
    view = buffer[128 + offset : 128 + offset + count * like.itemsize].view(like.dtype).reshape(wide)
    return buffer, view[..., ::step] if shape else view


@pytest.mark.parametrize("case", [c for c in CASES if not (kernel_of(c).updates or kernel_of(c).view)], ids=str)
@pytest.mark.parametrize("engine", ENGINES, ids=str)
@pytest.mark.parametrize("step", [1, 2])
def test_out_and_guard_bytes(engine, case, step):
    kernel = kernel_of(case)
    arrays = case.make("float32")
    with engine:
        plain = call(kernel, arrays, case.attrs)
        pairs = [guarded(p, 4 if p.itemsize == 4 else 0, step) for p in plain]
        views = tuple(view for _, view in pairs)
        returned = call(kernel, arrays, case.attrs, out=views if len(views) > 1 else views[0])
    for (buffer, view), want, got in zip(pairs, plain, returned):
        assert got is view
        assert_same_bits(view, want, f"{case} out=")
        own = np.zeros(buffer.shape, bool)
        start = view.__array_interface__["data"][0] - buffer.__array_interface__["data"][0]
        if view.size:
            offsets = sum(
                (np.arange(n) * s).reshape((-1,) + (1,) * (view.ndim - 1 - d))
                for d, (n, s) in enumerate(zip(view.shape, view.strides))
            )
            for byte in range(view.itemsize):
                own[start + byte + np.asarray(offsets).reshape(-1)] = True
        assert (buffer[~own] == GUARD).all(), f"{case}: bytes outside the output were written"


def offset_by_four(a):
    raw = np.empty(a.nbytes + 8, np.uint8)
    view = raw[4 : 4 + a.nbytes].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


def reversed_memory(a):
    index = (slice(None, None, -1),) * a.ndim
    return np.ascontiguousarray(a[index]).reshape(a.shape)[index]


def every_second(a):
    wide = np.zeros(tuple(2 * n for n in a.shape), a.dtype)
    index = (slice(None, None, 2),) * a.ndim
    wide[index] = a
    return wide[index] if a.ndim else a


def other_order(a):
    return np.ascontiguousarray(a.T).reshape(a.T.shape).T


LAYOUTS = [offset_by_four, reversed_memory, every_second, other_order]


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("engine", COMPILED, ids=str)
def test_layouts_give_equal_bits(engine, case):
    kernel = kernel_of(case)
    arrays = case.make("float32")
    with engine:
        plain = call(kernel, arrays, case.attrs)
        for layout in LAYOUTS:
            if kernel.updates and layout is not offset_by_four:
                continue  # in-place operands are variables: contiguous
            for got, want in zip(call(kernel, apply_to(arrays, layout), case.attrs), plain):
                assert_same_bits(got, want, f"{case} {layout.__name__}")


@pytest.mark.skipif(not FMA_ISAS, reason="no FMA instruction set here")
@pytest.mark.parametrize("case", [*CASES, *LARGE], ids=str)
def test_bits_do_not_depend_on_threads_or_vector_width(case, sharing):
    kernel = kernel_of(case)
    arrays = case.make("float32")
    reference = None
    for engine in FMA_ISAS:
        with engine:
            for threads in (1, 2, 3, 5, 8, 16):
                qn.backend.set_num_threads(threads)
                results = call(kernel, arrays, case.attrs)
                reference = reference or results
                for got, want in zip(results, reference):
                    assert_same_bits(got, want, f"{case} on {engine}, {threads} threads")


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("engine", COMPILED, ids=str)
def test_nan_and_inf(engine, case):
    kernel = kernel_of(case)
    for value in (np.nan, np.inf, -np.inf):
        arrays = case.make("float32")
        rng = np.random.default_rng(5)
        for a in flat(arrays):
            if a is not None and a.dtype.kind == "f" and a.size:
                a.reshape(-1)[rng.integers(a.size)] = value
        expected = expected_of(kernel, arrays, case.attrs)
        with engine:
            results = call(kernel, arrays, case.attrs)
        for got, want in zip(results, expected):
            if got.dtype.kind != "f":
                continue
            want32 = want.astype(np.float32)
            assert np.array_equal(np.isnan(got), np.isnan(want32)), f"{case}: {value} in: NaN in other places"
            infinite = np.isinf(want)
            assert np.array_equal(got[infinite], want32[infinite]), f"{case}: {value} in: inf in other places"


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("engine", COMPILED, ids=str)
def test_integers_are_exact(engine, case):
    """Where small integers in give small integers out (sums, products, copies), every engine gives exactly those."""
    kernel = kernel_of(case)
    rng = np.random.default_rng(7)
    arrays = apply_to(
        case.make("float32"),
        lambda a: rng.integers(-4, 5, a.shape).astype(a.dtype) if a.dtype.kind == "f" else a,
    )
    expected = expected_of(kernel, arrays, case.attrs)
    for want in expected:
        whole = np.isfinite(want).all() and (np.abs(want) < 2**20).all() and (want == np.rint(want)).all()
        if want.dtype.kind == "f" and not whole:
            return
    with engine:
        results = call(kernel, arrays, case.attrs)
    for got, want in zip(results, expected):
        assert np.array_equal(got.astype(np.float64), want.astype(np.float64)), f"{case}: integers must be exact"


TREES = {"max", "min", "global_max_pool"}  # which of equal zeros comes first follows fold's tree, not the definition


@pytest.mark.parametrize("case", [c for c in CASES if c.op not in TREES], ids=str)
def test_zeros_have_the_sign_of_the_definition(case):
    """Inputs of zeros, and of zeros and ones: a result that is 0 is +0 or -0 wherever the definition's is."""
    kernel = kernel_of(case)
    if sum(a.size for a in flat(case.make("float32")) if a is not None) > 20_000:
        return  # the small cases take the same paths
    for values in ([-0.0], [-0.0, 0.0, 1.0, -1.0]):
        draw = functools.partial(np.random.default_rng(11).choice, np.array(values, "float32"))
        arrays = apply_to(case.make("float32"), lambda a, draw=draw: draw(a.shape) if a.dtype.kind == "f" else a)
        with qn.backend.use_backend("numpy"):
            expected = call(kernel, arrays, case.attrs)
        for engine in COMPILED:
            with engine:
                results = call(kernel, arrays, case.attrs)
            for i, (got, want) in enumerate(zip(results, expected)):
                if got.dtype.kind == "f":
                    zeros = (got == 0) & (want == 0)
                    assert np.array_equal(np.signbit(got[zeros]), np.signbit(want[zeros])), f"{engine}, output {i}"


def open_batch(value, size):
    """The Spec of an array whose first axis is open where it has `size` elements."""
    if value is None or isinstance(value, list):
        return value if value is None else [open_batch(v, size) for v in value]
    shape = value.shape
    return spec((None, *shape[1:]) if shape and shape[0] == size else shape, value.dtype)


def forward_cases():
    """Cases of what models are made of: gradients and random numbers never meet an open batch."""
    for case in CASES:
        kernel = kernel_of(case)
        gradient = case.op.endswith(("_dx", "_dw", "_gather")) or case.op == "scatter_add"
        if kernel.updates or gradient or not case.inputs or kernel.inputs[0] == "state":
            continue
        yield case


@pytest.mark.parametrize("case", list(forward_cases()), ids=str)
def test_shape_rules_take_an_open_batch(case):
    """With None for the first size of the data: the same rank, dtype and sizes, or None, as with the size itself."""
    kernel = kernel_of(case)
    arrays, attrs = case.make("float32"), kernel.freeze(dict(case.attrs))
    first = flat(arrays[:1])[0] if flat(arrays[:1]) else None
    if first is None or not first.ndim or first.shape[0] == 1:
        return
    expected = kernel.specs(arrays, attrs)
    data = [name not in ("w", "state") for name in kernel.inputs]
    for chosen in ([True] + [False] * len(data), data):
        inputs = [open_batch(a, first.shape[0]) if c else a for a, c in zip(arrays, chosen)]
        for got, want in zip(kernel.specs(inputs, attrs), expected):
            assert got.dtype == want.dtype and len(got.shape) == len(want.shape)
            assert all(g in (None, w) for g, w in zip(got.shape, want.shape)), f"{got.shape} for {want.shape}"
