"""embedding, rows_merge and the steps on rows: values worked out by hand, messages, bits over threads."""

import numpy as np
import pytest

import quernel as qn
from quernel import backend, kernels, ops

L = qn.layers
F = np.float32


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def test_embedding_by_hand():
    w = np.array([[1, 2], [3, 4], [5, np.nan]], "float32")
    assert kernels.embedding(w, np.array([[1, 0]])).tolist() == [[[3, 4], [1, 2]]]
    assert np.isnan(kernels.embedding(w, np.uint8(2))[1])
    tiny = np.full((1, 2), 1e-42, "float32")
    assert kernels.embedding(tiny, np.array([0]))[0, 0] == F(1e-42)  # a copy: subnormals survive
    np.testing.assert_array_equal(kernels.embedding(w.T, np.array([1, 1]))[0], [2, 4, np.nan])


@pytest.mark.parametrize("kind", ["int32", "int64"])
@pytest.mark.parametrize("name", ["native", "numba", "numpy"])
def test_an_id_out_of_range_is_named_with_its_place_and_the_fix(name, kind):
    w = normal(10, 3)
    with backend.use_backend(name):
        for shape, at, place in (((4,), (2,), "2"), ((2, 3), (1, 0), r"\(1, 0\)")):
            for bad, fix in (
                (10, "at least 11 rows"),
                (2**31 - 1, "at least 2147483648 rows"),
                (-1, "use 0 for padding"),
            ):
                ids = np.zeros(shape, kind)
                ids[at] = bad
                with pytest.raises(
                    IndexError, match=rf"embedding: .*\[0, 10\).*received {bad} at position {place}; .*{fix}"
                ):
                    kernels.embedding(w, ids)
    with pytest.raises(IndexError, match="expected ids in .0, 0., the rows of the table, received 5;"):
        kernels.embedding(np.zeros((0, 3), "float32"), np.int64(5))
    with pytest.raises(TypeError, match="ids: expected integers, received dtype float32"):
        kernels.embedding(w, np.zeros(2, "float32"))
    with pytest.raises(ValueError, match="a table of shape"):
        kernels.embedding(w[0], np.zeros(2, "int64"))


def test_plans_name_step_id_and_place_and_leave_the_state():
    model = qn.Sequential([L.Embedding(6, 2, embeddings_initializer="ones"), L.Flatten(), L.Dense(1)])
    model.compile(qn.optimizers.Adam(0.1, lazy=True), "mse")
    x, y = np.ones((20, 3), "int32"), np.ones((20, 1), "float32")
    model.fit(x, y, batch_size=2, epochs=2, shuffle=False, verbose=0)
    before, steps = [w.tobytes() for w in model.get_weights()], int(model.optimizer.iterations)
    x[15, 2] = 6
    with pytest.raises(
        IndexError, match=r"step 7 of 10: embedding: .*\[0, 6\).*received 6 at position \(1, 2\); give the"
    ):
        model.fit(x, y, batch_size=2, shuffle=False, verbose=0)
    assert int(model.optimizer.iterations) == steps + 7
    x[15, 2], x[0, 0] = 0, -1
    stand = [w.tobytes() for w in model.get_weights()]
    assert stand != before
    with pytest.raises(IndexError, match="received -1 at position .0, 0.; ids are not negative"):
        model.fit(x, y, batch_size=2, shuffle=False, verbose=0)
    assert [w.tobytes() for w in model.get_weights()] == stand


def test_a_bad_id_undoes_what_the_step_wrote_before():
    table, count = qn.Variable(normal(6, 2)), qn.Variable(0.0)

    @qn.function
    def step(ids):
        count.assign_add(1.0)
        total = ops.sum(ops.embedding(table, ids))
        count.assign_add(1.0)
        return total

    for _ in range(4):
        step(np.array([1, 2]))
    with pytest.raises(IndexError, match="received 6 at position 1"):
        step(np.array([1, 6]))
    assert float(count) == 8 and len(step.plans) == 1


def test_rows_merge_by_hand():
    ids = [np.array([[4, 1], [4, -1]]), np.array([1, 4], "int32")]
    updates = [np.array([[[1.0], [2.0]], [[4.0], [8.0]]], "float32"), np.array([[16.0], [32.0]], "float32")]
    rows, values = kernels.rows_merge(ids, updates, n=5)  # -1 is row 4
    assert rows.tolist() == [4, 1, -1, -1, -1, -1] and values[:, 0].tolist() == [45.0, 18.0, 0, 0, 0, 0]
    rows, values = kernels.rows_merge([np.zeros(2, "int64")], [np.array([[-0.0], [-0.0]], "float32")], n=1)
    assert rows.tolist() == [0, -1] and not np.signbit(values).any()
    values = kernels.rows_merge([np.array([0, 1])], [np.array([[np.nan], [1.0]], "float32")], n=2)[1]
    assert np.isnan(values[0, 0]) and values[1, 0] == 1
    with pytest.raises(IndexError, match=r"rows_merge: .*\[-5, 5\), received 5 at position 1"):
        kernels.rows_merge([np.array([0, 5])], [normal(2, 1)], n=5)
    with pytest.raises(ValueError, match=r"updates\[0\]: expected shape \(2, 1\), received \(3, 1\)"):
        kernels.rows_merge([np.array([0, 1])], [normal(3, 1)], n=5)
    with pytest.raises(ValueError, match="as many ids as updates"):
        kernels.rows_merge([np.array([0, 1])], [], n=5)


