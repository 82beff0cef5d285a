"""Random programs: what a step computes, reads, writes, differentiates, keeps and returns, its plan computes bit for bit."""

import os

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject, settings

import quernel as qn
from quernel import ops
from quernel.plan import Function, plan
from quernel.tensor import as_tensor

EXAMPLES = int(os.environ.get("QUERNEL_PLAN_PROGRAMS", "30"))  # of each machine
STEPS = 5
ROWS, COLUMNS = 3, 4


class World:
    """The state of a program, and what its step keeps between calls."""

    def __init__(self):
        qn.utils.set_random_seed(7)
        rng = np.random.default_rng(3)
        self.w = [
            qn.Variable(rng.normal(size=(ROWS, COLUMNS)).astype("float32")),
            qn.Variable(rng.normal(size=COLUMNS).astype("float32")),
            qn.Variable(np.float32(0.5)),
            qn.Variable(rng.normal(size=(2, ROWS, 1)).astype("float32"), trainable=False),
        ]
        self.rows = qn.Variable(np.array([1, 0, 2]), dtype="int64", trainable=False)
        self.constant = qn.constant(rng.normal(size=(ROWS, COLUMNS)).astype("float32"))
        self.table = rng.normal(size=(ROWS, COLUMNS)).astype("float32")[:, ::-1]
        self.start = self.w[0].value[1:]  # read before the first step
        self.dense = qn.layers.Dense(COLUMNS, activation="relu")
        self.norm = qn.layers.BatchNormalization()
        self.dropout = qn.layers.Dropout(0.5, seed=3)
        for layer in (self.dense, self.norm):
            layer.build((None, COLUMNS))
        trained = [*self.w[:3], *self.dense.variables, *self.norm.trainable_variables]
        self.sgd, self.adam = qn.optimizers.SGD(0.1, momentum=0.9), qn.optimizers.Adam(0.01)
        self.sgd.build(trained), self.adam.build(trained)
        self.trained = trained
        self.mean = qn.metrics.Mean()
        self.inner = Function(lambda a, b: ops.tanh(a) * b)
        self.kept = {}

    def state(self):
        owners = (self.dense, self.norm, self.dropout, self.sgd, self.adam, self.mean)
        return [*self.w, self.rows, *(v for owner in owners for v in owner.variables)]


