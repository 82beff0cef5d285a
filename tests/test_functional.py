"""Models: graphs, Sequential, subclasses, summary, files of weights, configs."""

import copy
import json
import os

import numpy as np
import pytest

import quernel as qn
from quernel import ops
from quernel.layers import Layer
from quernel.models import Functional, clone_model


def full(value):
    return lambda shape, dtype: np.full(shape, value, dtype)


@qn.saving.register_keras_serializable("tests")
class Linear(Layer):
    def __init__(self, units=2, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], self.units), full(0.5), name="kernel")
        self.bias = self.add_weight((self.units,), full(0.0), name="bias")

    def call(self, x):
        return ops.matmul(x, self.kernel) + self.bias

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@qn.saving.register_keras_serializable("tests")
class Split(Layer):
    def call(self, x, training=None):
        self.seen = training
        return {"left": x[:, :1], "right": x[:, 1:]}


@pytest.fixture(autouse=True)
def fresh_names():
    qn.naming.clear_names()


def data(*shape):
    return np.arange(np.prod(shape), dtype="float32").reshape(shape) / 8


def two_towers():
    """A shared layer, two inputs, two outputs of which one has two layers in common with the other."""
    a, b = qn.Input((4,), name="a"), qn.Input((4,), name="b")
    shared = Linear(3, name="shared")
    x, y = shared(a), shared(b)
    z = Linear(2, name="top")(x * y)
    return qn.Model([a, b], {"z": z, "x": x}, name="towers")


def assert_equal(a, b):
    assert a.numpy().tolist() == b.numpy().tolist()


# --- graphs


def test_a_chain():
    x = qn.Input((4,))
    model = qn.Model(x, Linear(2)(Linear(3)(x)))
    assert isinstance(model, Functional) and isinstance(model, qn.Model)
    assert [layer.name for layer in model.layers] == ["input_layer", "linear_1", "linear"]
    assert model.input_shape == (None, 4) and model.output_shape == (None, 2)
    assert [w.path for w in model.weights] == ["linear_1/kernel", "linear_1/bias", "linear/kernel", "linear/bias"]
    y = model(np.ones((5, 4)))  # float64
    assert y.dtype == "float32" and y.numpy().tolist() == [[3, 3]] * 5
    assert model.count_params() == 15 + 8


def test_a_shared_layer():
    model = two_towers()
    a, b = data(3, 4), data(3, 4)[::-1]
    out = model([a, b])
    x, y = model.get_layer("shared")(a), model.get_layer("shared")(b)
    assert_equal(out["x"], x)
    assert_equal(out["z"], model.get_layer("top")(x * y))
    assert len(model.weights) == 4
    for other in (model((a, b)), model({"a": a, "b": b})):
        assert_equal(other["z"], out["z"])
    with qn.GradientTape() as tape:
        out = model([a, b])
    grads = tape.gradient(out, model.trainable_weights)
    assert all(g is not None for g in grads)


def test_structures():
    a, b = qn.Input((2,), name="a"), qn.Input((2,), name="b")
    nested = qn.Model({"one": a, "two": b}, (a + b, [a * b]))
    out = nested({"one": np.ones((1, 2)), "two": 3 * np.ones((1, 2)), "more": 0})
    assert type(out) is tuple and type(out[1]) is list
    assert out[0].numpy().tolist() == [[4, 4]] and out[1][0].numpy().tolist() == [[3, 3]]
    single = qn.Model([a], a * 2)
    assert single(np.ones((1, 2))).numpy().tolist() == [[2, 2]]
    assert single([np.ones((1, 2))]).numpy().tolist() == [[2, 2]]
    with pytest.raises(ValueError, match=r"inputs: expected the structure \{'one': 'a', 'two': 'b'\}"):
        nested({"one": np.ones((1, 2))})


def test_layers_with_several_outputs_and_keywords():
    class Join(Layer):
        def call(self, left, right=None, scale=1.0):
            return ops.concatenate([right, left], axis=-1) * scale

    x = qn.Input((3,))
    parts = Split()(x)
    model = qn.Model(x, Join()(parts["left"], right=parts["right"], scale=2.0))
    assert model.output_shape == (None, 3)
    assert model(np.array([[1.0, 2.0, 3.0]])).numpy().tolist() == [[4, 6, 2]]


