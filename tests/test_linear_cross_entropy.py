"""linear_cross_entropy: the bits of the ops that it stands for, whatever the threads; hand-computed values; bad calls."""

import numpy as np
import pytest

import quernel as qn
from quernel.testing import assert_same_bits, each_isa, engines

K = qn.kernels
THREADS = (1, 2, 3, 8)
FMA_ISAS = [e for e in each_isa() if e.isa != "base"]
native = pytest.mark.skipif(not qn.backend.available("native"), reason="needs the compiled core")


@pytest.fixture(params=engines(), ids=str)
def engine(request):
    return request.param


def arrays(rows, d, o, seed=0, bias=True):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((*rows, d)).astype("float32")
    w = (rng.standard_normal((d, o)) / np.sqrt(d)).astype("float32")
    b = rng.standard_normal(o).astype("float32") if bias else None
    return rng.standard_normal(rows).astype("float32"), x, w, rng.integers(0, o, rows), b


def unfused(dy, x, w, target, b, probabilities=False):
    z = K.dense_forward(x, w, b)
    dz = K.sparse_categorical_crossentropy_dx(dy, target, z, from_logits=True)
    loss = K.sparse_categorical_crossentropy(target, z, from_logits=True)
    guess = K.argmax(K.softmax(z, axis=-1) if probabilities else z, axis=-1)
    return loss, guess, K.dense_dx(dz, w), K.dense_dw(x, dz), K.bias_db(dz)


def same(got, want, what):
    for name, a, b in zip(("loss", "guess", "dx", "dw", "db"), got, want):
        assert_same_bits(a, b, f"{what}: {name}")


# Rows around a chunk of 512 and sums of several, classes around panels and chains, fewer terms than `brief` takes.
SHAPES = [
    ((511,), 20, 70),
    ((512,), 20, 70),
    ((513,), 15, 70),
    ((1100,), 33, 130),
    ((3, 400), 16, 1030),
    ((3,), 64, 700),
    ((40,), 600, 90),
    ((70,), 3, 5000),
    ((520,), 1, 70),  # one column of dx is summed as fold sums
    ((9,), 1, 9000),
]


@native
@pytest.mark.parametrize("rows, d, o", SHAPES, ids=str)
def test_the_bits_of_what_it_stands_for(rows, d, o, sharing):
    for engine in FMA_ISAS:
        with engine:
            for bias in (True, False):
                dy, x, w, target, b = arrays(rows, d, o, bias=bias)
                dy.reshape(-1)[::3] = 0  # masked rows
                want = unfused(dy, x, w, target, b)
                for threads in THREADS:
                    qn.set_num_threads(threads)
                    what = f"{engine}, {threads} threads, bias {bias}"
                    same(K.linear_cross_entropy_dx(dy, x, w, target, b), want, what)
                    same(K.linear_cross_entropy(x, w, target, b), want, what)


@native
def test_a_guess_of_probabilities_goes_by_what_rounding_left():
    x, w = np.ones((1, 1), "float32"), np.array([[0.0, 1e-9, -9.0]], "float32")
    target, dy = np.zeros(1, "int32"), np.ones(1, "float32")
    for engine in FMA_ISAS:
        with engine:
            assert K.linear_cross_entropy(x, w, target)[1] == 1
            assert K.linear_cross_entropy_dx(dy, x, w, target)[1] == 1
            want = K.argmax(K.softmax(x @ w, axis=-1), axis=-1)
            assert want == 0  # the case is one of a tie
            assert K.linear_cross_entropy(x, w, target, probabilities=True)[1] == want
            assert K.linear_cross_entropy_dx(dy, x, w, target, probabilities=True)[1] == want


