"""PyTorch's twins in the bench compute what our kernels compute: nobody is timed at other work."""

import numpy as np
import pytest

import quernel as qn
from quernel.bench.peers import find
from quernel.bench.run import choose_cases

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle

NO_TWIN = {"mean_update", "divide_no_nan", "slice_dx", "random_truncated_normal"}
# PyTorch shares a gradient out among equal maxima, ours goes to the first; its dropout keeps a mask.
NO_TWIN |= {"max_dx", "global_max_pool_dx", "max_pool_gather", "dropout_dx"}
# PyTorch's layers have the input's product in them; its steps on rows of a table are parts of its sparse optimizers.
NO_TWIN |= {n + end for n in ("gru", "lstm", "rnn") for end in ("_forward", "_dx")}
NO_TWIN |= {"rows_merge", "sgd_rows_update", "adam_rows_update"}
OTHER_VALUES = ("random_", "dropout")  # random numbers differ by nature
ALL = choose_cases(quick=True)
# A strided "same" of ours pads one side more than PyTorch can: such cases are not compared.
MORE = ("64x64x576TN", "64x64x64NT-rows4096", "64x13x13x32-64", "16x28x28x64-64-dilation2-same",
        "16x28x28x128-128-groups4-same", "16x28x28x128-same")  # fmt: skip
SAME = [c for c in ALL if not c.op.startswith(OTHER_VALUES) and c.op not in NO_TWIN]
SAME += [c for c in choose_cases(["gemm", "conv_forward", "conv_dx", "conv_dw", "depthwise_conv_dx"]) if c.name in MORE]
PAIRS = [(c, "torch") for c in SAME] + [(c, "onednn") for c in SAME if c.op.endswith("conv_forward")]


def _calls(case, arrays, peer):
    from quernel.bench.torch_calls import row_calls
    from quernel.bench.torch_images import fused, image_calls

    with torch.inference_mode():
        if peer == "onednn":
            return [("fused", fused(torch, case, arrays))]
        attrs = getattr(qn.kernels, case.op).freeze(dict(case.attrs))
        return image_calls(torch, case, arrays) or row_calls(torch, case, attrs, arrays)


@pytest.mark.parametrize("case", ALL, ids=str)
def test_who_has_a_twin(case):
    assert bool(_calls(case, case.make("float32"), "torch")) == (case.op not in NO_TWIN)


def _ours(case, arrays):
    kernel = getattr(qn.kernels, case.op)
    found = kernel(*arrays, **case.attrs)
    if kernel.updates:
        return arrays[0] if isinstance(arrays[0], list) else [arrays[0]]
    return list(found) if isinstance(found, tuple) else [found]


def _layout(op, value, like):
    """PyTorch's result as ours lies: NHWC, HWIO, HWIM, (i, o)."""
    value = value.detach().numpy()
    if value.ndim == 4 and op.endswith("conv_dw"):
        value = value.transpose(2, 3, 1, 0)
    elif value.ndim == 4 and op.startswith(("conv", "depthwise", "average_pool", "max_pool", "batch_norm", "global")):
        value = value.transpose(0, 2, 3, 1)
    elif op == "dense_dw" and value.shape != like.shape:
        value = value.T
    return value.reshape(like.shape)


@pytest.mark.parametrize("case, peer", PAIRS, ids=str)
def test_same_values(case, peer):
    find(["torch"])  # subnormals flushed
    arrays = case.make("float32")
    updates = getattr(qn.kernels, case.op).updates
    calls = _calls(case, arrays, peer)
    settings, results = [], []
    for setting, call in calls:
        if setting.startswith(("fused", "torch.optim")) and updates:
            continue  # in place: several settings share their variables
        settings.append(setting)
        if setting.startswith("after"):
            results.append(call())
        else:
            with torch.inference_mode():
                results.append(call())
    expected = _ours(case, arrays)
    for setting, found in zip(settings, results):
        found = list(found) if isinstance(found, (tuple, list)) else [found]
        for value, like in zip(found, expected):
            if case.op == "assign_add" or value is None:
                continue
            actual = _layout(case.op, value, like)
            scale = max(1.0, float(np.max(np.abs(like), initial=0)))
            np.testing.assert_allclose(actual, like, rtol=2e-3, atol=1e-4 * scale, err_msg=setting)


@pytest.mark.parametrize("op", ["sgd_update", "adam_update"])
def test_optimizers_take_the_same_step(op):
    for case in [c for c in choose_cases([op]) if c.name == "1e4"]:  # PyTorch's velocities are not scaled by the rate
        arrays = case.make("float32")
        start = [v.copy() for v in arrays[0]]
        setting, call = _calls(case, arrays, "torch")[0]
        with torch.inference_mode():
            variables = call.__closure__[[*call.__code__.co_freevars].index("variables")].cell_contents
            call()
        assert setting == "fused"
        getattr(qn.kernels, op)(*arrays, **case.attrs)
        for theirs, mine, before in zip(variables, arrays[0], start):
            step = np.max(np.abs(mine - before))
            assert step > 1e-4
            np.testing.assert_allclose(theirs.numpy(), mine, atol=0.05 * step)