def test_ops_in_graphs():
    x = qn.Input((3,))
    y = ops.relu(x - 1) @ np.ones((3, 2), "float32")
    model = qn.Model(x, ops.sum(y, axis=-1))
    assert y.shape == (None, 2) and model.output_shape == (None,)
    assert model(np.array([[1.0, 2.0, 3.0]])).numpy().tolist() == [6]
    with pytest.raises(ValueError, match="expected a Layer that owns the Variable"):
        x * qn.Variable(2.0)
    with pytest.raises(TypeError, match="has a shape and no data"):
        bool(x)
    with pytest.raises(TypeError, match="has a shape and no data"):
        np.asarray(x)


def test_models_as_layers():
    inner = qn.Sequential([qn.Input((4,)), Linear(3)], name="inner")
    x = qn.Input((4,))
    model = qn.Model(x, Linear(1)(inner(x)))
    assert [layer.name for layer in model.layers] == ["input_layer_1", "inner", "linear_1"]
    assert [w.path for w in model.weights][:2] == ["inner/linear/kernel", "inner/linear/bias"]
    assert model(np.ones((2, 4))).numpy().tolist() == [[3], [3]]
    inner.trainable = False
    assert len(model.trainable_weights) == 2


def test_a_part_of_a_model():
    x = qn.Input((4,))
    hidden = Linear(3, name="hidden")(x)
    model = qn.Model(x, Linear(1)(hidden))
    features = qn.Model(model.input, model.get_layer("hidden").output)
    assert features(np.ones((1, 4))).shape == (1, 3)
    head = qn.Model(hidden, model.output)  # an inner tensor as input
    assert_equal(head(features(np.ones((1, 4)))), model(np.ones((1, 4))))


def test_training_reaches_the_layers():
    x = qn.Input((3,))
    layer = Split()
    model = qn.Model(x, layer(x))
    model(np.ones((1, 3)), training=True)
    assert layer.seen is True
    model(np.ones((1, 3)))
    assert layer.seen is False


def test_inputs_are_cast_and_given_their_rank():
    x = qn.Input((2, 1))
    model = qn.Model(x, x * 2)
    assert model(np.ones((3, 2), "uint8")).dtype == "float32"
    assert model(np.ones((3, 2))).shape == (3, 2, 1)
    flat = qn.Input((2,), dtype="int32")
    counts = qn.Model(flat, flat * 2)
    assert counts(np.ones((3, 2, 1))).shape == (3, 2) and counts(np.ones((3, 2))).dtype == "int32"
    with pytest.raises(
        ValueError, match=r"input 'input_layer': expected shape \(None, 2, 1\), received \(3, 5\)|received \(3, 5, 1\)"
    ):
        model(np.ones((3, 5)))
    with pytest.raises(ValueError, match=r"expected shape \(None, 2, 1\), received \(3,\)"):
        model(np.ones(3))


def test_bad_graphs():
    a, b = qn.Input((2,), name="a"), qn.Input((2,), name="b")
    with pytest.raises(ValueError, match="disconnected: layer 'add' needs 'b'"):
        qn.Model(a, a + b)
    with pytest.raises(ValueError, match="expected unique layer names, received 'same' twice"):
        qn.Model(a, Linear(name="same")(Linear(name="same")(a)))
    with pytest.raises(ValueError, match="outputs: expected KerasTensors, received 3"):
        qn.Model(a, 3)
    with pytest.raises(ValueError, match="expected `shape` or `batch_shape`"):
        qn.Input()


def test_a_deep_graph():
    x = y = qn.Input((2,))
    for _ in range(1500):  # deeper than Python's stack
        y = y + 1
    assert qn.Model(x, y)(np.zeros((1, 2))).numpy().tolist() == [[1500, 1500]]


# --- Sequential


