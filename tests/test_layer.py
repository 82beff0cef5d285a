"""Layer: the order of a call, tracking, weights, losses, masks, configuration."""

import warnings

import numpy as np
import pytest

import quernel as qn
from quernel import ops
from quernel.layers import InputSpec, Layer


def full(value):
    return lambda shape, dtype: np.full(shape, value, dtype)


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


def names(variables):
    return [v.path for v in variables]


def test_call_builds_once_and_casts():
    layer = Linear(3)
    assert not layer.built and layer.weights == [] and layer.path is None
    y = layer(np.ones((2, 4)))  # float64, NumPy's default
    assert y.dtype == "float32" and y.numpy().tolist() == [[2, 2, 2]] * 2
    assert layer.built and layer.count_params() == 15
    assert layer(np.ones((5, 4), "float32")).shape == (5, 3) and len(layer.weights) == 2


def test_dtype_policy():
    layer = Linear(3, dtype="float64")
    assert layer(np.ones((2, 4), "float32")).dtype == "float64"
    assert (layer.dtype, layer.compute_dtype, layer.variable_dtype) == ("float64",) * 3
    assert layer.kernel.dtype == "float64"

    class Same(Layer):
        def call(self, x):
            return x

    assert Same(autocast=False)(np.ones(2)).dtype == "float64"
    assert Same()(np.ones(2, "int32")).dtype == "int32"
    with pytest.raises(ValueError, match="mixed_float16"):
        Linear(dtype="mixed_float16")


def test_only_tensors_by_position():
    with pytest.raises(ValueError, match="expected tensors as positional arguments, received 1.0"):
        Linear()([[1.0, 2.0]])


def test_input_spec():
    class Picky(Linear):
        def __init__(self):
            super().__init__()
            self.input_spec = InputSpec(ndim=2)

        def build(self, input_shape):
            super().build(input_shape)
            self.input_spec = InputSpec(ndim=2, axes={-1: input_shape[-1]})

    layer = Picky()
    with pytest.raises(ValueError, match="layer 'picky.*', input 0: expected ndim=2, received ndim=3"):
        layer(np.ones((2, 3, 4)))
    layer(np.ones((2, 3)))
    with pytest.raises(ValueError, match="expected axis -1 of size 3, received 4"):
        layer(np.ones((2, 4)))
    with pytest.raises(TypeError, match="input_spec: expected InputSpec, received int"):
        layer.input_spec = 3


@pytest.mark.parametrize(
    ("spec", "shape", "message"),
    [({"min_ndim": 3}, (2, 3), "min_ndim=3, received ndim=2"), ({"max_ndim": 1}, (2, 3), "max_ndim=1, received ndim=2"),
     ({"dtype": "int32"}, (2, 3), "dtype=int32, received dtype=float32"),
     ({"shape": (None, 4)}, (2, 3), r"expected shape=\(None, 4\)")],
)  # fmt: skip
def test_input_spec_messages(spec, shape, message):
    layer = Linear()
    layer.input_spec = InputSpec(**spec)
    with pytest.raises(ValueError, match=message):
        layer(np.ones(shape, "float32"))


def test_a_last_axis_may_be_squeezed():
    spec = InputSpec(shape=(None, 3, 1), allow_last_axis_squeeze=True)
    spec.check(qn.KerasTensor((2, 3)), "x")
    spec.check(qn.KerasTensor((2, 3, 1)), "x")
    with pytest.raises(ValueError, match="expected shape"):
        spec.check(qn.KerasTensor((2, 4)), "x")


class Mode(Layer):
    def call(self, x, training=None):
        self.seen = training
        return x


class Outer(Layer):
    def __init__(self, explicit=None):
        super().__init__()
        self.first, self.second = Mode(), Mode()
        self.explicit = explicit

    def call(self, x):
        return self.second(self.first(x, training=self.explicit))


def test_training():
    x = np.ones(2, "float32")
    mode = Mode()
    mode(x)
    assert mode.seen is False
    mode(x, training=True)
    assert mode.seen is True
    outer = Outer()
    outer(x)
    assert (outer.first.seen, outer.second.seen) == (False, False)
    outer(x, training=True)  # its `call` has no such argument; it goes on to the layers inside
    assert (outer.first.seen, outer.second.seen) == (True, True)
    outer = Outer(explicit=True)
    outer(x, training=False)
    assert (outer.first.seen, outer.second.seen) == (True, False)

    class Default(Mode):
        def call(self, x, training=True):
            self.seen = training
            return x

    default = Default()
    default(x)
    assert default.seen is True


def test_a_failed_call_leaves_no_context():
    class Fails(Layer):
        def call(self, x, training=None):
            raise KeyError("no")

    with pytest.raises(KeyError):
        Fails()(np.ones(2), training=True)
    mode = Mode()
    mode(np.ones(2))
    assert mode.seen is False


