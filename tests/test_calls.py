"""Bad calls of kernels, generic over every op: the error says what was expected and what was received."""

import numpy as np
import pytest

import quernel as qn
from quernel import kernels
from quernel.kernels.values import as_array
from quernel.testing.cases import all_cases

FIRST = {}
for case in all_cases():
    kernel = getattr(qn.kernels, case.op)
    if not kernel.updates and any(isinstance(a, np.ndarray) and a.size > 1 for a in case.make()):
        FIRST.setdefault(case.op, case)
CASES = list(FIRST.values())
COMPUTED = [c for c in CASES if not getattr(qn.kernels, c.op).view]


def parts(case):
    return getattr(qn.kernels, case.op), case.make(), dict(case.attrs)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_arguments(case):
    kernel, arrays, attrs = parts(case)
    with pytest.raises(TypeError, match="unknown argument 'nonsense'; expected"):
        kernel(*arrays, **attrs, nonsense=1)
    with pytest.raises(TypeError, match="expected at most"):
        kernel(*arrays, *[arrays[0]] * (len(kernel.inputs) - len(arrays) + 1), **attrs)
    with pytest.raises(TypeError, match="missing|expected"):
        kernel(**attrs)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_values_that_are_no_numbers(case):
    kernel, arrays, attrs = parts(case)
    for bad in (np.array(["a", "b"]), np.array([object()]), np.array([1 + 2j])):
        wrong = [[bad] * len(arrays[0])] if isinstance(arrays[0], list) else [bad]
        with pytest.raises(TypeError, match="expected numbers, received an array of dtype"):
            kernel(*wrong, *arrays[1:], **attrs)
    masked = np.ma.masked_array(np.ones(3), [0, 1, 0])
    wrong = [[masked]] if isinstance(arrays[0], list) else [masked]
    with pytest.raises(TypeError, match="received a masked array; call .filled"):
        kernel(*wrong, *arrays[1:], **attrs)


@pytest.mark.parametrize("case", COMPUTED, ids=str)
def test_out(case):
    kernel, arrays, attrs = parts(case)
    result = kernel(*arrays, **attrs)
    results = result if isinstance(result, tuple) else (result,)

    def out(first):
        return first if len(results) == 1 else (first, *[np.empty_like(r) for r in results[1:]])

    good = results[0]
    with pytest.raises(ValueError, match="out: expected shape .* received shape"):
        kernel(*arrays, **attrs, out=out(np.empty((*good.shape, 2), good.dtype)))
    with pytest.raises(ValueError, match="out: expected shape .* received shape"):
        kernel(*arrays, **attrs, out=out(np.empty(good.shape, "int16")))
    with pytest.raises(TypeError, match="out: expected a numpy.ndarray, received list"):
        kernel(*arrays, **attrs, out=out([1.0]))
    frozen = np.empty_like(good)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="expected a writeable array, received a read-only one"):
        kernel(*arrays, **attrs, out=out(frozen))
    if good.size > 1:
        flat = np.lib.stride_tricks.as_strided(np.empty(1, good.dtype), good.shape, (0,) * good.ndim)
        with pytest.raises(ValueError, match="overlap"):
            kernel(*arrays, **attrs, out=out(flat))


@pytest.mark.parametrize("strides", [(4, 4), (0, 4), (8, -4), (12, 4)])
def test_out_may_not_overlap_itself(strides):
    out = np.lib.stride_tricks.as_strided(np.zeros(40, "float32")[8:], (3, 4), strides)
    with pytest.raises(ValueError, match="elements do not overlap in memory"):
        qn.kernels.copy(np.ones((3, 4), "float32"), out=out)
    with pytest.raises(ValueError, match="elements do not overlap in memory"):
        qn.kernels.sgd_update([out], [np.ones((3, 4), "float32")], np.float32(0.1))
    for view in (np.zeros((4, 6), "float32").T[::-2, ::1], np.zeros((3, 2, 4), "float32")[:, 0]):
        qn.kernels.copy(np.ones(view.shape, "float32"), out=view)
        assert (view == 1).all()


def test_a_list_of_arrays_may_be_one_array():
    x = np.arange(12, dtype="float32").reshape(3, 2, 2)
    assert qn.kernels.concat(x, axis=0).tolist() == x.reshape(6, 2).tolist()