class Run:
    """One call of the step: a pool of Tensors that instructions take from and add to."""

    def __init__(self, world, x, y, rows):
        self.world = world
        self.pool = [x, y]
        self.rows = rows

    def pick(self, i):
        return self.pool[-1 - i % len(self.pool)]

    def put(self, value):
        if value.size > 600 or len(value.shape) > 4:
            value = ops.sum(value, axis=-1)
        self.pool.append(value)

    def do(self, program):
        for name, *arguments in program:
            getattr(self, f"do_{name}")(*arguments)

    # --- values

    def do_read(self, a, b, k):
        self.put(self.world.w[a % 4].value)

    def do_outside(self, a, b, k):
        world = self.world
        self.put([world.constant, ops.multiply(world.table, 1.0), world.start, ops.add(world.table, 1.0)][a % 4])

    def do_unary(self, a, b, k):
        x = floats(self.pick(a))
        functions = [ops.tanh, ops.relu, ops.square, ops.negative, ops.sigmoid, ops.absolute, ops.copy, ops.softplus]
        self.put(functions[k % 8](x))

    def do_binary(self, a, b, k):
        x = floats(self.pick(a))
        y = fit(self.pick(b), x.shape)
        self.put([ops.add, ops.subtract, ops.multiply, ops.maximum, lambda p, q: p * 0.5 + q][k % 5](x, y))

    def do_reduce(self, a, b, k):
        x = floats(self.pick(a))
        if x.size == 0:
            return
        axis = None if not x.shape or b % 3 == 0 else b % len(x.shape)
        self.put([ops.sum, ops.mean, ops.max][k % 3](x, axis=axis, keepdims=b % 2 == 1))

    def do_matmul(self, a, b, k):
        x = ops.reshape(floats(self.pick(a)), (-1,))
        if x.shape[0] and x.shape[0] % COLUMNS == 0:
            x = ops.reshape(x, (-1, COLUMNS))
            self.put(ops.matmul(x, ops.transpose(x)) if k % 2 else ops.matmul(x, ops.transpose(self.world.w[0])))

    def do_view(self, a, b, k):
        x = self.pick(a)
        rank = len(x.shape)
        views = [
            lambda: ops.reshape(x, (-1,)),
            lambda: ops.transpose(x),
            lambda: x[b % 3 :] if rank else x,
            lambda: x[..., :: -1 - b % 2] if rank else x,
            lambda: ops.broadcast_to(x, (2, *x.shape)),
            lambda: ops.expand_dims(x, b % (rank + 1)),
            lambda: ops.squeeze(x),
            lambda: x[b % x.shape[0]] if rank and x.shape[0] else x,
            lambda: ops.stop_gradient(x),
            lambda: x[:0] if rank else x,
        ]
        self.put(views[k % 10]())

    def do_take(self, a, b, k):
        x = floats(self.pick(a))
        if x.shape and x.shape[0] >= ROWS:
            self.put(ops.take(x, self.rows if b % 2 else self.world.rows, axis=0))

    def do_cast(self, a, b, k):
        x = ops.cast(self.pick(a), ["float64", "int32", "bool", "float16", "int64"][k % 5])
        self.put(x)

    def do_random(self, a, b, k):
        x = floats(self.pick(a))
        self.put(qn.random.normal(x.shape) if k % 2 else qn.random.dropout(x, 0.5))

    # --- state

    def do_assign(self, a, b, k):
        v = self.world.w[b % 4]
        value = fit(self.pick(a), v.shape)
        if k % 3 == 0:
            new = v.assign(ops.broadcast_to(value, v.shape))
        else:
            new = v.assign_add(value * 0.1) if k % 3 == 1 else v.assign_sub(value)
        if k % 2:
            self.put(new)

    def do_assign_itself(self, a, b, k):
        w = self.world.w[0]
        views = [
            lambda: w.value[::-1],
            lambda: w.value[:, ::-1],
            lambda: ops.transpose(ops.reshape(w.value, (COLUMNS, ROWS))),
            lambda: ops.broadcast_to(w.value[1:2], (ROWS, COLUMNS)),
        ]
        (w.assign if k % 2 else w.assign_sub)(views[b % 4]())

    def do_turn_rows(self, a, b, k):
        self.world.rows.assign(ops.take(self.world.rows, self.rows))

    def do_keep(self, a, b, k):
        self.world.kept[k % 3] = self.pick(a)

    def do_metric(self, a, b, k):
        self.world.mean.update_state(floats(self.pick(a)))
        self.put(self.world.mean.result())

    def do_layer(self, a, b, k):
        x = ops.reshape(fit(self.pick(a), (ROWS, COLUMNS)) + ops.zeros((ROWS, COLUMNS)), (ROWS, COLUMNS))
        world = self.world
        self.put(
            [world.dense, lambda t: world.norm(t, training=b % 2 == 0), lambda t: world.dropout(t, training=True)][
                k % 3
            ](x)
        )

    def do_inner(self, a, b, k):
        x = floats(self.pick(a))
        self.put(self.world.inner(x, fit(self.pick(b), x.shape)))

    # --- tapes

    def do_tape(self, body, a, b, k):
        world = self.world
        with qn.GradientTape(persistent=k % 2 == 1) as tape:
            watched = floats(self.pick(a))
            if k % 3 == 0:
                tape.watch(watched)
            self.put(world.w[b % 3] * 1.0)
            if b % 5 == 0:
                self.put(
                    ops.reshape(world.norm(world.dense(ops.ones((ROWS, COLUMNS)) * world.w[2]), training=True), (-1,))
                )
            self.do(body)
            loss = ops.mean(ops.square(floats(self.pick(0)))) if self.pick(0).size else ops.sum(world.w[2])
            if b % 7 == 0:
                with tape.stop_recording():
                    world.w[1].assign(world.w[1] * 0.5)
        sources = [*world.trained, watched]
        for _ in range(1 + k % 2):
            grads = tape.gradient(loss, sources)
            for g in grads:
                if g is not None and a % 2:
                    self.put(g)
        pairs = [(g, v) for g, v in zip(grads, world.trained) if g is not None]
        if pairs and k % 4:
            (world.sgd if k % 4 == 1 else world.adam).apply_gradients(pairs)
            if k % 4 == 3 and k % 2:
                self.put(tape.gradient(loss, world.w[2], unconnected_gradients="zero"))
        self.put(loss)


