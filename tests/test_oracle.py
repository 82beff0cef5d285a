"""PyTorch as an oracle, `pytest -m oracle`: definitions, native kernels and gradients against an independent library."""

import numpy as np
import pytest

import quernel as qn
from quernel.testing import each_isa

pytestmark = pytest.mark.oracle
torch = pytest.importorskip("torch")
F = torch.nn.functional
ENGINES = [None, *each_isa()]  # None: float64 by the definition


def rng():
    return np.random.default_rng(11)


def images(t):
    return t.permute(0, 3, 1, 2)


def back(t):
    return t.permute(0, 2, 3, 1)


def compare(engine, ours, theirs, arrays, k):
    """Forward and gradients of ours(*tensors) and theirs(*torch tensors), for a sum of about k terms."""
    dtype = "float64" if engine is None else "float32"
    arrays = [a.astype(dtype) if a.dtype.kind == "f" else a for a in arrays]
    peers = [torch.from_numpy(a.astype("float64") if a.dtype.kind == "f" else a) for a in arrays]
    for p in peers:
        if p.is_floating_point():
            p.requires_grad_(True)
    want = theirs(*peers)
    weight = torch.from_numpy(rng().standard_normal(want.shape))
    (want * weight).sum().backward()
    tensors = [qn.convert_to_tensor(a) for a in arrays]
    sources = [t for t, a in zip(tensors, arrays) if a.dtype.kind == "f"]

    def run():
        with qn.GradientTape() as tape:
            tape.watch(sources)
            y = ours(*tensors)
        return y, tape.gradient(y, sources, output_gradients=qn.convert_to_tensor(weight.numpy().astype(dtype)))

    if engine is None:
        got, gradients = run()
    else:
        with engine:
            got, gradients = run()
    eps = np.finfo(dtype).eps

    def near(a, b, what):
        a, b = np.asarray(a, "float64"), b.detach().numpy()
        scale = np.abs(b).max(initial=1.0)
        error = np.abs(a - b).max(initial=0.0)
        assert error <= 2 * eps * (k + 1) * scale, f"{what}: error {error:.3g} at scale {scale:.3g}"

    near(got, want, "forward")
    for i, (g, p) in enumerate(zip(gradients, [p for p in peers if p.requires_grad])):
        near(g, p.grad, f"gradient {i}")