def test_out_may_not_overlap_an_input():
    x = np.ones(8, "float32")
    with pytest.raises(ValueError, match="overlaps"):
        qn.kernels.add(x[:4], x[4:], out=x[2:6])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_mixed_floats_are_refused(case):
    kernel, arrays, attrs = parts(case)
    floats = [i for i, a in enumerate(arrays) if isinstance(a, np.ndarray) and a.dtype.kind == "f"]
    if len(floats) < 2:
        return
    arrays[floats[-1]] = arrays[floats[-1]].astype("float64")
    with pytest.raises(TypeError, match="expected one floating dtype, received float32 and float64"):
        kernel(*arrays, **attrs)


@pytest.mark.parametrize("case", COMPUTED, ids=str)
def test_byte_swapped_inputs_are_copied(case):
    kernel, arrays, attrs = parts(case)

    def swap(a):
        return a.astype(a.dtype.newbyteorder(">")) if isinstance(a, np.ndarray) else a

    swapped = [[swap(v) for v in a] if isinstance(a, list) else swap(a) for a in arrays]
    got, want = kernel(*swapped, **attrs), kernel(*arrays, **attrs)
    for g, w in zip(got if isinstance(got, tuple) else (got,), want if isinstance(want, tuple) else (want,)):
        assert np.array_equal(g, w, equal_nan=g.dtype.kind == "f")


def test_dlpack_comes_in_without_numpy_arrays():
    class Foreign:
        def __init__(self, array):
            self.array = array

        def __dlpack__(self, **keywords):
            return self.array.__dlpack__(**keywords)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    x = np.array([-1.0, 2.0], "float32")
    assert np.array_equal(qn.kernels.relu(Foreign(x)), [0, 2])


def test_a_watched_tensor_is_refused():
    t = qn.constant([1.0, 2.0])
    with qn.GradientTape() as tape:
        tape.watch(t)
        with pytest.raises(TypeError, match="a Tensor that a GradientTape watches"):
            qn.kernels.relu(t)
    assert np.array_equal(qn.kernels.relu(t), [1, 2])


def test_equal_attributes_of_other_types_are_not_mixed_up():
    """2.0 == 2, True == 1 and -0.0 == 0.0 in Python, yet they are other calls."""
    x = np.zeros(24, "float32")
    assert qn.kernels.reshape(x, newshape=(2, 12)).shape == (2, 12)
    with pytest.raises((TypeError, ValueError), match="2.0"):
        qn.kernels.reshape(x, newshape=(2.0, 12))
    plus = qn.kernels.pad(x[:1], pad_width=((0, 1),), constant_values=0.0)
    minus = qn.kernels.pad(x[:1], pad_width=((0, 1),), constant_values=-0.0)
    assert not np.signbit(plus[1]) and np.signbit(minus[1])


def test_attributes_that_cannot_be_keys_are_refused():
    with pytest.raises(TypeError, match="expected plain attribute values"):
        qn.kernels.reshape(np.zeros(4, "float32"), newshape={})


def test_a_call_made_before_is_known_by_all_that_matters():
    """The short way of a repeated call: another order in memory, byte order, dtype, attribute or backend is another call."""
    kernels, x = qn.kernels, np.arange(12, dtype="float32").reshape(3, 4)
    for _ in range(3):  # the second and third time are known
        np.testing.assert_array_equal(kernels.add(x, x), x + x)
        np.testing.assert_array_equal(kernels.add(x.T, x.T), x.T + x.T)
        np.testing.assert_array_equal(kernels.add(x.astype(">f4"), x), x + x)
        whole = x.astype("int32")
        assert kernels.add(whole, whole).dtype == np.int32
        np.testing.assert_array_equal(kernels.add(whole.astype(">i4"), whole), whole + whole)
        np.testing.assert_array_equal(kernels.sum(x, axis=1), x.sum(1))
        np.testing.assert_array_equal(kernels.sum(x, axis=1, keepdims=True), x.sum(1, keepdims=True))
        np.testing.assert_array_equal(kernels.sum(x, keepdims=False, axis=0), x.sum(0))
        assert kernels.gemm(x, x.T.copy(), None, alpha=0.5)[0, 1] == 19
        with pytest.raises(TypeError):
            kernels.add(x, x.astype("float64"))
        with pytest.raises(IndexError, match="4"):
            kernels.gather(x, np.array([0, 4]))


