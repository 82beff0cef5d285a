"""Plans make one call of a dense layer and its loss: the same bits, no logits in memory, and only where nobody else looks."""

import numpy as np
import pytest

import quernel as qn
from quernel.plan import fused_loss, rewrite

if not qn.backend.available("native"):
    pytest.skip("needs the compiled core", allow_module_level=True)

LINEAR = {"linear_cross_entropy", "linear_cross_entropy_dx"}
PARTS = {"dense_forward", "sparse_categorical_crossentropy", "sparse_categorical_crossentropy_dx"}
CLASSES = 30


@pytest.fixture
def programs(monkeypatch):
    """The names of the calls of every program made, whatever its size."""
    seen = []
    monkeypatch.setattr(fused_loss, "pays", lambda rows, classes, trains: True)
    rules = [*rewrite.REWRITES, lambda program: seen.append([op.kernel.name for op, _ in program.calls])]
    monkeypatch.setattr(rewrite, "REWRITES", rules)
    return seen


def data(rows=40, lead=()):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((rows, *lead, 6)).astype("float32")
    return x, rng.integers(0, CLASSES, (rows, *lead))


def run(build, steps=4):
    """The results and variables after some steps, in Python and from a plan."""

    def once(wrap):
        qn.utils.set_random_seed(5)
        step, variables = build()
        step = wrap(step)
        results = [np.array(step()) for _ in range(steps)]
        return [r.tobytes() for r in results] + [np.array(v).tobytes() for v in variables]

    assert once(lambda step: step) == once(qn.function), "a plan gives other bits than Python"


def trainer(loss_of, lead=(), bias=True):
    """A build() for `run`: two dense layers, `loss_of(y, logits, model)`, SGD."""

    def build():
        x, y = data(lead=lead)
        x, y = qn.constant(x), qn.constant(y)
        first = qn.layers.Dense(7, activation="relu")
        last = qn.layers.Dense(CLASSES, use_bias=bias)
        first.build((None, x.shape[-1]))
        last.build((None, 7))
        optimizer = qn.optimizers.SGD(0.1, momentum=0.9)
        variables = first.trainable_variables + last.trainable_variables
        optimizer.build(variables)

        def step():
            with qn.GradientTape() as tape:
                loss = loss_of(y, last(first(x)), last)
            optimizer.apply(tape.gradient(loss, variables), variables)
            return loss

        return step, variables

    return build


def cross_entropy(**keywords):
    return qn.losses.SparseCategoricalCrossentropy(from_logits=True, **keywords)


@pytest.mark.parametrize("lead", [(), (5,)], ids=str)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
def test_steps_of_a_tape(programs, lead, bias, reduction):
    run(trainer(lambda y, z, _: cross_entropy(reduction=reduction)(y, z), lead=lead, bias=bias))
    assert programs[-1].count("linear_cross_entropy_dx") == 1 and programs[-1].count("dense_forward") == 1


def test_ignored_classes_and_weights_stay_fused(programs):
    weights = qn.constant(np.linspace(0, 1, 40).astype("float32"))
    run(trainer(lambda y, z, _: cross_entropy(ignore_class=3)(y, z, sample_weight=weights)))
    assert "linear_cross_entropy_dx" in programs[-1] and not PARTS - {"dense_forward"} & set(programs[-1])


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("metrics", [[], ["accuracy"]], ids=str)
def test_fit_and_evaluate(programs, monkeypatch, from_logits, metrics):
    x, y = data(rows=64, lead=(3,))

    def train():
        qn.utils.set_random_seed(0)
        last = qn.layers.Dense(CLASSES, activation=None if from_logits else "softmax")
        model = qn.Sequential([qn.layers.Dense(7, activation="relu"), last])
        loss = qn.losses.SparseCategoricalCrossentropy(from_logits=from_logits)
        model.compile(optimizer="adam", loss=loss, metrics=metrics)
        history = model.fit(x, y, batch_size=16, epochs=3, verbose=0).history
        return history, model.evaluate(x, y, batch_size=16, verbose=0), [w.tobytes() for w in model.get_weights()]

    fused = train()
    names = set().union(*programs)
    assert names >= LINEAR and not names & {"softmax", "argmax", "sparse_categorical_crossentropy"}
    monkeypatch.setattr(rewrite, "REWRITES", [])
    assert fused == train()


def test_accuracy_goes_by_what_softmax_left(programs):
    x, _ = data(rows=64)
    y = np.zeros(64, "int32")
    model = qn.Sequential([qn.layers.Dense(CLASSES, activation="softmax", kernel_initializer="zeros")])
    model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.build((None, 6))
    bias = np.full(CLASSES, -1.0, "float32")
    bias[:2] = 0, 1e-9  # the larger logit is the second; the softmax of both is the same
    model.layers[-1].bias.assign(bias)
    assert model.evaluate(x, y, batch_size=8, verbose=0)[1] == 1.0
    assert "linear_cross_entropy" in programs[-1]


