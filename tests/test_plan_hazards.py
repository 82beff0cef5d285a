"""Steps in which Python keeps, changes or hands over something that a plan does not see: they work, or say why not."""

import copy
import gc
import pickle
import threading
import weakref

import numpy as np
import pytest

import quernel as qn
from quernel import ops
from quernel.plan import Function
from quernel.recording import RecordingError


def runs(make, calls, steps=6):
    """What `make()` gives as a step, eagerly and recorded, for the arguments calls(i)."""
    found = []
    for recorded in (False, True):
        step = make()
        run = Function(step) if recorded else step
        found.append([])
        for i in range(steps):
            result = qn.tree.flatten(run(*calls(i)))
            found[-1].append([np.asarray(v._array if hasattr(v, "_array") else v).tolist() for v in result])
        if recorded:
            assert run.plans, "the step became a plan"
    return found


def test_a_strided_view_of_a_variables_value_as_an_argument():
    for view in (lambda t: t[::2], ops.transpose, lambda t: t[::-1]):
        state = {}

        def make(writes, state=state):
            w = state["w"] = qn.Variable(np.arange(16.0, dtype="float32").reshape(4, 4))

            def step(x):
                if writes:
                    w.assign_add(ops.ones((4, 4)))
                return x * 2.0

            return step

        for writes in (False, True):
            eager, plan = runs(lambda: make(writes), lambda i: (view(state["w"].value),))  # noqa: B023
            assert eager == plan