def test_sequential():
    model = qn.Sequential([qn.Input((4,)), Linear(3), Linear(2)])
    assert model.built and model.output_shape == (None, 2)
    assert [layer.name for layer in model.layers] == ["linear", "linear_1"]
    assert [w.path for w in model.weights][0] == "sequential/linear/kernel"
    assert model(np.ones((2, 4))).numpy().tolist() == [[3, 3], [3, 3]]
    model.add(Linear(5))
    assert model.output_shape == (None, 5) and len(model.weights) == 6
    assert model.pop().units == 5
    assert model.output_shape == (None, 2) and len(model.weights) == 4


def test_sequential_deferred():
    model = qn.Sequential()
    model.add(Linear(3))
    model.add(Linear(2))
    assert not model.built and model.weights == []
    with pytest.raises(AttributeError, match="no output_shape before it is built"):
        model.output_shape  # noqa: B018
    assert model(np.ones((5, 4), "uint8")).dtype == "float32"
    assert model.input_shape == (None, 4) and len(model.weights) == 4
    model(np.ones((7, 4)))
    other = qn.Sequential([Linear(3), Linear(2)])
    other.build((None, 4))
    assert [w.shape for w in other.weights] == [(4, 3), (3,), (3, 2), (2,)]


def test_sequential_input_shape():
    model = qn.Sequential([Linear(3, input_shape=(4,)), Linear(1)])
    assert model.built and model.input_shape == (None, 4)
    assert qn.Sequential([Linear(3, input_dim=4)]).input_shape == (None, 4)
    inner = qn.Sequential([model, Linear(2)])
    assert inner.input_shape == (None, 4) and len(inner.weights) == 6


def test_sequential_refuses():
    model = qn.Sequential([Linear(3, name="a")])
    with pytest.raises(ValueError, match="expected unique layer names, received 'a' twice"):
        model.add(Linear(3, name="a"))
    with pytest.raises(ValueError, match="expected a Layer, received 3"):
        model.add(3)
    with pytest.raises(ValueError, match="expected an Input only as the first element"):
        model.add(qn.Input((3,)))
    with pytest.raises(ValueError, match="expected layers before it is built"):
        qn.Sequential()(np.ones((2, 2)))
    with pytest.raises(ValueError, match="expected one output, received 2"):
        qn.Sequential([qn.Input((3,)), Split()])
    with pytest.raises(ValueError, match="expected a model with layers"):
        qn.Sequential().pop()


# --- subclasses


class Twice(qn.Model):
    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.steps = [Linear(units), Linear(units)]

    def call(self, x, training=None):
        self.seen = training
        for step in self.steps:
            x = step(x)
        return x


def test_a_subclass():
    model = Twice()
    assert model(np.ones((2, 4)), training=True).shape == (2, 3) and model.seen is True
    assert [w.path for w in model.weights][::2] == ["twice/linear/kernel", "twice/linear_1/kernel"]
    assert model.layers == list(model.steps)
    built = Twice()
    built.build((None, 4))
    assert [w.shape for w in built.weights] == [(4, 3), (3,), (3, 3), (3,)]
    x = qn.Input((4,))
    assert qn.Model(x, Twice()(x)).output_shape == (None, 3)


def test_a_subclass_made_of_a_graph():
    class Wrapped(qn.Model):
        def __init__(self):
            x = qn.Input((4,))
            super().__init__(inputs=x, outputs=Linear(2)(x), name="wrapped")

        def extra(self):
            return "mine"

    model = Wrapped()
    assert isinstance(model, Functional) and model.extra() == "mine" and model.name == "wrapped"
    assert model(np.ones((1, 4))).shape == (1, 2)
    assert not issubclass(Twice, Functional)


def test_get_layer():
    model = two_towers()
    assert model.get_layer("top") is model.get_layer(index=-1)
    with pytest.raises(ValueError, match="expected one of .*'shared'.*, received 'no'"):
        model.get_layer("no")
    with pytest.raises(ValueError, match="expected an index below"):
        model.get_layer(index=99)
    with pytest.raises(ValueError, match="expected a name or an index"):
        model.get_layer()