def test_the_loss_called_by_a_step_itself(programs):
    def loss_of(y, h, layer):
        return qn.ops.mean(qn.losses.linear_cross_entropy(y, h, layer.kernel, layer.bias, ignore_class=1))

    x, y = data()

    def build():
        first, last = qn.layers.Dense(7, activation="relu"), qn.layers.Dense(CLASSES)
        first.build((None, 6)), last.build((None, 7))
        variables = first.trainable_variables + last.trainable_variables
        inputs, labels = qn.constant(x), qn.constant(y)

        def step():
            with qn.GradientTape() as tape:
                loss = loss_of(labels, first(inputs), last)
            for variable, gradient in zip(variables, tape.gradient(loss, variables)):
                variable.assign_sub(0.1 * gradient)
            return loss

        return step, variables

    run(build)
    assert [n for n in programs[-1] if n in LINEAR] == ["linear_cross_entropy_dx"]


# What keeps the logits, or the order of the calls.
def _penalty(y, z, layer):
    return cross_entropy()(y, z) + 0.1 * qn.ops.mean(qn.ops.square(z))


def _temperature(y, z, layer):
    return cross_entropy()(y, z * 0.5)


def _two_losses(y, z, layer):
    return cross_entropy()(y, z) + cross_entropy(reduction="sum")(y, z)


def _focus(y, z, layer):  # the slope of a loss depends on the loss
    losses = qn.losses.sparse_categorical_crossentropy(y, z, from_logits=True)
    return qn.ops.mean(qn.ops.square(losses))


def _probabilities(y, z, layer):
    return qn.ops.mean(qn.ops.sparse_categorical_crossentropy(y, z, from_logits=False))


@pytest.mark.parametrize(
    "loss_of", [_probabilities, _penalty, _temperature, _two_losses, _focus], ids=lambda f: f.__name__[1:]
)
def test_what_cannot_be_fused_is_not(programs, loss_of):
    run(trainer(loss_of))
    assert not LINEAR & set(programs[-1])


def test_logits_that_the_step_returns_stay(programs):
    x, y = data()
    layer = qn.layers.Dense(CLASSES)
    layer.build((None, 6))

    @qn.function
    def step(x, y):
        z = layer(x)
        return qn.losses.sparse_categorical_crossentropy(y, z, from_logits=True), z

    for _ in range(3):
        losses, z = step(qn.constant(x), qn.constant(y))
    np.testing.assert_array_equal(z.numpy(), layer(qn.constant(x)).numpy())
    assert not LINEAR & set(programs[-1])


def test_a_kernel_written_before_its_gradient_is_read_stays_apart(programs):
    def build():
        x, y = map(qn.constant, data())
        w = qn.Variable(np.random.default_rng(0).standard_normal((6, CLASSES)).astype("float32"))

        def step():
            z = qn.ops.dense_forward(x, w)
            losses = qn.ops.sparse_categorical_crossentropy(y, z, from_logits=True)
            dz = qn.ops.sparse_categorical_crossentropy_dx(qn.ops.full((40,), 0.1), y, z, from_logits=True)
            w.assign_sub(qn.ops.dense_dw(x, dz))
            return qn.ops.concatenate([losses, qn.ops.sum(qn.ops.dense_dx(dz, w), axis=-1)])  # of the new w

        return step, [w]

    run(build)
    assert "linear_cross_entropy_dx" not in programs[-1]


def test_a_bad_label_ends_the_step_before_its_writes(programs):
    x, y = data()
    layer = qn.layers.Dense(CLASSES)
    layer.build((None, 6))
    count = qn.Variable(0.0)
    inputs = qn.layers.Dense(6)
    inputs.build((None, 6))
    variables = layer.trainable_variables + inputs.trainable_variables
    optimizer = qn.optimizers.SGD(0.1)
    optimizer.build(variables)

    @qn.function
    def step(x, y):
        count.assign_add(1.0)
        with qn.GradientTape() as tape:
            loss = cross_entropy()(y, layer(inputs(x)))
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    for _ in range(4):
        step(qn.constant(x), qn.constant(y))
    assert "linear_cross_entropy_dx" in programs[-1]
    before = [v.numpy() for v in [count, *variables]]
    y[7] = CLASSES
    with pytest.raises(IndexError, match=rf"expected labels in \[0, {CLASSES}\).*received {CLASSES}"):
        step(qn.constant(x), qn.constant(y))
    for value, variable in zip(before, [count, *variables]):
        np.testing.assert_array_equal(value, variable.numpy())


def test_the_workspace_does_not_hold_the_logits():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((1024, 8)).astype("float32"), rng.integers(0, 2048, 1024)
    model = qn.Sequential([qn.layers.Dense(8, activation="relu"), qn.layers.Dense(2048, activation="softmax")])
    model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    layouts = []
    with pytest.MonkeyPatch.context() as patch:
        from quernel.plan import native

        class Layout(native.Layout):
            def __init__(self, buffers):
                super().__init__(buffers)
                layouts.append(self.size)

        patch.setattr(native, "Layout", Layout)
        model.fit(x, y, batch_size=1024, epochs=3, verbose=0)
    assert layouts and max(layouts) < 1024 * 2048 * 4  # the logits; their gradients were as many bytes again


def test_small_steps_stay_as_they_are():
    assert not fused_loss.pays(511, 1 << 20, True) and not fused_loss.pays(1 << 20, 511, True)
    assert not fused_loss.pays(1023, 10000, False) and fused_loss.pays(1024, 1024, False)
    assert fused_loss.pays(512, 2048, True) and not fused_loss.pays(512, 2047, True)