@pytest.mark.parametrize("engine", ENGINES, ids=str)
@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("dilation, groups", [(1, 1), (2, 1), (1, 2)])
def test_conv_valid(engine, strides, dilation, groups):
    r = rng()
    x, w, b = r.standard_normal((3, 11, 12, 4)), r.standard_normal((3, 3, 4 // groups, 6)), r.standard_normal(6)
    compare(
        engine,
        lambda x, w, b: qn.ops.conv_forward(
            x, w, b, strides=strides, dilation_rate=dilation, groups=groups, padding="valid"
        ),
        lambda x, w, b: back(
            F.conv2d(images(x), w.permute(3, 2, 0, 1), b, stride=strides, dilation=dilation, groups=groups)
        ),
        [x, w, b],
        400,
    )


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_conv_same_and_relu(engine):
    r = rng()
    x, w, b = r.standard_normal((2, 9, 8, 3)), r.standard_normal((3, 3, 3, 5)), r.standard_normal(5)
    compare(
        engine,
        lambda x, w, b: qn.ops.conv_forward(x, w, b, padding="same", activation="relu"),
        lambda x, w, b: back(F.relu(F.conv2d(images(x), w.permute(3, 2, 0, 1), b, padding="same"))),
        [x, w, b],
        200,
    )


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_depthwise(engine):
    r = rng()
    x, w = r.standard_normal((2, 9, 8, 5)), r.standard_normal((3, 3, 5, 2))
    compare(
        engine,
        lambda x, w: qn.ops.depthwise_conv_forward(x, w, padding="valid"),
        lambda x, w: back(F.conv2d(images(x), w.reshape(3, 3, 10).permute(2, 0, 1)[:, None], groups=5)),
        [x, w],
        150,
    )


@pytest.mark.parametrize("engine", ENGINES, ids=str)
@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize("size, strides", [(2, 2), (3, 2), (2, 3)])
def test_pool(engine, kind, size, strides):
    ours = getattr(qn.ops, f"{kind}_pool")
    theirs = F.max_pool2d if kind == "max" else F.avg_pool2d
    x = rng().permutation(2 * 11 * 9 * 5).reshape(2, 11, 9, 5) / 100.0
    compare(
        engine,
        lambda x: ours(x, pool_size=size, strides=strides, padding="valid"),
        lambda x: back(theirs(images(x), size, strides)),
        [x],
        size * size,
    )


@pytest.mark.parametrize("engine", ENGINES, ids=str)
@pytest.mark.parametrize("shape", [(5, 7, 9), (40, 700, 3), (1, 600, 1)])
def test_dense(engine, shape):
    n, i, o = shape
    r = rng()
    compare(
        engine,
        lambda x, w, b: qn.ops.dense_forward(x, w, b, activation="relu"),
        lambda x, w, b: F.relu(x @ w + b),
        [r.standard_normal((n, i)), r.standard_normal((i, o)), r.standard_normal(o)],
        i + n,
    )


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_matmul_broadcasts_batches(engine):
    r = rng()
    compare(engine, qn.ops.matmul, torch.matmul, [r.standard_normal((4, 1, 5, 6)), r.standard_normal((3, 6, 7))], 60)


@pytest.mark.parametrize("engine", ENGINES, ids=str)
@pytest.mark.parametrize(
    "name, theirs",
    [
        ("relu", F.relu),
        ("leaky_relu", lambda x: F.leaky_relu(x, 0.2)),
        ("elu", F.elu),
        ("selu", F.selu),
        ("sigmoid", torch.sigmoid),
        ("tanh", torch.tanh),
        ("softplus", F.softplus),
        ("silu", F.silu),
        ("exp", torch.exp),
        ("expm1", torch.expm1),
        ("softmax", lambda x: F.softmax(x, -1)),
        ("log_softmax", lambda x: F.log_softmax(x, -1)),
    ],
)
def test_activations(engine, name, theirs):
    x = rng().standard_normal((7, 33)) * 3
    compare(engine, getattr(qn.ops, name), theirs, [x], 40)


@pytest.mark.parametrize("engine", ENGINES, ids=str)
@pytest.mark.parametrize("approximate", [True, False])
def test_gelu(engine, approximate):
    x = rng().standard_normal((7, 33)) * 3
    compare(
        engine,
        lambda x: qn.ops.gelu(x, approximate=approximate),
        lambda x: F.gelu(x, approximate="tanh" if approximate else "none"),
        [x],
        20,
    )


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_sparse_cross_entropy(engine):
    r = rng()
    labels = r.integers(0, 10, 13)
    compare(
        engine,
        lambda z: qn.ops.sparse_categorical_crossentropy(labels.astype("int32"), z, from_logits=True),
        lambda z: F.cross_entropy(z, torch.from_numpy(labels), reduction="none"),
        [r.standard_normal((13, 10)) * 4],
        30,
    )


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_binary_cross_entropy(engine):
    r = rng()
    target = r.uniform(0, 1, (6, 5))
    kind = "float64" if engine is None else "float32"
    wide = target.astype(kind).astype("float64")
    compare(
        engine,
        lambda z: qn.ops.binary_crossentropy(target.astype(kind), z, from_logits=True),
        lambda z: F.binary_cross_entropy_with_logits(z, torch.from_numpy(wide), reduction="none"),
        [r.standard_normal((6, 5)) * 4],
        10,
    )


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_batch_norm(engine):
    r = rng()
    compare(
        engine,
        lambda x, g, b: qn.ops.batch_norm_train(x, g, b, epsilon=1e-3)[0],
        lambda x, g, b: back(F.batch_norm(images(x), None, None, g, b, training=True, eps=1e-3)),
        [r.standard_normal((4, 5, 6, 7)), r.uniform(0.5, 2, 7), r.standard_normal(7)],
        240,
    )


def test_adam_trajectory():
    """Twenty steps of Adam: Keras's epsilon stands outside the bias correction, so PyTorch gets it rescaled each step."""
    r = rng()
    w0, target = r.standard_normal(50), r.standard_normal(50)
    w = qn.Variable(w0.astype("float32"))
    optimizer = qn.optimizers.Adam(learning_rate=0.05, epsilon=1e-7)
    peer = torch.from_numpy(w0.copy()).requires_grad_(True)
    theirs = torch.optim.Adam([peer], lr=0.05)
    for step in range(1, 21):
        with qn.GradientTape() as tape:
            loss = qn.ops.sum((w - target.astype("float32")) ** 2)
        optimizer.apply_gradients([(tape.gradient(loss, w), w)])
        theirs.param_groups[0]["eps"] = 1e-7 / np.sqrt(1 - 0.999**step)
        theirs.zero_grad()
        ((peer - torch.from_numpy(target)) ** 2).sum().backward()
        theirs.step()
    assert np.abs(w.numpy() - peer.detach().numpy()).max() < 20 * 50 * np.finfo("float32").eps