# --- summary


def lines(model, **kwargs):
    out = []
    model.summary(print_fn=out.append, **kwargs)
    return out


def test_summary():
    model = qn.Sequential([qn.Input((4,)), Linear(3), Linear(2, trainable=False)])
    text = lines(model)
    assert text[0] == 'Model: "sequential"' and {len(line) for line in text[1:-3]} == {80}
    assert "linear (Linear)" in text[4] and "(None, 3)" in text[4] and text[4].split()[-2] == "15"
    assert text[-3:] == [
        " Total params: 23 (92.00 B)",
        " Trainable params: 15 (60.00 B)",
        " Non-trainable params: 8 (32.00 B)",
    ]


def test_summary_of_graphs():
    text = "\n".join(lines(two_towers(), show_trainable=True))
    assert "Connected to" in text and "shared[0][0]" in text and "shared[1][0]" in text and "Trainable" in text
    nested = qn.Sequential([qn.Input((4,)), qn.Sequential([Linear(3)], name="inner"), Linear(1)])
    text = lines(nested, expand_nested=True, line_length=60)
    assert any("\u2514 linear (Linear)" in line for line in text) and {len(line) for line in text[1:-3]} == {60}
    assert "0 (unbuilt)" in "\n".join(lines(qn.Sequential([Linear(3)])))
    model = Twice()
    model(np.ones((2, 4)))
    assert "(2, 3)" in "\n".join(lines(model))
    with pytest.raises(ValueError, match="line_length: expected at least"):
        lines(nested, line_length=20)


def test_summary_without_unicode(capsys, monkeypatch):
    import io
    import sys

    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    qn.Sequential([qn.Input((4,)), Linear(3)]).summary()
    stream.flush()
    assert b"| linear (Linear)" in stream.buffer.getvalue()


# --- files of weights


def test_weights_file(tmp_path):
    model = two_towers()
    model.set_weights([np.random.default_rng(i).standard_normal(w.shape) for i, w in enumerate(model.weights)])
    path = tmp_path / "model.weights.safetensors"
    model.save_weights(path)
    assert [p.name for p in tmp_path.iterdir()] == ["model.weights.safetensors"]  # nothing temporary is left
    other = two_towers()
    other.load_weights(path)
    for a, b in zip(model.get_weights(), other.get_weights()):
        assert a.tobytes() == b.tobytes()
    from safetensors.numpy import load_file

    assert sorted(load_file(path)) == ["linear/bias", "linear/kernel", "linear_1/bias", "linear_1/kernel"]
    with pytest.raises(FileExistsError):
        model.save_weights(path, overwrite=False)


def test_weights_of_nested_models(tmp_path):
    def make():
        inner = qn.Sequential([Linear(3), Linear(3)])
        return qn.Sequential([qn.Input((4,)), inner, Linear(1)])

    model, twin = make(), make()  # the twin's layers have other names
    path = str(tmp_path / "w.safetensors")
    model.set_weights([w + i for i, w in enumerate(model.get_weights())])
    model.save_weights(path)
    twin.load_weights(path)
    assert_equal(model(data(2, 4)), twin(data(2, 4)))


