"""GradientTape: what is watched, pruned, added, refused; higher derivatives."""

import gc
import threading
import weakref

import numpy as np
import pytest

import quernel as qn
from quernel import autograd, backward, ops


def values(tensor):
    return tensor.numpy().tolist()


def test_a_polynomial():
    x = qn.Variable(3.0)
    with qn.GradientTape() as tape:
        y = x * x * x + 2 * x
    assert float(tape.gradient(y, x)) == 29


def test_structures_of_sources():
    a, b, c = qn.Variable(2.0), qn.constant(3.0), qn.Variable(5.0)
    with qn.GradientTape(persistent=True) as tape:
        tape.watch(b)
        y = a * b
    assert float(tape.gradient(y, a)) == 3
    assert [float(g) for g in tape.gradient(y, [a, b])] == [3, 2]
    pair = tape.gradient(y, (b, a))
    assert type(pair) is tuple and [float(g) for g in pair] == [2, 3]
    nested = tape.gradient(y, {"a": a, "rest": [b, c]})
    assert float(nested["a"]) == 3 and float(nested["rest"][0]) == 2 and nested["rest"][1] is None


def test_unconnected():
    a, b = qn.Variable([1.0, 2.0]), qn.Variable([1.0, 2.0])
    with qn.GradientTape(persistent=True) as tape:
        y = a * 2
    assert tape.gradient(y, b) is None
    assert values(tape.gradient(y, b, unconnected_gradients="zero")) == [0, 0]
    with pytest.raises(ValueError, match="expected 'none' or 'zero'"):
        tape.gradient(y, b, unconnected_gradients="no")


def test_targets_are_summed():
    x = qn.Variable([1.0, 2.0])
    with qn.GradientTape(persistent=True) as tape:
        y, z = x * x, x * 3
    assert values(tape.gradient(y, x)) == [2, 4]
    assert values(tape.gradient([y, z], x)) == [5, 7]
    assert values(tape.gradient({"y": y, "z": z}, x)) == [5, 7]
    assert values(tape.gradient([y, y], x)) == [4, 8]


def test_output_gradients():
    x = qn.Variable([1.0, 2.0])
    with qn.GradientTape(persistent=True) as tape:
        y = x * x
    assert values(tape.gradient(y, x, output_gradients=qn.constant([10.0, 100.0]))) == [20, 400]
    assert values(tape.gradient([y, y], x, output_gradients=[qn.constant([1.0, 0.0]), None])) == [4, 4]
    with pytest.raises(ValueError, match=r"expected shape \(2,\), received \(3,\)"):
        tape.gradient(y, x, output_gradients=qn.constant([1.0, 2.0, 3.0]))
    with pytest.raises(ValueError, match="output_gradients: expected 2 of them"):
        tape.gradient([y, y], x, output_gradients=[qn.constant([1.0, 0.0])])


def test_second_use():
    x = qn.Variable(2.0)
    with qn.GradientTape() as tape:
        y = x * x
    tape.gradient(y, x)
    with pytest.raises(RuntimeError, match="persistent=True"):
        tape.gradient(y, x)
    with qn.GradientTape(persistent=True) as tape:
        y = x * x
    assert float(tape.gradient(y, x)) == float(tape.gradient(y, x)) == 4


def test_a_tape_used_again_after_reset():
    x = qn.Variable(2.0)
    tape = qn.GradientTape()
    for _ in range(2):
        with tape:
            y = x * x
        assert float(tape.gradient(y, x)) == 4
        tape.reset()
        assert tape.watched_variables() == ()


def test_inside_its_own_context():
    x = qn.Variable(3.0)
    with qn.GradientTape() as tape:
        y = x * x
        grad = tape.gradient(y, x)
        assert autograd.tapes() == []
    assert float(grad) == 6
    with qn.GradientTape(persistent=True) as tape:
        y = x * x * x
        first = tape.gradient(y, x)
        second = tape.gradient(first, x)
    assert (float(first), float(second)) == (27, 18)


def test_higher_order():
    x = qn.Variable(2.0)
    with qn.GradientTape() as outer:
        with qn.GradientTape() as middle:
            with qn.GradientTape() as inner:
                y = x * x * x * x
            first = inner.gradient(y, x)
        second = middle.gradient(first, x)
    third = outer.gradient(second, x)
    assert (float(first), float(second), float(third)) == (32, 48, 48)


def test_every_read_counts():
    x = qn.Variable([2.0])
    with qn.GradientTape() as tape:
        a = x * 1
        x.assign([5.0])
        y = a + x * 10 + x
    assert values(y) == [2 + 50 + 5]
    assert values(tape.gradient(y, x)) == [12]


def test_outer_tape_reads_before_and_after():
    x = qn.Variable(2.0)
    with qn.GradientTape(persistent=True) as outer:
        a = x * 3
        with qn.GradientTape() as inner:
            b = x * x
        slope = inner.gradient(b, x)
        y = a + b + slope
    assert float(outer.gradient(y, x)) == 3 + 4 + 2


