"""When a step is recorded anew: other signatures, settings, layers, seeds and backends; and how many plans are kept."""

import sys

import numpy as np
from plan_steps import X, bits, recorded

import quernel as qn
from quernel import ops


def test_python_values_are_part_of_the_signature():
    run = qn.function(lambda x, k: x * k)
    for k in (2, 3, 2.0, True) * 3:
        assert run(X, k).numpy().tolist() == [1.0 * k, 2.0 * k]
    assert len(run.plans) == 4


def test_shapes_dtypes_and_strides_are_part_of_the_signature():
    run = qn.function(lambda x: ops.sum(ops.cast(x, "float32"), axis=0))
    grid = np.arange(24.0).reshape(4, 6)
    for array in (grid, grid.astype("float32"), grid[:, ::2], grid[::-1], grid.T, grid.astype("int32"), grid[:0]) * 4:
        assert run(array).numpy().tolist() == array.sum(axis=0).tolist()
    assert len(run.plans) == 7


def trained(model, optimizer):
    def step(x, y):
        with qn.GradientTape() as tape:
            loss = ops.mean(ops.square(model(x, training=True) - y))
        weights = model.trainable_weights
        optimizer.apply(tape.gradient(loss, weights), weights)
        return loss

    return qn.function(step)


def small():
    qn.utils.set_random_seed(2)
    return qn.Sequential([qn.layers.Input((2,)), qn.layers.Dense(2), qn.layers.Dense(1)])


def test_settings_are_followed():
    model, optimizer = small(), qn.optimizers.SGD(0.1, momentum=0.5)
    run = trained(model, optimizer)
    x, y = qn.ones((4, 2)), qn.ones((4, 1))
    for _ in range(4):
        run(x, y)
    assert run._recordings == 2
    optimizer.learning_rate = 0.01  # a buffer: no new plan
    run(x, y)
    assert run._recordings == 2
    optimizer.momentum = 0.0  # an attribute of the kernel call
    run(x, y)
    assert run._recordings == 3
    before = bits(*model.weights)
    optimizer.learning_rate = 0.0
    for _ in range(4):
        run(x, y)
    assert bits(*model.weights) == before, "without momentum and learning rate nothing moves"


def test_what_is_trainable_goes_back_and_forth_without_recording():
    model = small()
    run = trained(model, qn.optimizers.SGD(0.01))
    x, y = qn.ones((4, 2)), qn.zeros((4, 1))
    head = model.layers[0]
    frozen = []
    for _ in range(6):
        for trainable in (True, False):
            head.trainable = trainable
            before = head.kernel.numpy()
            run(x, y)
            frozen.append(np.array_equal(before, head.kernel.numpy()))
    assert frozen == [False, True] * 6
    assert run._recordings == 4


def test_a_new_seed_starts_the_numbers_again():
    run = qn.function(lambda: qn.random.normal((2,)))
    streams = []
    for _ in range(3):
        qn.utils.set_random_seed(5)
        streams.append([run().numpy().tolist() for _ in range(5)])
    assert streams[0] == streams[1] == streams[2]


def test_a_layer_put_into_the_model_is_seen():
    model = qn.Sequential([qn.layers.Input((2,)), qn.layers.ReLU()])
    run = recorded(lambda x: model(x), *[[qn.ones((1, 2))]] * 3)
    model.add(qn.layers.Dense(3, kernel_initializer="ones"))
    assert run(qn.ones((1, 2))).shape == (1, 3)


def test_the_number_of_plans_is_bounded(monkeypatch):
    monkeypatch.setattr(sys.modules["quernel.plan.function"], "MAX_PLANS", 4)
    run = qn.function(lambda x: x + 1.0)
    for n in (1, 2, 3, 4, 5, 6) * 3:
        assert run(qn.zeros((n,))).shape == (n,)
    assert len(run.plans) <= 4


def test_two_hundred_batch_sizes_are_recorded_once():
    run = qn.function(lambda x: ops.sum(x * 2.0))
    for _ in range(4):
        for n in range(1, 201):
            assert float(run(qn.ones((n,)))) == 2.0 * n
    assert run._recordings == 400


def test_another_backend_is_another_plan():
    run = recorded(lambda x: x * 2.0, *[[X]] * 3)
    with qn.backend.use_backend("numpy"):
        for _ in range(3):
            run(X)
        assert run.plans[-1].engine.kind == "python"
    assert run(X).numpy().tolist() == [2.0, 4.0]