def test_a_known_call_in_place_or_of_lists_is_known_by_all_that_matters():
    kernels = qn.kernels
    rate = np.array(0.5, "float32")

    def step(w, g, **attributes):
        kernels.sgd_update([w], [g], rate, **attributes)
        return w.tolist()

    for _ in range(3):
        one, two = np.ones(2, "float32"), np.full(2, 2, "float32")
        assert step(one.copy(), two) == [0, 0]
        assert step(np.ones(4, "float32")[::2], two) == [0, 0]
        with pytest.raises(TypeError, match="float64"):
            step(np.ones(2), two.astype("float64"))
        kernels.sgd_update([v := one.copy(), w := two.copy()], [one, one], rate, [one.copy(), two.copy()], momentum=0.5)
        assert v.tolist() == [1, 1] and w.tolist() == [2.5, 2.5]
        fixed = one.copy()
        fixed.flags.writeable = False
        with pytest.raises(ValueError, match="writeable"):
            step(fixed, two)
        with pytest.raises(ValueError, match="overlap"):
            step(one, one)
        with pytest.raises(ValueError, match=r"gradients"):
            kernels.sgd_update([one.copy()], [two, two], rate)
        assert kernels.concat([one, two]).tolist() == [1, 1, 2, 2]
        assert kernels.concat([one, two.astype(">f4")]).tolist() == [1, 1, 2, 2]
        assert kernels.concat((one, two), axis=-1).tolist() == [1, 1, 2, 2]
        assert kernels.concat([[1.0, 1.0], np.ones(2)]).tolist() == [1, 1, 1, 1]
        assert kernels.add([one, two], one).tolist() == [[2, 2], [3, 3]]  # a list that is one array
    with qn.backend.use_backend("numpy"):  # after the rounds: another backend forgets the calls of this one
        assert step(one.copy(), two) == [0, 0]


@pytest.mark.skipif(not qn.backend.available("native"), reason="needs the compiled core")
def test_a_known_call_is_made_by_the_backend_of_now():
    x = np.full((2, 3), 1e-40, "float32")  # zero natively, a number to NumPy
    for _ in range(3):
        with qn.backend.use_backend("native"):
            assert not qn.kernels.add(x, x).any()
        with qn.backend.use_backend("numpy"):
            assert qn.kernels.add(x, x).all()


def misaligned(values):
    """An array whose elements lie one byte behind multiples of their size."""
    values = np.asarray(values)
    view = np.empty(values.nbytes + 1, np.uint8)[1:].view(values.dtype).reshape(values.shape)
    view[...] = values
    return view


def test_elements_that_are_not_aligned_are_copied_and_not_written():
    """C++ may take a float's address for a multiple of 4."""
    x = np.arange(6, dtype="float32").reshape(2, 3)
    for _ in range(2):  # the second call is a known one
        np.testing.assert_array_equal(kernels.add(misaligned(x), x), x + x)
    assert as_array(misaligned(x), "x").flags.aligned
    with pytest.raises(ValueError, match="add: out: expected elements at multiples of their size; pass a copy"):
        kernels.add(x, x, out=misaligned(x))
    if qn.backend.available("native"):
        call, isa, op = qn.backend.native_op("relu")
        with pytest.raises(ValueError, match="input 0: expected elements at multiples of their size"):
            call(isa, op, (misaligned(x),), (np.empty_like(x),), (), (), True)


@pytest.mark.parametrize(
    "target, words",
    [
        (np.ones(2, ">f4"), "written in place, .*; received ndarray of dtype >f4"),
        (np.ones(2, [("a", "u1"), ("b", "f4")])["b"], "written in place, .*; received ndarray of dtype float32"),
        (misaligned(np.ones(2, "float32")), "written in place, .*; received ndarray of dtype float32"),
        ([1.0, 1.0], "written in place, .*; received list"),
        (qn.constant([1.0, 1.0]), "received a Tensor, which is immutable"),
    ],
    ids=["swapped", "packed record", "misaligned", "list", "Tensor"],
)
def test_a_target_that_would_be_copied_is_refused(target, words):
    """The update would be written into the copy and lost."""
    zeros, rate = np.zeros(2, "float32"), np.float32(1)
    with pytest.raises(TypeError, match=f"assign: target: .*{words}"):
        kernels.assign(target, zeros)
    with pytest.raises(TypeError, match=rf"sgd_update: variables\[0\]: .*{words}"):
        kernels.sgd_update([target], [zeros], rate)
    assert np.asarray(target).tolist() == [1, 1]


def test_targets_that_share_memory():
    class Own(np.ndarray):
        pass

    for target in (np.ones(4, "float32")[::2], np.ones(2, "float32").view(Own), qn.Variable([1.0, 1.0])):
        kernels.assign(target, np.zeros(2, "float32"))
        assert np.asarray(target).tolist() == [0, 0]