def test_tracking():
    class Many(Layer):
        def __init__(self):
            super().__init__()
            self.blocks = [Linear(2, name="a"), {"x": Linear(3, name="b")}]
            self.table = {"c": Linear(1, name="c")}
            self.pair = (Linear(1, name="d"), 3)
            self.own = self.add_weight((2,), full(1.0), name="own")
            self.count = (
                self.add_weight((), "zeros", trainable=False, name="count")
                if False
                else qn.Variable(0.0, trainable=False, name="count")
            )
            self.blocks.append(Linear(4, name="e"))
            self.table["f"] = Linear(5, name="f")

        def call(self, x):
            for layer in (
                self.blocks[0],
                self.blocks[1]["x"],
                self.table["c"],
                self.pair[0],
                self.blocks[2],
                self.table["f"],
            ):
                x = layer(x)
            return x

    layer = Many()
    assert [v.name for v in layer._layers] == ["a", "b", "c", "d", "e", "f"]
    layer(np.ones((1, 2)))
    assert [v.path.split("/")[-2] for v in layer.weights[2:]] == [n for n in "abcdef" for _ in range(2)]
    assert [v.name for v in layer.weights[:2]] == ["own", "count"]
    assert [v.name for v in layer.non_trainable_weights] == ["count"]
    assert layer.blocks.pop().name == "e"
    assert [v.name for v in layer._layers] == ["a", "b", "c", "d", "f"]
    del layer.table
    assert [v.name for v in layer._layers] == ["a", "b", "d"]


def test_no_state_after_build():
    layer = Linear()
    layer(np.ones((1, 2)))
    with pytest.raises(ValueError, match="in `__init__` or `build`"):
        layer.late = Linear()
    with pytest.raises(ValueError, match="in `__init__` or `build`"):
        layer.build((None, 2))
    layer.note = "fine"


def test_a_forgotten_super_init():
    class Forgot(Layer):
        def __init__(self):
            self.part = Linear()

    with pytest.raises(RuntimeError, match="expected `super"):
        Forgot()(np.ones(2))


def test_trainable():
    class Two(Layer):
        def __init__(self):
            super().__init__()
            self.a, self.b = Linear(name="a"), Linear(name="b")

        def call(self, x):
            return self.b(self.a(x))

    layer = Two()
    layer(np.ones((1, 2)))
    assert len(layer.trainable_weights) == 4 and layer.non_trainable_weights == []
    layer.a.trainable = False
    assert names(layer.trainable_weights) == [p for p in names(layer.weights) if "/b/" in p]
    assert not layer.a.kernel.trainable
    layer.trainable = False
    assert layer.trainable_weights == [] and len(layer.non_trainable_weights) == 4
    layer.trainable = True
    assert len(layer.trainable_variables) == 4
    with qn.GradientTape() as tape:
        y = layer(np.ones((1, 2)))
    assert all(g is not None for g in tape.gradient(y, layer.trainable_weights))
    frozen = Linear(trainable=False)
    frozen(np.ones((1, 2)))
    assert frozen.trainable_weights == [] and not frozen.kernel.trainable


