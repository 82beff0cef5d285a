"""Every op is whole: native entry, definition, fallback, gradient, cases, formula, matching signatures."""

import importlib
import inspect
from pathlib import Path

import pytest

import quernel as qn
from quernel import backend, backward
from quernel.testing.cases import all_cases, speed_cases

OPS = sorted(qn.kernels._index)


def kernel(name):
    return getattr(qn.kernels, name)


def test_every_native_op_has_a_kernel():
    missing = set(backend.native_ops()) - set(OPS)
    assert not missing, f"ops.def names ops without a kernel in kernels/index.txt: {missing}"


@pytest.mark.parametrize("name", OPS)
def test_native_and_numba_exist(name):
    k = kernel(name)
    if k.view:
        return
    assert k.numba is not None, f"{name}: no Numba fallback"
    assert k.native is not None, f"{name}: no native packer"
    if backend.available("native"):
        inputs, outputs = backend.native_ops()[name]
        declared = [i.strip("?*") for i in inputs.split()]
        assert declared == [i for i in k.inputs if i not in k.updates], f"{name}: ops.def and the kernel differ"
        if k.updates:
            assert [o.strip("?*") for o in outputs.split()] == list(k.updates)


@pytest.mark.parametrize("name", OPS)
def test_gradient_rule_or_none_on_purpose(name):
    k = kernel(name)
    if k.updates:
        return
    importlib.import_module(f"quernel.ops.{k.module}")
    assert name in backward.RULES, f"{name}: neither @gradient nor no_gradient in ops/{k.module}.py"


@pytest.mark.parametrize("name", OPS)
def test_cases(name):
    cases = [c for c in all_cases() if c.op == name]
    assert cases, f"{name}: no case"
    names = [c.name for c in cases]
    assert len(set(names)) == len(names), f"{name}: case names repeat"
    if not kernel(name).updates and backward.RULES.get(name) is not None:
        assert any(c.tiny for c in cases), f"{name}: no tiny case for element-wise differences"


@pytest.mark.parametrize("name", OPS)
def test_docstring(name):
    doc = inspect.getdoc(kernel(name)) or ""
    assert doc, f"{name}: no docstring"
    assert "=" in doc, f"{name}: the docstring has no formula"
    assert ">>>" in doc, f"{name}: the docstring has no example"


@pytest.mark.parametrize("name", OPS)
def test_ops_has_the_same_name(name):
    if kernel(name).updates:
        return
    assert inspect.getdoc(getattr(qn.ops, name)), f"ops.{name}: no docstring"


def test_every_op_but_views_has_a_speed_case():
    assert {c.op for c in speed_cases()} <= set(OPS)
    silent = {n for n in OPS if not kernel(n).view} - {c.op for c in speed_cases()}
    assert not silent, f"ops without a SPEED case: {silent}"


def test_index_names_what_modules_define():
    folder = Path(qn.kernels.__file__).parent
    for path in folder.glob("*.py"):
        if path.stem in ("__init__", "kernel"):
            continue
        module = importlib.import_module(f"quernel.kernels.{path.stem}")
        defined = {n for n, v in vars(module).items() if type(v).__name__ == "Kernel" and v.module == path.stem}
        listed = {n for n, m in qn.kernels._index.items() if m == path.stem}
        assert defined == listed, f"kernels/index.txt and kernels/{path.stem}.py differ: {defined ^ listed}"


@pytest.mark.parametrize("namespace", ["kernels", "ops"])
def test_no_name_is_listed_twice(namespace):
    lines = Path(getattr(qn, namespace).__file__).with_name("index.txt").read_text().splitlines()
    names = [n for line in lines for n in line.partition(":")[2].split()]
    assert len(set(names)) == len(names), sorted({n for n in names if names.count(n) > 1})


@pytest.mark.parametrize("namespace", [qn.kernels, qn.ops], ids=["kernels", "ops"])
def test_an_op_wins_over_a_module_of_its_name(namespace):
    for name, module in namespace._index.items():
        importlib.import_module(f"{namespace.__name__}.{module}")
        assert callable(getattr(namespace, name)), f"{namespace.__name__}.{name} is the module, not the op"
