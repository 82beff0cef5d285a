"""Copies and pickles: of kernels, layers, models and optimizers, which then live apart."""

import concurrent.futures
import copy
import pickle
import threading

import numpy as np
import pytest

import quernel as qn
from quernel import layers
from quernel.saving import custom_object_scope, get_registered_object

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((20, 4)).astype("float32"), RNG.standard_normal((20, 1)).astype("float32")


def pickled(value):
    return pickle.loads(pickle.dumps(value))


class Scaled(layers.Layer):
    """Unregistered, with layers in a list, and an `__init__` that takes no name."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor
        self.parts = [layers.Dense(1)]

    def call(self, x):
        return self.parts[0](x) * self.factor


class Own(qn.Model):
    def __init__(self):
        super().__init__()
        self.scaled = Scaled(0.5)

    def call(self, x):
        return self.scaled(x)


def sequential():
    return qn.Sequential([layers.Input((4,)), layers.Dense(8, "relu"), Scaled(2.0)])


def functional():
    x = qn.Input((4,))
    h = layers.Dense(3, name="shared")
    return qn.Model(x, layers.Dense(1)(qn.ops.concatenate([h(x), h(x * 2.0)], axis=-1)))


@pytest.mark.parametrize("twin_of", [copy.deepcopy, pickled], ids=["deepcopy", "pickle"])
@pytest.mark.parametrize("make", [sequential, functional, Own])
def test_a_fitted_model_goes_on_in_its_twin(make, twin_of):
    """The same bits as the original from then on, Adam's moments included, and no memory of each other."""
    model = make()
    model.compile("adam", "mse")
    model.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0)
    twin = twin_of(model)
    before = model.get_weights()
    for _ in range(2):
        twin.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), before):
        np.testing.assert_array_equal(a, b)
    for _ in range(2):
        model.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0)
    np.testing.assert_array_equal(model.predict(X, verbose=0), twin.predict(X, verbose=0))
    assert int(twin.optimizer.iterations.numpy()) == 30
    if make is not Own:  # whose `__init__` names its layers
        assert [layer.name for layer in twin.layers] == [layer.name for layer in model.layers]


def relu(x):
    """Unregistered, and no relu: a copy may not take the library's instead."""
    return x * 3.0


def ones(shape, dtype=None):
    return qn.ops.ones(shape, dtype)


FUNCTIONS = {"activation": (relu, lambda x: x * 3.0), "kernel_initializer": (ones, lambda shape, dtype=None: ones(shape)),
             "kernel_regularizer": (relu, lambda w: qn.ops.sum(w)), "kernel_constraint": (relu, lambda w: w * 0.5)}  # fmt: skip


@pytest.mark.parametrize("which", [0, 1], ids=["function", "lambda"])
@pytest.mark.parametrize("argument", FUNCTIONS)
def test_a_deepcopy_keeps_functions_that_are_not_registered(argument, which):
    function = FUNCTIONS[argument][which]
    layer = layers.Dense(2, **{argument: function})
    y = layer(X)
    twin = copy.deepcopy(layer)
    assert getattr(twin, argument) is function
    assert twin.kernel is not layer.kernel
    np.testing.assert_array_equal(twin(X), y)
    assert getattr(copy.deepcopy(twin), argument) is function
    if which:  # but a config, which may be written to a file, has no name for it
        with pytest.raises(ValueError, match="expected a named function"):
            twin.get_config()


def test_a_deepcopy_of_layers_within_layers_keeps_their_functions():
    inner, outer = (lambda x: x * 2.0), (lambda x: x + 1.0)
    x = qn.Input((3, 4))
    h = layers.TimeDistributed(layers.Dense(2, inner))(x)
    h = layers.Bidirectional(layers.GRU(2, activation=inner, return_sequences=True))(h)
    model = qn.Model(x, layers.Activation(outer)(qn.Sequential([layers.Dense(2, outer)])(h)))
    twin = copy.deepcopy(model)
    x = RNG.standard_normal((2, 3, 4)).astype("float32")
    np.testing.assert_array_equal(twin(x), model(x))
    assert twin.layers[-1].activation is outer


def test_a_long_chain_is_pickled():
    x = y = qn.Input((2,))
    for _ in range(300):
        y = y * 1.01
    model = qn.Model(x, y)
    np.testing.assert_array_equal(pickled(model)(X[:, :2]), model(X[:, :2]))


@pytest.mark.parametrize("twin_of", [copy.copy, copy.deepcopy, pickled], ids=["copy", "deepcopy", "pickle"])
def test_a_kernel_is_one_object(twin_of):
    assert twin_of(qn.kernels.relu) is qn.kernels.relu and twin_of(qn.ops.relu) is qn.ops.relu


def test_a_pickled_layer_tracks_what_is_put_into_its_lists_and_dicts():
    layer = Scaled(2)
    layer.named = {"a": layers.Dense(2)}
    twin = pickled(layer)
    twin.parts.append(layers.Dense(3))
    twin.named["b"] = layers.Dense(4)
    assert [part.units for part in twin._flatten_layers(include_self=False)] == [1, 2, 3, 4]
    del twin.parts[0]
    assert [part.units for part in twin._flatten_layers(include_self=False)] == [2, 3, 4]
    assert type(copy.copy(layer.parts)) is list and type(copy.deepcopy(layer.named)) is dict
    assert len(layer._flatten_layers(include_self=False)) == 2