def test_a_value_read_before_is_not_watched():
    x = qn.Variable(2.0)
    before = x.value
    with qn.GradientTape() as tape:
        y = before * x
    assert float(tape.gradient(y, x)) == 2
    with qn.GradientTape() as tape:
        y = before * before
    assert tape.gradient(y, x) is None


def test_what_is_watched():
    x, frozen, number = qn.Variable(2.0), qn.Variable(3.0, trainable=False), qn.Variable(2)
    with qn.GradientTape(persistent=True) as tape:
        y = x * frozen
        number * 2  # noqa: B018
    assert tape.watched_variables() == (x,)
    assert tape.gradient(y, frozen) is None
    with qn.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(frozen)
        y = x * frozen
    assert tape.watched_variables() == (frozen,)
    assert [g if g is None else float(g) for g in tape.gradient(y, [x, frozen])] == [None, 2]
    with qn.GradientTape() as tape, pytest.raises(TypeError, match="expected a Tensor or Variable, received ndarray"):
        tape.watch(np.zeros(2))


def test_integers_carry_no_gradient():
    i = qn.constant([1, 2])
    with qn.GradientTape(persistent=True) as tape:
        tape.watch(i)
        y = i * 2
    assert tape.gradient(y, i) is None
    x = qn.Variable([1.5, 2.5])
    with qn.GradientTape() as tape:
        y = ops.cast(ops.cast(x, "int32"), "float32")
    assert tape.gradient(y, x) is None


def test_stop_recording_and_stop_gradient():
    x = qn.Variable(3.0)
    with qn.GradientTape() as tape:
        y = x * x
        with tape.stop_recording():
            z = x * x
            assert tape not in autograd.tapes()
        assert tape in autograd.tapes()
        y = y + z
    assert float(tape.gradient(y, x)) == 6
    with qn.GradientTape() as tape:
        y = x * ops.stop_gradient(x)
    assert float(tape.gradient(y, x)) == 3


def test_target_and_source_in_one():
    x = qn.Variable([1.0, 2.0])
    with qn.GradientTape(persistent=True) as tape:
        y = x * 2
        z = y * y
    assert values(tape.gradient(x, x)) == [1, 1]
    assert values(tape.gradient(y, y)) == [1, 1]
    assert [values(g) for g in tape.gradient(z, [y, x])] == [[4, 8], [8, 16]]
    assert [values(g) for g in tape.gradient([z, y], [y, x])] == [[5, 9], [10, 18]]


def test_only_the_path_runs():
    """Rules run for nodes between sources and target, and are asked for wanted inputs only."""
    x, w = qn.Variable(np.ones((2, 3), "float32")), qn.Variable(np.ones((3, 2), "float32"))
    asked = []
    rule = autograd.rule_of(qn.kernels.gemm)

    def spy(node, *dys):
        asked.append([node.needs(i) for i in range(len(node.inputs))])
        return rule(node, *dys)

    backward.RULES["gemm"] = spy
    try:
        with qn.GradientTape() as tape:
            y = ops.matmul(x, w)
            ops.matmul(y, x)
        tape.gradient(y, w)
    finally:
        backward.RULES["gemm"] = rule
    assert asked == [[False, True, False]]


def test_memory_is_freed_on_the_way():
    x = qn.Variable(np.ones(4, "float32"))
    with qn.GradientTape() as tape:
        hidden = x * 2
        y = hidden * hidden
    reference = weakref.ref(hidden)
    del hidden
    assert reference() is not None
    tape.gradient(y, x)
    gc.collect()
    assert reference() is None


def test_threads_have_their_own_tapes():
    x = qn.Variable(2.0)
    seen = []
    with qn.GradientTape() as tape:
        thread = threading.Thread(target=lambda: seen.append((len(autograd.tapes()), x * x)))
        thread.start()
        thread.join()
        y = x * 3
    assert seen[0][0] == 0
    assert float(tape.gradient(y, x)) == 3


def test_refusals():
    x = qn.Variable(2.0)
    with qn.GradientTape(persistent=True) as tape:
        y = x * x
        with pytest.raises(RuntimeError, match="already recording"), tape:
            pass
    with pytest.raises(TypeError, match="sources: expected Tensors and Variables, received float"):
        tape.gradient(y, 2.0)
    with pytest.raises(TypeError, match="target: expected a Tensor or Variable, received float"):
        tape.gradient(2.0, x)
    with pytest.raises(RuntimeError, match="expected a tape that is recording"), tape.stop_recording():
        pass
    with qn.GradientTape() as tape:
        y = x * x
        with pytest.raises(TypeError, match="a GradientTape watches; kernels record nothing"):
            qn.kernels.copy(y)


def test_a_missing_rule_is_named(monkeypatch):
    rule = autograd.rule_of(qn.kernels.copy)
    monkeypatch.delitem(backward.RULES, "copy")
    x = qn.Variable(2.0)
    with qn.GradientTape(), pytest.raises(LookupError, match="the kernel 'copy' has no gradient rule"):
        ops.copy(x)
    backward.RULES["copy"] = rule