def test_weights_file_that_does_not_fit(tmp_path):
    path = str(tmp_path / "w.weights.safetensors")
    small = qn.Sequential([qn.Input((4,)), Linear(3)])
    small.save_weights(path)
    big = qn.Sequential([qn.Input((4,)), Linear(5), Linear(3)])
    before = big.get_weights()
    with pytest.raises(
        ValueError,
        match=r"linear/kernel: expected shape \(4, 5\), received \(4, 3\); .*linear_1/kernel: expected shape",
    ):
        big.load_weights(path)
    assert all((a == b).all() for a, b in zip(before, big.get_weights()))
    with pytest.warns(UserWarning, match="are left as they are"):
        big.load_weights(path, skip_mismatch=True)
    for bad, message in (("w.h5", "safetensors"), ("w.weights.npz", "safetensors")):
        with pytest.raises(ValueError, match=message):
            small.save_weights(str(tmp_path / bad))
    with pytest.raises(FileNotFoundError):
        small.load_weights(str(tmp_path / "no.safetensors"))
    (tmp_path / "broken.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(ValueError, match="is not a safetensors file"):
        small.load_weights(str(tmp_path / "broken.safetensors"))
    with pytest.raises(ValueError, match="expected a built model"):
        qn.Sequential([Linear(3)]).save_weights(path)


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    from quernel.saving import atomic_write

    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(KeyError), atomic_write(path) as file:
        file.write(b"new")
        raise KeyError
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


def test_a_missing_folder_is_named_with_the_path_the_user_gave(tmp_path):
    model = qn.Sequential([qn.Input((2,)), Linear(3)])
    path = str(tmp_path / "missing" / "folder" / "x.weights.safetensors")
    with pytest.raises(FileNotFoundError) as caught:
        model.save_weights(path)
    assert caught.value.filename == path
    assert str(caught.value) == f"[Errno 2] no folder {os.path.dirname(path)!r}; create it first: {path!r}"


# --- configs


def test_configs_of_graphs():
    model = two_towers()
    twin = Functional.from_config(json.loads(json.dumps(model.get_config())))
    assert [layer.name for layer in twin.layers] == [layer.name for layer in model.layers]
    twin.set_weights(model.get_weights())
    inputs = [data(2, 4), data(2, 4)]
    assert_equal(model(inputs)["z"], twin(inputs)["z"])
    assert twin.get_config() == model.get_config()
    again = qn.models.model_from_json(model.to_json())
    assert again.get_config() == model.get_config()


def test_configs_of_sequential_and_ops():
    x = qn.Input((3,))
    inner = qn.Sequential([Linear(3)], name="inner")
    y = ops.concatenate([inner(x), ops.relu(x * 2.0)], axis=-1)
    model = qn.Model(x, y)
    twin = qn.models.model_from_json(model.to_json())
    assert_equal(model(data(2, 3)), twin(data(2, 3)))
    model = qn.Sequential([Linear(3, input_shape=(4,)), Linear(2)], name="s")
    twin = qn.Sequential.from_config(json.loads(json.dumps(model.get_config())))
    assert twin.name == "s" and [w.shape for w in twin.weights] == [w.shape for w in model.weights]


def test_clone_model():
    model = two_towers()
    model.set_weights([w + 1 for w in model.get_weights()])
    twin = clone_model(model)
    assert twin.weights[0] is not model.weights[0] and twin.get_layer("shared").kernel.numpy().max() == 0.5
    wide = clone_model(
        qn.Sequential([qn.Input((4,)), Linear(3)]), clone_function=lambda layer: Linear(7, name=layer.name)
    )
    assert wide.output_shape == (None, 7)
    assert clone_model(Twice(5)).units == 5


@pytest.mark.parametrize("make", [two_towers, lambda: Twice(4), lambda: qn.Sequential([Linear(3), Linear(2)]), Linear])
def test_deepcopy(make):
    model = make()
    inputs = [data(2, 4), data(2, 4)] if isinstance(model, Functional) else data(2, 4)
    before = model(inputs)
    twin = copy.deepcopy(model)
    model.set_weights([w + 1 for w in model.get_weights()])
    for a, b in zip(qn.tree.flatten(before), qn.tree.flatten(twin(inputs))):
        assert_equal(a, b)


def test_unknown_classes():
    class Unknown(Layer):
        def call(self, x):
            return x * 1

    x = qn.Input((3,))
    text = qn.Model(x, Unknown()(x)).to_json()
    with pytest.raises(
        ValueError, match="expected the name of a class of quernel or a registered one, received 'Unknown'"
    ):
        qn.models.model_from_json(text)
    assert qn.models.model_from_json(text, {"Unknown": Unknown})(np.ones((1, 3))).shape == (1, 3)
    with qn.saving.custom_object_scope({"Unknown": Unknown}):
        qn.models.model_from_json(text)
    with pytest.raises(ValueError, match="expected a dict with 'class_name'"):
        qn.saving.deserialize_object({"name": "os.system"})
