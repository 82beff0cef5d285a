"""Settings: whatever attribute is written between two fits, plans do what steps in Python would do."""

import numpy as np
import pytest

import quernel as qn
from quernel import ops

L = qn.layers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 4)).astype("float32")
Y = RNG.integers(0, 3, 24)


def sequential(*layers, loss="sparse_categorical_crossentropy", optimizer=None, metrics=()):
    model = qn.Sequential([L.Input((4,)), *layers, L.Dense(3, activation="softmax")])
    model.compile(optimizer or qn.optimizers.SGD(0.1, momentum=0.5), loss, metrics=list(metrics))
    return model


class Scale(L.Layer):
    """Factors in all the places where a layer may keep a setting."""

    def __init__(self):
        super().__init__()
        self.factor = 2.0
        self.by_name = {"k": 1.5}
        self.in_a_list = [0.5, 1.5]
        self.nested = {"a": [1.25]}

    def call(self, x):
        return x * self.factor * self.by_name["k"] * self.in_a_list[0] * self.nested["a"][0]


class OwnLoss(qn.losses.Loss):
    factor = 1.0

    def call(self, y_true, y_pred):
        return qn.losses.sparse_categorical_crossentropy(y_true, y_pred) * self.factor


class OwnMetric(qn.metrics.Metric):
    """State that belongs to a metric inside; the setting is its own."""

    def __init__(self):
        super().__init__(name="own")
        self.inner = qn.metrics.Mean()
        self.factor = 1.0

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.inner.update_state(ops.mean(ops.square(y_pred)) * self.factor)

    def result(self):
        return self.inner.result()

    def reset_state(self):
        self.inner.reset_state()


class OwnPenalty(qn.regularizers.Regularizer):
    factor = 0.01

    def __call__(self, x):
        return self.factor * ops.sum(ops.square(x))