@pytest.mark.parametrize("probabilities", [False, True])
def test_rows_that_are_not_finite(engine, probabilities):
    dy, x, w, target, b = arrays((5,), 2, 70)
    x[1, 0], x[2, 0], x[3] = np.nan, np.inf, np.float32(3e38)
    with engine:
        want = unfused(dy, x, w, target, b, probabilities)
        got = K.linear_cross_entropy_dx(dy, x, w, target, b, probabilities=probabilities)
        assert np.isnan(got[0][1]) and np.isnan(got[3]).all()
        np.testing.assert_array_equal(np.isnan(got[2]), np.isnan(want[2]))
        for part in (got, K.linear_cross_entropy(x, w, target, b, probabilities=probabilities)):
            np.testing.assert_array_equal(part[1], want[1])
            np.testing.assert_array_equal(np.isnan(part[0]), np.isnan(want[0]))


def test_values_by_hand(engine):
    # Logits (0, ln 3): probabilities 1/4, 3/4.
    x, w, b = np.array([[2.0]], "float32"), np.array([[0.0, np.log(3) / 2 - 1]], "float32"), np.array([0, 2], "float32")
    with engine:
        loss, guess, dx, dw, db = K.linear_cross_entropy_dx(np.array([2], "float32"), x, w, np.array([0]), b)
    assert guess.tolist() == [1]
    np.testing.assert_allclose(loss, [np.log(4)], rtol=1e-6)
    np.testing.assert_allclose(db, [-1.5, 1.5], rtol=1e-6)
    np.testing.assert_allclose(dw, [[-3, 3]], rtol=1e-6)
    np.testing.assert_allclose(dx, [[1.5 * (np.log(3) / 2 - 1)]], rtol=1e-6)


@pytest.mark.parametrize("bad", [-1, 4])
def test_targets_out_of_range(engine, bad):
    dy, x, w, target, b = arrays((3,), 2, 4)
    target[1] = bad
    with engine:
        with pytest.raises(IndexError, match=rf"expected labels in \[0, 4\).*received {bad}"):
            K.linear_cross_entropy(x, w, target, b)
        with pytest.raises(IndexError, match=rf"expected labels in \[0, 4\).*received {bad}"):
            K.linear_cross_entropy_dx(dy, x, w, target, b)


def test_refusals():
    dy, x, w, target, b = arrays((3,), 2, 4)
    for call, message in [
        (lambda: K.linear_cross_entropy(x, w.T, target), r"w: expected .* \(2, None\), received \(4, 2\)"),
        (lambda: K.linear_cross_entropy(x, w, target[:2]), r"target: expected .* \(3,\), received \(2,\)"),
        (lambda: K.linear_cross_entropy(x, w, target, b[:3]), r"b: expected .* \(4,\), received \(3,\)"),
        (lambda: K.linear_cross_entropy_dx(dy[:1], x, w, target), r"dy: expected .* \(3,\), received \(1,\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match="target: expected an integer dtype, received float32; cast it first"):
        K.linear_cross_entropy(x, w, dy)
    with pytest.raises(TypeError, match="probabilities: expected True or False, received 1"):
        K.linear_cross_entropy(x, w, target, probabilities=1)


@pytest.mark.parametrize("ignore_class", [-1, 2])
def test_the_loss_ignores_a_class_as_the_loss_of_logits_does(ignore_class):
    _, x, w, target, b = arrays((4, 6), 3, 5)
    target[1, :4] = ignore_class
    w, b = qn.Variable(w), qn.Variable(b)

    def gradients(loss):
        with qn.GradientTape() as tape:
            values = loss()
            total = qn.ops.sum(values)
        return values, tape.gradient(total, [w, b])

    fused, grads = gradients(lambda: qn.losses.linear_cross_entropy(target, x, w, b, ignore_class=ignore_class))
    plain, wanted = gradients(
        lambda: qn.losses.sparse_categorical_crossentropy(
            target, qn.ops.dense_forward(x, w, b), from_logits=True, ignore_class=ignore_class
        )
    )
    assert (fused.numpy()[1, :4] == 0).all()
    np.testing.assert_array_equal(fused._keras_mask.numpy(), target != ignore_class)
    np.testing.assert_allclose(fused.numpy(), plain.numpy(), rtol=1e-5, atol=1e-6)
    for got, want in zip(grads, wanted):
        np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-5, atol=1e-6)
