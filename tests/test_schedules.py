"""Learning rates that follow from the number of updates: formulas in float64, plans of many steps a call, messages."""

import math

import numpy as np
import pytest

import quernel as qn

S = qn.optimizers.schedules
STEPS = [0, 1, 2, 3, 5, 7, 9, 10, 11, 19, 20, 21, 29, 30, 31, 70, 99, 1000, 123456]


def exponential(t):
    return 0.3 * 0.7 ** (t / 9)


def stairs(t):
    return 0.3 * 0.7 ** (t // 9)


def inverse(t):
    return 0.3 / (1 + 0.4 * t / 9)


def inverse_stairs(t):
    return 0.3 / (1 + 0.4 * (t // 9))


def polynomial(t):
    return 0.25 * (1 - min(t, 20) / 20) ** 2 + 0.05


def cycles(t):
    whole = 10 * max(math.ceil(t / 10), 1)
    return 0.25 * (1 - t / whole) + 0.05


def pieces(t):
    return 0.3 if t <= 2 else 0.2 if t <= 20 else 0.1


def half_cosine(p, alpha=0.0):
    return (1 - alpha) * (1 + math.cos(math.pi * p)) / 2 + alpha


def cosine(t):
    return 0.3 * half_cosine(min(t, 20) / 20, 0.1)


def warm(t):
    return 0.1 + 0.2 * t / 10 if t < 10 else 0.3 * half_cosine(min((t - 10) / 20, 1))


def restarts(t, t_mul=2, m_mul=0.5, length=10, alpha=0.05):
    height = 1
    while t >= length:
        t, length, height = t - length, length * t_mul, height * m_mul
    return 0.3 * ((1 - alpha) * height * (1 + math.cos(math.pi * t / length)) / 2 + alpha)


def even_restarts(t):
    return restarts(t, 1, 0.9, 10, 0.0)


CASES = {
    exponential: S.ExponentialDecay(0.3, 9, 0.7),
    stairs: S.ExponentialDecay(0.3, 9, 0.7, staircase=True),
    inverse: S.InverseTimeDecay(0.3, 9, 0.4),
    inverse_stairs: S.InverseTimeDecay(0.3, 9, 0.4, True),
    polynomial: S.PolynomialDecay(0.3, 20, 0.05, power=2),
    cycles: S.PolynomialDecay(0.3, 10, 0.05, cycle=True),
    pieces: S.PiecewiseConstantDecay([2, 20], [0.3, 0.2, 0.1]),
    cosine: S.CosineDecay(0.3, 20, alpha=0.1),
    warm: S.CosineDecay(0.1, 20, warmup_target=0.3, warmup_steps=10),
    restarts: S.CosineDecayRestarts(0.3, 10, 2.0, 0.5, alpha=0.05),
    even_restarts: S.CosineDecayRestarts(0.3, 10, t_mul=1.0, m_mul=0.9),
}


@pytest.mark.parametrize("formula", CASES, ids=lambda f: f.__name__)
def test_the_rate_is_the_formulas(formula):
    for t in STEPS:
        rate = CASES[formula](np.int64(t))
        assert rate.shape == () and rate.dtype == "float32"
        # t / decay_steps up to 111 is rounded to 4e-6 before it is an exponent; later rates are 0 or constant.
        assert float(rate) == pytest.approx(formula(t), rel=1e-5, abs=2e-7), t


def test_restarts_begin_at_their_step_for_lengths_whose_logarithms_are_rounded():
    for t_mul in (1.5, 2.0, 3.0):
        rate = S.CosineDecayRestarts(1.0, 1000, t_mul=t_mul, m_mul=1.0)
        begin = 0
        for k in range(6):
            assert float(rate(round(begin))) == pytest.approx(1.0, abs=1e-4), (t_mul, k)
            begin += 1000 * t_mul**k


def trained(schedule, kind="Adam", eagerly=False, threads=2, **options):
    before = qn.get_num_threads()
    qn.set_num_threads(threads)
    try:
        qn.utils.set_random_seed(1)
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(96, 5)).astype("float32"), rng.integers(0, 3, 96)
        model = qn.Sequential([qn.layers.Input((5,)), qn.layers.Dense(8, "relu"), qn.layers.Dense(3, "softmax")])
        optimizer = getattr(qn.optimizers, kind)(schedule, **options)
        model.compile(optimizer, "sparse_categorical_crossentropy", run_eagerly=eagerly)
        history = model.fit(x, y, batch_size=8, epochs=4, verbose=0).history
    finally:
        qn.set_num_threads(before)
    return history["loss"], [w.tobytes() for w in [*model.get_weights(), *[v.numpy() for v in optimizer.variables]]]


@pytest.mark.parametrize("formula", CASES, ids=lambda f: f.__name__)
def test_a_plan_of_many_steps_a_call_gives_every_step_its_rate(formula):
    eager = trained(CASES[formula], eagerly=True)
    assert trained(CASES[formula]) == eager
    assert trained(CASES[formula], threads=1) == eager
    assert trained(0.3) != eager


@pytest.mark.parametrize("kind,options", [("SGD", {"momentum": 0.5}), ("RMSprop", {}), ("Adam", {"weight_decay": 0.1})])
def test_every_optimizer_follows_a_schedule(kind, options):
    assert trained(CASES[warm], kind, **options) == trained(CASES[warm], kind, eagerly=True, **options)


@pytest.mark.parametrize("eagerly", [True, False])
def test_steps_take_the_rates_worked_out_by_hand(eagerly):
    class Sum(qn.Sequential):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return qn.ops.sum(y_pred)  # every gradient is 1

    model = Sum([qn.layers.Input((1,)), qn.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.compile(qn.optimizers.SGD(S.PiecewiseConstantDecay([1, 3], [1.0, 0.5, 0.25])), run_eagerly=eagerly)
    model.fit(np.ones((8, 1), "float32"), np.ones((8, 1), "float32"), batch_size=1, verbose=0)
    assert model.get_weights()[0].item() == -(1 + 1 + 0.5 + 0.5 + 4 * 0.25)


def test_changing_a_schedule_counts_from_the_next_step():
    v = qn.Variable([0.0])
    schedule = S.ExponentialDecay(1.0, 10, 1.0)
    optimizer = qn.optimizers.SGD(schedule)

    @qn.function
    def step():
        optimizer.apply([qn.constant([1.0])], [v])

    for _ in range(5):
        step()
    schedule.initial_learning_rate = 0.5
    for _ in range(4):
        step()
    optimizer.learning_rate = S.PiecewiseConstantDecay([9], [2.0, 4.0])
    for _ in range(3):
        step()
    assert v.numpy().item() == -(5 + 4 * 0.5 + 2 + 2 * 4)


def test_the_optimizers_learning_rate():
    schedule = S.InverseTimeDecay(1.0, 1, 1.0)
    optimizer = qn.optimizers.SGD(schedule)
    v = qn.Variable([0.0])
    rates = []
    for _ in range(3):
        rates.append(float(optimizer.learning_rate))
        optimizer.apply([qn.constant([1.0])], [v])
    assert rates == [1.0, 0.5, np.float32(1 / 3)]
    assert [w.path for w in optimizer.variables] == [optimizer.iterations.path]
    with pytest.raises(TypeError, match="InverseTimeDecay.*received 0.1"):
        optimizer.learning_rate = 0.1
    plain = qn.optimizers.SGD(0.1)
    plain.learning_rate = schedule
    assert float(plain.learning_rate) == 1 and len(plain.variables) == 1


@pytest.mark.parametrize("formula", CASES, ids=lambda f: f.__name__)
def test_configurations(formula):
    schedule = CASES[formula]
    optimizer = qn.optimizers.Adam(schedule)
    again = qn.optimizers.deserialize(qn.optimizers.serialize(optimizer))
    assert again.get_config() == optimizer.get_config()
    assert float(again.learning_rate) == float(schedule(0))
    assert S.deserialize(S.serialize(schedule)).get_config() == schedule.get_config()


def test_bad_arguments_are_named():
    for make, message in (
        (lambda: S.ExponentialDecay("fast", 1, 1), "initial_learning_rate: expected a number, received 'fast'"),
        (lambda: S.ExponentialDecay(1, 0, 1), "decay_steps: expected a number above 0, received 0"),
        (lambda: S.InverseTimeDecay(1, 1, -1), "decay_rate: expected a number of at least 0, received -1"),
        (lambda: S.PolynomialDecay(1, 1, power=-1), "power: expected a number of at least 0"),
        (lambda: S.PiecewiseConstantDecay([1], [1.0]), "values: expected one more than boundaries .2., received 1"),
        (lambda: S.PiecewiseConstantDecay([2, 1], [1, 2, 3]), "boundaries: expected rising numbers"),
        (lambda: S.CosineDecay(1, 1, warmup_target=math.nan), "warmup_target: expected a number"),
        (lambda: S.CosineDecayRestarts(1, 1, t_mul=0.5), "t_mul: expected a number of at least 1"),
        (
            lambda: qn.optimizers.SGD(lambda: 0.1),
            "learning_rate: expected a number, a Variable or a LearningRateSchedule",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            make()
    with pytest.raises(TypeError, match="LearningRateSchedule has to define __call__"):
        qn.optimizers.SGD(S.LearningRateSchedule()).apply([qn.constant([1.0])], [qn.Variable([0.0])])