class Parts(qn.Model):
    """A train_step that calls parts of the model and never the model, as the VAE of the Keras guide does."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = L.Dense(3), L.Dense(3)
        self.beta = 1.0

    def train_step(self, data):
        x, y = data
        with qn.GradientTape() as tape:
            z = self.encoder(x)
            losses = qn.losses.sparse_categorical_crossentropy(y, self.decoder(z), from_logits=True)
            loss = ops.mean(losses) + self.beta * ops.mean(ops.square(z))
        weights = self.encoder.trainable_weights + self.decoder.trainable_weights
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        return {"loss": loss}


class Blocks(qn.Model):
    def __init__(self):
        super().__init__()
        self.blocks = [L.Dense(4), L.Dense(4, activation="tanh")]

    def call(self, x):
        for block in self.blocks:
            x = block(x)
        return ops.softmax(x)


def compiled(model):
    model.compile(qn.optimizers.SGD(0.1, momentum=0.5), "sparse_categorical_crossentropy")
    return model


def dense(**makers):
    return lambda: sequential(L.Dense(4, **{name: make() for name, make in makers.items()}))


def metric(model):
    return model._compile_metrics.metrics[0]


CHANGES = {
    "layer: attribute": (lambda: sequential(Scale()), lambda m: setattr(m.layers[0], "factor", 5.0)),
    "layer: entry of a dict": (lambda: sequential(Scale()), lambda m: m.layers[0].by_name.update(k=5.0)),
    "layer: entry of a list": (lambda: sequential(Scale()), lambda m: m.layers[0].in_a_list.reverse()),
    "layer: nested": (lambda: sequential(Scale()), lambda m: m.layers[0].nested["a"].__setitem__(0, 3.0)),
    "layer: list of layers": (lambda: compiled(Blocks()), lambda m: m.blocks.pop()),
    "layer: order of layers": (lambda: compiled(Blocks()), lambda m: m.blocks.reverse()),
    "layer: activation": (dense(), lambda m: setattr(m.layers[0], "activation", qn.activations.relu)),
    "layer: rate": (lambda: sequential(L.Dropout(0.5, seed=1)), lambda m: setattr(m.layers[0], "rate", 0.1)),
    "layer: momentum": (lambda: sequential(L.BatchNormalization()), lambda m: setattr(m.layers[0], "momentum", 0.1)),
    "layer: trainable": (dense(), lambda m: setattr(m.layers[0], "trainable", False)),
    "variable: trainable": (dense(), lambda m: setattr(m.layers[0].bias, "trainable", False)),
    "variable: regularizer": (dense(), lambda m: setattr(m.layers[0].kernel, "regularizer", qn.regularizers.L2(1.0))),
    "regularizer": (dense(kernel_regularizer=OwnPenalty),
                    lambda m: setattr(m.layers[0].kernel_regularizer, "factor", 1.0)),
    "activity regularizer": (dense(activity_regularizer=OwnPenalty),
                             lambda m: setattr(m.layers[0].activity_regularizer, "factor", 1.0)),
    "constraint": (dense(kernel_constraint=lambda: qn.constraints.MaxNorm(0.9)),
                   lambda m: setattr(m.layers[0].kernel_constraint, "max_value", 0.2)),
    "loss": (lambda: sequential(loss=qn.losses.SparseCategoricalCrossentropy()),
             lambda m: setattr(m.loss, "reduction", "sum")),
    "own loss": (lambda: sequential(loss=OwnLoss()), lambda m: setattr(m.loss, "factor", 3.0)),
    "own metric": (lambda: sequential(metrics=[OwnMetric()]), lambda m: setattr(metric(m), "factor", 3.0)),
    "optimizer: momentum": (dense(), lambda m: setattr(m.optimizer, "momentum", 0.9)),
    "optimizer: clipping": (dense(), lambda m: setattr(m.optimizer, "clipnorm", 0.01)),
    "optimizer: decay": (dense(), lambda m: setattr(m.optimizer, "weight_decay", 0.1)),
    "optimizer: learning rate": (dense(), lambda m: setattr(m.optimizer, "learning_rate", 0.01)),
    "another optimizer": (dense(), lambda m: setattr(m, "optimizer", qn.optimizers.Adam(0.01))),
    "compile": (dense(), lambda m: m.compile("adam", OwnLoss(), run_eagerly=m.run_eagerly)),
    "model without its call": (lambda: compiled(Parts()), lambda m: setattr(m, "beta", 5.0)),
}  # fmt: skip


def outcome(make, change, eagerly):
    qn.utils.set_random_seed(1)
    model = make()
    model.run_eagerly = eagerly
    logs = []
    for turn in range(2):
        history = model.fit(X, Y, batch_size=6, epochs=3, shuffle=False, verbose=0).history
        logs += [history[name] for name in sorted(history)]
        if turn == 0:
            if not eagerly:
                assert any(plan.runs for function in model._steps.train for plan in function.plans)
            change(model)
    return logs, [w.tobytes() for w in model.get_weights()]


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_between_two_fits(name):
    make, change = CHANGES[name]
    expected = outcome(make, change, True)
    assert outcome(make, lambda model: None, True) != expected, "the change changes nothing"
    assert outcome(make, change, False) == expected


def taking_a_step_of_the_model(model):
    return qn.function(lambda x, y: model.train_step((x, y))["loss"])


def method_of_a_layer(model):
    class Holder(L.Layer):
        factor = 1.0

        @qn.function
        def step(self, x, y):
            return ops.sum(x) * self.factor

    holder = model.holder_of_the_test = Holder()
    return holder.step


def layer_as_an_argument(model):
    step = qn.function(lambda layer, x: ops.sum(x) * layer.factor)
    scale = model.layers[0]
    return lambda x, y: step(scale, x)


def recompile(model):
    model.compile(qn.optimizers.SGD(0.1), OwnLoss(reduction="sum"))


@pytest.mark.parametrize(
    "make,change",
    [
        (taking_a_step_of_the_model, recompile),
        (method_of_a_layer, lambda m: setattr(m.holder_of_the_test, "factor", 3.0)),
        (layer_as_an_argument, lambda m: setattr(m.layers[0], "factor", 3.0)),
    ],
)
def test_a_change_between_two_calls_of_a_function(make, change):
    results = []
    for recorded in (True, False):
        qn.utils.set_random_seed(1)
        model = compiled(qn.Sequential([Scale(), L.Dense(3, activation="softmax")]))
        model.build((None, 4))
        step = make(model)
        results.append([])
        for turn in range(8):
            if turn == 4:
                change(model)
            if recorded:
                results[-1].append(float(step(X, Y)))
            else:
                with qn.GradientTape(watch_accessed_variables=False):  # plain Python
                    results[-1].append(float(step(X, Y)))
    assert results[0] == results[1]
    assert len(set(results[0])) > 1, "the change changes nothing"


def test_what_a_call_writes_into_a_list_is_no_setting():
    class Counting(L.Layer):
        def __init__(self):
            super().__init__()
            self.calls = []

        def call(self, x):
            self.calls.append(1)
            return x

    model = sequential(Counting())
    for _ in range(3):
        model.fit(X, Y, batch_size=6, epochs=2, shuffle=False, verbose=0)
        model(X)
    assert model._steps.train.batch._recordings == 2
    model.layers[0].calls.append(1)
    model.fit(X, Y, batch_size=6, epochs=2, shuffle=False, verbose=0)
    assert model._steps.train.batch._recordings == 4