def floats(x):
    return x if x.dtype == "float32" else ops.cast(x, "float32")


def fit(x, shape):
    """x as float32, summed where it does not broadcast to the shape."""
    x = floats(x)
    try:
        return x if np.broadcast_shapes(x.shape, shape) == tuple(shape) else ops.sum(x)
    except ValueError:
        return ops.sum(x)


number = st.integers(0, 11)
plain = ["read", "outside", "unary", "binary", "binary", "reduce", "matmul", "view", "view", "take", "random"]
plain += ["assign", "assign", "assign_itself", "turn_rows", "keep", "metric", "layer", "inner"]
single = st.tuples(st.sampled_from(plain), number, number, number)
odd = st.tuples(st.just("cast"), number, number, number)


def programs(depth, native):
    one = single if native else st.one_of(single, odd)
    if depth:
        body = programs(depth - 1, native)
        one = st.one_of(one, one, one, st.tuples(st.just("tape"), body, number, number, number))
    return st.lists(one, min_size=1, max_size=8)


def batch(i, layout):
    """The arguments of a call: two arrays, whose memory may overlap, and indices."""
    rng = np.random.default_rng([5, i])
    x = rng.normal(size=(ROWS, COLUMNS)).astype("float32")
    y = rng.normal(size=(2 * ROWS, 2 * COLUMNS)).astype("float32")
    y = [y[::2, ::-2], x, x[::-1], y[0, :COLUMNS], np.broadcast_to(y[:ROWS, :1], (ROWS, COLUMNS)), y[:0], y.T][
        layout % 7
    ]
    return x, y, rng.integers(0, ROWS, ROWS)


def execute(program, outputs, layout, recorded, meddle):
    """The bits of all results, kept Tensors and state after each of the steps."""
    world = World()

    def step(x, y, rows):
        run = Run(world, x, y, rows)
        run.do(program)
        found = [run.pick(i) for i in outputs]
        return {"first": found[0], "rest": (found[1:], world.w[0].value)}

    run = Function(step) if recorded else step
    seen, outside = [], []
    for i in range(STEPS):
        x, y, rows = batch(i, layout)
        arguments = [x, y, rows] if recorded else [as_tensor(a) for a in (x, y, rows)]  # as they lie in memory
        if layout == 7:
            arguments[1] = world.w[0].value
        elif layout == 8:
            arguments[1] = world.w[0].value[:, ::-2]
            if not recorded:
                arguments[1] = ops.copy(arguments[1])  # as Function does; NumPy's sums depend on strides
        if meddle % 2:
            outside.append(world.w[i % 4].value)
        if meddle > 1 and i > 1:
            world.w[1].assign(world.w[1] * 0.5)
            world.sgd.learning_rate = 0.1 / i
        result = run(*arguments)
        tensors = [*qn.tree.flatten(result), *(world.kept[k] for k in sorted(world.kept)), *outside, *world.state()]
        seen.append([(t.shape, t.dtype, t._array.tobytes()) for t in tensors])
    if recorded:
        assert run.plans and run.plans[0].runs == STEPS - 2, "the third step on is a plan"
    return seen


MACHINES = [*qn.backend.isas(), "loop", "numpy"]


@pytest.mark.parametrize("machine", MACHINES)
def test_random_programs(machine, sharing, monkeypatch):
    if machine == "loop":  # native kernels, called one by one from Python
        monkeypatch.setattr(plan, "can_run", lambda program: False)

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(
        programs(2, machine in qn.backend.isas()),
        st.lists(number, min_size=1, max_size=3),
        st.integers(0, 8),
        st.integers(0, 3),
        st.integers(1, 3),
    )
    def check(program, outputs, layout, meddle, threads):
        qn.backend.set_num_threads(threads)
        try:
            expected = execute(program, outputs, layout, False, meddle)
        except (ValueError, TypeError, ZeroDivisionError):
            reject()
        received = execute(program, outputs, layout, True, meddle)
        for i, (a, b) in enumerate(zip(expected, received)):
            wrong = [j for j, (p, q) in enumerate(zip(a, b)) if p != q]
            assert len(a) == len(b)
            assert not wrong, f"step {i}: values {wrong} of {len(a)} differ"

    with qn.backend.use_backend("numpy" if machine == "numpy" else "native"):
        if machine in qn.backend.isas():
            with qn.backend.use_isa(machine):
                check()
        else:
            check()