def test_a_pickled_optimizer_knows_its_own_variables():
    kept, decayed = qn.Variable([1.0, 2.0]), qn.Variable([1.0, 2.0])
    optimizer = qn.optimizers.SGD(0.5, weight_decay=0.1)
    optimizer.exclude_from_weight_decay([kept])
    optimizer, (kept, decayed) = pickled((optimizer, (kept, decayed)))
    optimizer.build([kept, decayed])
    optimizer, (kept, decayed) = copy.deepcopy((optimizer, (kept, decayed)))
    optimizer.apply([qn.zeros((2,)), qn.zeros((2,))])
    np.testing.assert_array_equal(kept.numpy(), [1, 2])
    np.testing.assert_allclose(decayed.numpy(), [0.95, 1.9], rtol=1e-6)


def test_from_config_of_an_init_without_name():
    layer = Scaled(3)
    layer.name = "mine"
    layer.trainable = False
    twin = Scaled.from_config(layer.get_config())
    assert (twin.name, twin.factor, twin.trainable, twin.dtype) == ("mine", 3, False, "float32")
    with pytest.raises(TypeError, match="unexpected keyword argument 'other'"):
        Scaled.from_config({"factor": 1, "other": 2})


def test_scopes_of_threads_are_their_own():
    turn = threading.Barrier(2, timeout=10)

    def look(name, other):
        with custom_object_scope({name: Scaled}):
            turn.wait()
            assert get_registered_object(name) is Scaled and get_registered_object(other) is None
            turn.wait()

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(look, "a", "b"), pool.submit(look, "b", "a")]:
            future.result()


class Penalty(qn.regularizers.Regularizer):
    """Not registered, and without a get_config of its own."""

    def __init__(self, factor):
        self.factor = factor

    def __call__(self, x):
        return self.factor * qn.ops.sum(x)


class Filled(qn.initializers.Initializer):
    """Not registered; get_config is complete."""

    def __init__(self, value):
        self.value = value

    def __call__(self, shape, dtype=None):
        return qn.ops.full(shape, self.value, dtype=dtype)

    def get_config(self):
        return {"value": self.value}


class Applied(qn.layers.Layer):
    """A layer of a function, without get_config."""

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def call(self, x):
        return self.function(x)


class Net(qn.Model):
    def __init__(self, function):
        super().__init__()
        self.function, self.dense = function, qn.layers.Dense(2)

    def call(self, x):
        return self.function(self.dense(x))


def _sequential(*layers):
    return qn.Sequential([qn.Input((3,)), *layers])


def _functional(*layers):
    y = x = qn.Input((3,))
    for layer in layers:
        y = layer(y)
    return qn.Model(x, y)


_MANY = {
    "lambda": lambda make: make(qn.layers.Dense(2, activation=lambda t: t + 1)),
    "regularizer": lambda make: make(qn.layers.Dense(2, kernel_regularizer=Penalty(0.5))),
    "initializer": lambda make: make(qn.layers.Dense(2, kernel_initializer=Filled(3.0))),
    "functions": lambda make: make(
        qn.layers.Dense(2, kernel_regularizer=lambda w: qn.ops.sum(w), kernel_constraint=lambda w: w * 2)
    ),
    "layer": lambda make: make(Applied(lambda t: t * 3), qn.layers.Dense(2)),
    "recurrent": lambda make: make(qn.layers.Reshape((3, 1)), qn.layers.LSTM(2, activation=lambda t: t)),
    "subclass": lambda make: Net(lambda t: t * 5),
}


@pytest.mark.parametrize("make", [_sequential, _functional])
@pytest.mark.parametrize("name", sorted(_MANY))
def test_copies_and_clones_keep_functions_and_classes_that_are_not_registered(name, make):
    x = np.arange(6.0, dtype="float32").reshape(2, 3)
    model = _MANY[name](make)
    y, losses = model(x).numpy(), [float(v) for v in model.losses]
    twin, clone = copy.deepcopy(model), qn.models.clone_model(model)
    assert np.array_equal(twin(x), y) and [float(v) for v in twin.losses] == losses
    clone(x)
    clone.set_weights(model.get_weights())
    assert np.array_equal(clone(x), y) and [float(v) for v in clone.losses] == losses
    for other in (twin, clone):
        other.set_weights([w + 1 for w in model.get_weights()])
    assert np.array_equal(model(x), y)


def test_objects_that_are_not_registered_are_copied_with_their_layer():
    layer = qn.layers.Dense(2, kernel_regularizer=Penalty(0.5))
    layer.build((None, 3))
    twin = copy.deepcopy(layer)
    twin.kernel_regularizer.factor = 7.0
    assert layer.kernel_regularizer.factor == 0.5 and twin.kernel.regularizer is twin.kernel_regularizer


def test_a_config_that_is_written_names_no_function_of_its_own():
    with pytest.raises(TypeError, match="'function' is a function; define get_config"):
        Applied(lambda t: t).get_config()
    with pytest.raises(ValueError, match="register_keras_serializable"):
        qn.layers.Dense(2, activation=lambda t: t).get_config()
    assert "kept" not in str(qn.regularizers.serialize(Penalty(0.5)))