def test_paths():
    class Block(Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.inner = Linear(name="inner")
            self.scale = self.add_weight((), full(2.0), name="scale")

        def call(self, x):
            return self.inner(x) * self.scale

    block = Block(name="block")
    block(np.ones((1, 2)))
    assert names(block.weights) == ["block/scale", "block/inner/kernel", "block/inner/bias"]
    assert block.inner.path == "block/inner"


def test_automatic_names():
    qn.naming.clear_names()

    class MaxPooling2D(Layer):
        pass

    assert [MaxPooling2D().name for _ in range(3)] == ["max_pooling2d", "max_pooling2d_1", "max_pooling2d_2"]
    with pytest.raises(ValueError, match="without '/'"):
        Linear(name="a/b")


def test_get_and_set_weights():
    layer = Linear(2)
    layer(np.ones((1, 3)))
    kernel, bias = layer.get_weights()
    kernel[:] = 7
    assert layer.kernel.numpy().max() == 0.5  # what get_weights returns is fresh
    layer.set_weights([kernel, bias])
    assert layer.kernel.numpy().min() == 7
    with pytest.raises(ValueError, match="expected 2 arrays, received 1"):
        layer.set_weights([kernel])
    with pytest.raises(ValueError, match=r"set_weights: .*bias: expected shape \(2,\), received \(3,\)"):
        layer.set_weights([kernel * 0, np.zeros(3)])
    assert layer.kernel.numpy().min() == 7  # all or none
    with pytest.raises(ValueError, match="expected a layer that is built"):
        Linear().count_params()


def test_losses():
    class Penalty(Layer):
        def call(self, x):
            self.add_loss(ops.sum(x))
            return x

    class Outer(Layer):
        def __init__(self):
            super().__init__()
            self.a, self.b = Penalty(), Penalty()
            self.w = self.add_weight((2,), full(3.0), regularizer=lambda w: ops.sum(w * w))

        def call(self, x):
            self.add_loss(ops.sum(x) * 10)
            return self.b(self.a(x))

    layer = Outer()
    for _ in range(2):  # losses are those of the last call
        layer(np.ones(2))
        assert [float(v) for v in layer.losses] == [20, 2, 2, 18]
    layer.trainable = False
    assert [float(v) for v in layer.losses] == [20, 2, 2]
    with pytest.raises(ValueError, match="add_loss: expected a Tensor, received float"):
        layer.add_loss(1.0)
    active = Linear(activity_regularizer=lambda y: ops.sum(y))
    active(np.ones((1, 2)))
    assert [float(v) for v in active.losses] == [2]


class MaskMaker(Layer):
    def __init__(self):
        super().__init__()
        self.supports_masking = True

    def compute_mask(self, inputs, previous_mask=None):
        return inputs != 0

    def call(self, x):
        return x * 1


class MaskUser(Layer):
    def __init__(self):
        super().__init__()
        self.supports_masking = True

    def call(self, x, mask=None):
        self.seen = mask
        return x * 1


def test_masks():
    masked = np.array([[1.0, 0.0]], "float32")

    class Maker(MaskMaker):
        def call(self, x):
            y = x * 1
            y._keras_mask = x != 0
            return y

    y = Maker()(masked)
    assert y._keras_mask.numpy().tolist() == [[True, False]]
    user = MaskUser()
    z = user(y)
    assert user.seen.numpy().tolist() == [[True, False]] and z._keras_mask is not None
    user(y, mask=None)
    assert user.seen is not None
    user(masked)
    assert user.seen is None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert getattr(Linear()(y), "_keras_mask", None) is None
    assert "does not pass it on" in str(caught[0].message)


def test_several_inputs():
    class Pair(Layer):
        def build(self, a_shape, b_shape):
            self.shapes = (a_shape, b_shape)

        def call(self, a, b=None):
            return a if b is None else a + b

    layer = Pair()
    assert layer(np.ones((2, 3)), b=np.ones((2, 3))).numpy().max() == 2
    assert layer.shapes == ((2, 3), (2, 3))
    assert layer.get_build_config() == {"shapes_dict": {"a_shape": (2, 3), "b_shape": (2, 3)}}

    class Sum(Layer):
        def build(self, input_shape):
            self.shapes = input_shape

        def call(self, xs):
            return xs[0] + xs[1]

    layer = Sum()
    layer([np.ones(2), np.ones(2)])
    assert layer.shapes == [(2,), (2,)]
    with pytest.raises(ValueError, match="expected a structure of tensors only"):
        Sum()(xs=[np.ones(2), "b"])

    class Wrong(Layer):
        def build(self, a_shape, other):
            pass

        def call(self, a, b):
            return a

    with pytest.raises(ValueError, match="expected arguments named after those of `call`.* received 'other'"):
        Wrong()(np.ones(2), np.ones(2))


def test_shapes_without_data():
    layer = Linear(3)
    out = layer(qn.KerasTensor((None, 4)))
    assert (out.shape, out.dtype) == ((None, 3), "float32") and layer.built
    assert Linear(5).compute_output_shape((None, 4)) == (None, 5)

    class Declared(Layer):
        def compute_output_shape(self, input_shape):
            return (*input_shape[:-1], 7)

        def call(self, x):
            raise AssertionError("shapes are declared")

    assert Declared()(qn.KerasTensor((None, 4))).shape == (None, 7)


def test_config():
    layer = Linear(3, name="mine", trainable=False, dtype="float64")
    config = layer.get_config()
    assert config == {"name": "mine", "trainable": False, "dtype": "float64", "units": 3}
    twin = Linear.from_config(config)
    assert twin.get_config() == config

    class Auto(Layer):
        def __init__(self, units, scale=2.0, **kwargs):
            super().__init__(**kwargs)
            self.units, self.scale = units, scale

    assert Auto(3, name="auto").get_config() == {"name": "auto", "trainable": True, "dtype": "float32", "units": 3}

    class Holder(Layer):
        def __init__(self, layer):
            super().__init__()
            self.layer = layer

    with pytest.raises(TypeError, match="expected a `get_config`.* 'layer' is a Linear"):
        Holder(Linear()).get_config()
    with pytest.raises(TypeError, match="Linear: unknown argument 'unit'"):
        Linear(unit=3)


class Counting(qn.layers.Layer):
    """Counts its calls; `build` sets a weight."""

    def build(self, input_shape):
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)
        self.w = self.add_weight(shape=(), initializer="zeros")
        self.w.assign(2.0)

    def call(self, x):
        self.calls.assign_add(1.0)
        return x * self.w


class Around(qn.layers.Layer):
    """Builds another layer in its `call`."""

    def __init__(self):
        super().__init__()
        self.inner = Counting()

    def call(self, x):
        return self.inner(x)


def test_a_call_on_shapes_alone_changes_no_state_but_building_does():
    x = qn.Input((3,))
    one, two = Counting(), Around()
    model = qn.Model(x, two(one(x)))
    assert [float(c.calls) for c in (one, two.inner)] == [0, 0]
    assert one.compute_output_shape((None, 3)) == (None, 3)
    assert model(np.ones((1, 3), "float32")).numpy().tolist() == [[4.0] * 3]
    assert [float(c.calls) for c in (one, two.inner)] == [1, 1]