def test_arrays_that_native_code_cannot_read_as_they_are():
    fields = np.zeros(3, [("a", "i1"), ("b", "f4")])
    fields["b"] = [1, 2, 3]
    other = np.arange(3, dtype="f4").astype(np.dtype("f4").newbyteorder())
    run = qn.function(lambda x: x * 2.0)
    for _ in range(4):
        assert run(fields["b"]).numpy().tolist() == [2, 4, 6]
        assert run(other).numpy().tolist() == [0, 2, 4]
        assert run(np.arange(3, dtype="f4")).numpy().tolist() == [0, 2, 4]
    with pytest.raises(TypeError, match="expected numbers"):
        run(np.array(["a"]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_second_gather_by_the_same_indices_may_find_them_out_of_range(dtype):
    large, small = qn.constant(np.arange(10, dtype=dtype)), qn.constant(np.arange(5, dtype=dtype))
    counter = qn.Variable(0.0)

    def step(i):
        first = ops.take(large, i)
        counter.assign_add(1.0)
        return first + ops.take(small, i)

    run = Function(step)
    for i in range(4):
        run(np.array([i]))
    with pytest.raises(IndexError, match="received 7"):
        run(np.array([7]))
    assert float(counter) == 4.0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_indices_in_a_variable_are_checked_again_after_a_write(dtype):
    table, indices = qn.constant(np.arange(10, dtype=dtype)), qn.Variable(np.array([0]), dtype="int64")

    def step(i):
        first = ops.take(table, indices)
        indices.assign(i)
        return first + ops.take(table, indices)

    run = Function(step)
    for i in range(4):
        run(np.array([i]))
    with pytest.raises(IndexError, match="received 17"):
        run(np.array([17]))
    assert indices.numpy().tolist() == [3]


def test_whatever_tensor_the_step_keeps_follows():
    seen = []
    for recorded in (False, True):
        kept = {}
        w = qn.Variable([1.0, 2.0])

        def step(x, w=w, kept=kept):
            kept["argument"], kept["old"], kept["view"] = x, w.value, w.value[1:]
            new = w.assign_add(x)
            kept["new"], kept["result"] = new, new * 2.0
            return x, kept["result"]

        run = Function(step) if recorded else step
        seen.append([])
        for i in range(6):
            if i == 4:
                w.assign([0.0, 0.0])
            run(qn.constant([1.0, float(i)]))
            seen[-1].append({k: v.numpy().tolist() for k, v in kept.items()})
    assert seen[0] == seen[1]


def test_results_that_were_handed_out_stay_as_they_are():
    kept = {}

    def step(x):
        kept["y"] = x * 2.0
        return kept["y"]

    run = Function(step)
    results = [run(qn.constant([float(i)])) for i in range(5)]
    assert [float(r[0]) for r in results] == [0.0, 2.0, 4.0, 6.0, 8.0]


def test_a_value_read_before_the_first_step_and_used_in_it():
    def make():
        w = qn.Variable([1.0, 2.0])
        start = w.value

        def step(x):
            distance = ops.sum(ops.square(w - start))
            w.assign_add(x)
            return distance

        return step

    eager, plan = runs(make, lambda i: (qn.constant([1.0, float(i)]),))
    assert eager == plan


X = qn.constant([1.0, 2.0])


def changed_after_use():
    noise = np.zeros(2, "float32")

    def step(x):
        y = x + noise
        noise[:] += 1
        return y

    return step


def changed_before_use():
    counter = np.zeros(1, "float32")

    def step(x):
        counter[0] += 1
        return x * counter

    return step


def changed_between_uses():
    def step(x):
        mask = np.zeros(2, "float32")
        y = x + mask
        mask[:] = 1
        return y, x * mask

    return step


def a_large_one():
    noise = np.zeros(5_000_000, "float32")

    def step(x):
        y = x[0] + noise
        np.add(noise, 1, out=noise)
        return y

    return step


@pytest.mark.parametrize("make", [changed_after_use, changed_before_use, changed_between_uses, a_large_one])
def test_numpy_must_not_change_what_the_step_uses(make):
    run = Function(make())
    with pytest.raises(RecordingError, match=r"changed an array from outside.*test_plan_hazards.py:\d+ in step"):
        run(X)
        run(X)


def test_an_array_changed_between_steps_is_read_where_it_is():
    table = np.zeros(2, "float32")
    run = Function(lambda x: x + table)
    for i in range(5):
        table[:] = i
        assert run(X).numpy().tolist() == [1.0 + i, 2.0 + i]
    assert run.plans


def test_an_array_from_outside_that_kernels_write():
    def make():
        total, copied = np.zeros(2, "float32"), np.zeros(2, "float32")

        def step(x):
            qn.kernels.assign_add(total, x)
            qn.kernels.add(x, total, out=copied)
            return ops.multiply(total, 1.0), ops.multiply(copied, 1.0)

        return step

    eager, plan = runs(make, lambda i: (qn.constant([1.0, float(i)]),))
    assert eager == plan


def test_an_array_made_in_the_step_must_not_be_written():
    def step(x):
        total = np.zeros(2, "float32")
        qn.kernels.assign_add(total, x)
        return ops.multiply(total, 1.0)

    run = Function(step)
    run(X)
    with pytest.raises(RecordingError, match="array made in Python during the step is written"):
        run(X)


def test_arguments_must_not_be_written():
    def step(x, memory):
        qn.kernels.assign_add(memory(x), np.ones(2, "float32"))
        return x * 1.0

    with pytest.raises(RecordingError, match="wrote into its argument 0"):
        Function(step)(np.zeros(2, "float32"), lambda x: x._array)
    with pytest.raises(TypeError, match="received a Tensor, which is immutable"):
        Function(step)(np.zeros(2, "float32"), lambda x: x)


def test_state_in_a_python_attribute_is_an_error():
    kept = {"h": qn.zeros((2,))}

    def step(x):
        kept["h"] = ops.tanh(x + kept["h"])
        return kept["h"]

    run = Function(step)
    run(qn.zeros((2,)))
    with pytest.raises(RecordingError, match="a Tensor that Python kept from the first"):
        run(qn.zeros((2,)))  # the same values, so that only the identity tells


class Box:
    def __init__(self, y):
        self.y = y


@pytest.mark.parametrize("step", [lambda x: Box(x * 2.0), lambda x: (y for y in (x,)), lambda x: {x.shape}])
def test_results_in_objects_that_no_plan_can_make_are_errors(step):
    run = Function(step)
    run(X)
    with pytest.raises(RecordingError, match="a plan would return the second forever"):
        run(X)


def test_python_values_may_be_returned():
    w = qn.Variable(1.0)
    values = [w, np.float32(3), None, "a", 2.5, (1, b"x"), np.dtype("int64"), range(3)]
    run = Function(lambda x: [*values[:-1], range(3), x])
    for _ in range(4):
        assert run(X)[:-1] == values
    assert run.plans


def test_positional_and_named_arguments_are_told_apart():
    run = Function(lambda *args, **named: args[0][0] * 2.0 if not named else args[0] * 3.0)
    for _ in range(4):
        assert run((X,), {"a": X}).numpy().tolist() == [2.0, 4.0]
        assert run(X, a=X).numpy().tolist() == [3.0, 6.0]


class Scale:
    def __init__(self, k):
        self.k = qn.Variable(float(k))

    @qn.function
    def run(self, x):
        return x * self.k


def test_a_method_keeps_no_instance_alive():
    gone = []
    for i in range(3):
        thing = Scale(i)
        for _ in range(4):
            thing.run(X)
        assert thing.run.plans
        gone.append(weakref.ref(thing))
        del thing
    gc.collect()
    assert [r() for r in gone] == [None] * 3


def test_copies_of_an_object_run_their_own_method():
    thing = Scale(2)
    for _ in range(4):
        thing.run(X)
    shallow, deep, pickled = copy.copy(thing), copy.deepcopy(thing), pickle.loads(pickle.dumps(thing))
    shallow.k = qn.Variable(5.0)
    deep.k.assign(3.0)
    pickled.k.assign(4.0)
    for _ in range(4):
        for it, k in ((thing, 2.0), (shallow, 5.0), (deep, 3.0), (pickled, 4.0)):
            assert it.run(X).numpy().tolist() == [k, 2 * k]


def test_a_pickled_variable_is_state_as_any_other():
    w = qn.Variable([1.0, 2.0])
    held = w.value
    twin, other = pickle.loads(pickle.dumps(w)), copy.copy(w)
    for v in (twin, other):
        run = Function(lambda x, v=v: v.assign_add(x))
        for _ in range(3):
            run(X)
        old = v.value
        run(X)
        assert (old.numpy().tolist(), v.numpy().tolist()) == ([4.0, 8.0], [5.0, 10.0])
    assert held.numpy().tolist() == w.numpy().tolist() == [1.0, 2.0]


def test_plans_hold_no_results():
    run = Function(lambda x: ops.broadcast_to(x, (1000, 1000)) * 2.0)
    arrays = []
    for _ in range(4):
        result = run(qn.constant(1.0))
        arrays.append(weakref.ref(result._array))
        del result
    gc.collect()
    assert [r() for r in arrays] == [None] * 4


def test_what_only_a_cycle_holds_is_no_output():
    def step(x):
        y = x * 2.0

        def down(n):
            return down(n - 1) if n else y

        return down(3) + 1.0

    run = Function(step)
    for _ in range(3):
        run(X)
    assert len(run.plans[0].program.outputs) == 1


def test_a_backend_chosen_around_each_call_or_inside_the_step():
    def inside(x):
        with qn.backend.use_backend("numpy"):
            return x * 2.0

    run, around = Function(inside), Function(lambda x: x * 2.0)
    for _ in range(4):
        run(X)
        with qn.backend.use_backend("numpy"):
            around(X)
    assert (run._recordings, around._recordings) == (2, 2)


def test_what_another_thread_computes_in_the_step_is_an_error():
    def step(x):
        found = []
        thread = threading.Thread(target=lambda: found.append(x * 2.0))
        thread.start()
        thread.join()
        return found[0] + 1.0

    run = Function(step)
    run(X)
    with pytest.raises(RecordingError, match="another thread"):
        run(X)


def test_many_views_of_a_variable_that_is_written_are_copied_in_the_same_order():
    def make():
        w = qn.Variable(np.arange(12.0, dtype="float32").reshape(3, 4))

        def step(x):
            views = [w.value, *(w.value[i] for i in range(3)), ops.transpose(w.value), w.value[:, ::-1]]
            w.assign_add(x)
            return views

        return step

    for _ in range(5):  # sets of weak references have another order each time
        eager, plan = runs(make, lambda i: (qn.constant([1.0, 2.0, 3.0, float(i)]),))
        assert eager == plan


def test_a_watched_value_of_a_variable_is_the_one_that_is_read_again():
    def make():
        w = qn.Variable([1.0, 2.0], trainable=False)

        def step(x):
            with qn.GradientTape() as tape:
                tape.watch(w.value)
                y = ops.sum(w.value * x)
            gradient = tape.gradient(y, w.value)
            w.assign_add(gradient)
            return gradient

        return step

    eager, plan = runs(make, lambda i: (qn.constant([1.0, float(i)]),))
    assert eager == plan