def test_merged_rows_hold_the_bits_of_the_dense_gradient():
    ids = np.random.default_rng(0).zipf(1.3, (40, 50)) % 1000
    updates = normal(40, 50, 24)
    dense = kernels.scatter_add(ids, updates, shape=(1000, 24))
    rows, values = kernels.rows_merge([ids], [updates], n=1000)
    count = len(np.unique(ids))
    assert (rows[:count] >= 0).all() and (rows[count:] == -1).all() and not values[count:].any()
    _, first = np.unique(ids.ravel(), return_index=True)
    np.testing.assert_array_equal(rows[:count], ids.ravel()[np.sort(first)])
    np.testing.assert_array_equal(values[:count], dense[rows[:count]])
    out = np.full_like(rows, 7), np.full_like(values, np.nan)  # what was in memory before is not added
    kernels.rows_merge([ids], [updates], n=1000, out=out)
    np.testing.assert_array_equal(out[0], rows)
    np.testing.assert_array_equal(out[1], values)


def test_ids_that_meet_in_the_hash_table():
    step = 2**32  # far apart in value, near in the low bits
    ids = np.arange(200, dtype="int64").repeat(3) * step
    rows, values = kernels.rows_merge([ids], [np.ones((600, 1), "float32")], n=200 * step)
    assert rows[:200].tolist() == (np.arange(200) * step).tolist() and (values[:200] == 3).all()


def test_rows_may_lie_in_memory_in_any_way():
    table, ids, updates = normal(9, 6), np.array([5, 0, 5]), normal(3, 6)
    expected = kernels.rows_merge([ids], [updates], n=9)
    for u in (np.asfortranarray(updates), np.repeat(updates, 2, axis=1)[:, ::2], updates[::-1][::-1]):
        for got, want in zip(kernels.rows_merge([np.repeat(ids, 2)[::2]], [u], n=9), expected):
            np.testing.assert_array_equal(got, want)
    rows, values = expected
    plain = table.copy()
    kernels.sgd_rows_update(plain, rows, values, F(0.5))
    for w in (np.asfortranarray(table), np.repeat(table, 2, axis=1)[:, ::2]):
        kernels.sgd_rows_update(w, rows, np.asfortranarray(values), F(0.5))
        np.testing.assert_array_equal(w, plain)


@pytest.mark.parametrize("amsgrad", [False, True])
def test_steps_on_rows_are_the_optimizers_steps_on_these_rows(amsgrad):
    w, m, v, h = normal(20, 19), normal(20, 19, seed=1), normal(20, 19, seed=2) ** 2, normal(20, 19, seed=3) ** 2
    rows, g = np.array([7, -1, 19, 0], "int64"), normal(4, 19, seed=4)
    at = rows >= 0
    dense = [a[rows[at]].copy() for a in (w, m, v, h)]
    kernels.adam_update(
        [dense[0]], [g[at].copy()], [dense[1]], [dense[2]], F(0.1), np.int64(4), [dense[3]] if amsgrad else None, F(0.7)
    )
    tables = [a.copy() for a in (w, m, v, h)]
    kernels.adam_rows_update(
        tables[0], rows, g, tables[1], tables[2], F(0.1), np.int64(4), tables[3] if amsgrad else None, F(0.7)
    )
    others = np.setdiff1d(np.arange(20), rows)
    for before, table, part in zip((w, m, v, h), tables, dense):
        np.testing.assert_array_equal(table[rows[at]], part)
        np.testing.assert_array_equal(table[others], before[others])
    for nesterov in (False, True):
        x, y = w.copy(), m.copy()
        part = [w[rows[at]].copy(), m[rows[at]].copy()]
        kernels.sgd_update([part[0]], [g[at].copy()], F(0.1), [part[1]], momentum=0.9, nesterov=nesterov)
        kernels.sgd_rows_update(x, rows, g, F(0.1), y, momentum=0.9, nesterov=nesterov)
        np.testing.assert_array_equal(x[rows[at]], part[0])
        np.testing.assert_array_equal(y[rows[at]], part[1])
        np.testing.assert_array_equal(x[others], w[others])


def test_a_row_that_occurs_twice_takes_two_steps():
    w = np.zeros((3, 40), "float32")
    kernels.sgd_rows_update(w, np.array([1, 1]), np.ones((2, 40), "float32"), F(0.5), np.zeros_like(w), momentum=0.5)
    assert (w[1] == -1.25).all() and not w[[0, 2]].any()  # v = -0.5, then -0.75


def test_a_row_out_of_range_writes_nothing():
    w = normal(5, 3)
    before = w.copy()
    with pytest.raises(IndexError, match="sgd_rows_update: .*rows below 5.*received 5 at position 1"):
        kernels.sgd_rows_update(w, np.array([0, 5]), normal(2, 3), F(1.0))
    with pytest.raises(IndexError, match="adam_rows_update: .*received 9"):
        kernels.adam_rows_update(w, np.array([0, 9]), normal(2, 3), w.copy(), w.copy(), F(1.0), np.int64(0))
    np.testing.assert_array_equal(w, before)
    with pytest.raises(TypeError, match="rows: expected int64"):
        kernels.sgd_rows_update(w, np.array([0], "int32"), normal(1, 3), F(1.0))
    with pytest.raises(ValueError, match=r"gradient: expected shape \(1, 3\)"):
        kernels.sgd_rows_update(w, np.array([0]), normal(1, 4), F(1.0))
    with pytest.raises(ValueError, match="velocity: expected an array with momentum"):
        kernels.sgd_rows_update(w, np.array([0]), normal(1, 3), F(1.0), momentum=0.9)
