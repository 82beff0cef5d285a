"""Rules of CONTRIBUTING.md as tests: where NumPy may not compute, file heads, sizes, names, the docs that are generated."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import quernel as qn

TOP = Path(__file__).resolve().parent.parent
PACKAGE = Path(qn.__file__).resolve().parent
SOURCES = sorted((TOP / "python" / "quernel").rglob("*.py"))
NATIVE = sorted(p for p in (TOP / "csrc").rglob("*") if p.suffix in (".cpp", ".hpp"))

# Whatever escapes the kernels cannot be recorded later: these may hold, convert and describe arrays, not compute with them.
NO_NUMPY = ("ops", "layers", "losses", "metrics", "optimizers", "initializers", "regularizers", "constraints",
            "activations", "autograd.py", "backward.py", "variable.py", "reader.py", "tensor.py", "operation.py")  # fmt: skip
ALLOWED = {
    "dtype", "ndarray", "generic", "asarray", "array", "ascontiguousarray", "prod", "broadcast_shapes", "finfo", "iinfo",
    "issubdtype", "integer", "floating", "number", "bool_", "newaxis", "ndim", "shape", "isscalar", "result_type",
    "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "copyto",
}  # fmt: skip


def no_numpy_files():
    for path in SOURCES:
        if path.relative_to(TOP / "python" / "quernel").parts[0] in NO_NUMPY:
            yield path


def numpy_offences(tree):
    """(line, text) of every use of NumPy beyond ALLOWED, and of arithmetic on a Tensor's raw array."""
    aliases = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            aliases |= {a.asname or a.name for a in node.names if a.name.split(".")[0] == "numpy"}
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "numpy":
            yield node.lineno, "from numpy import"
    for node in ast.walk(tree):
        named = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if named and node.value.id in aliases and node.attr not in ALLOWED:
            yield node.lineno, f"np.{node.attr}"
        identity = isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.Is, ast.IsNot))
        if isinstance(node, (ast.BinOp, ast.AugAssign, ast.Compare, ast.UnaryOp)) and not identity:
            for part in ast.iter_child_nodes(node):
                if isinstance(part, ast.Attribute) and part.attr in ("_array", "_storage"):
                    yield node.lineno, f"arithmetic on {part.attr}"


@pytest.mark.parametrize("path", list(no_numpy_files()), ids=lambda p: str(p.relative_to(TOP / "python" / "quernel")))
def test_no_numpy_arithmetic(path):
    found = list(numpy_offences(ast.parse(path.read_text())))
    assert not found, f"{path.name} computes with NumPy: {found}"


def test_the_numpy_rule_can_fail():
    tree = ast.parse("import numpy as np\ny = np.exp(x)\nz = t._array * 2\n")
    assert [text for _, text in sorted(numpy_offences(tree))] == ["np.exp", "arithmetic on _array"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(TOP)))
def test_python_files(path):
    text = path.read_text()
    assert text.startswith('"""'), "line 1 says what the file is"
    assert text.isascii(), "ASCII only"
    assert len(text.splitlines()) <= 300, "a room is one op: split the file"
    banned = {"util", "helpers", "helper", "misc", "common"}
    assert path.stem not in banned, f"{path.stem} says nothing"
    assert "NotImplementedError" not in text or path.stem in (
        "layer",
        "loss",
        "metric",
        "optimizer",
        "operation",
        "initializer",
    ), "a public name is whole or absent"


@pytest.mark.parametrize("path", NATIVE, ids=lambda p: str(p.relative_to(TOP)))
def test_native_files(path):
    text = path.read_text()
    assert text.startswith("//"), "line 1 says what the file is"
    assert text.isascii(), "ASCII only"
    assert len(text.splitlines()) <= 400, "a room is one op: split the file"
    room = path.relative_to(TOP / "csrc").parts[0]
    if room != "core":
        assert "#pragma omp" not in text, "threads only through Team"
        assert "pybind11" not in text, "pybind11 only in core/"
    if room not in ("simd", "core"):
        assert "_mm" not in text, "intrinsics only in simd/"


def test_the_installed_package_is_tested():
    if os.environ.get("QUERNEL_DEVELOPMENT"):
        pytest.skip("QUERNEL_DEVELOPMENT is set: an in-place build is tested on purpose")
    assert TOP / "python" not in PACKAGE.parents, f"tested {PACKAGE}: install the package (pip install '.[test]')"


def test_status_page_is_current():
    text = subprocess.run(
        [sys.executable, str(TOP / "docs" / "make_status.py")], capture_output=True, text=True, check=True
    ).stdout
    assert text == (TOP / "docs" / "status.md").read_text(), (
        "docs/status.md is stale: python docs/make_status.py > docs/status.md"
    )


def test_bits_cases_are_current():
    text = subprocess.run(
        [sys.executable, str(TOP / "tests" / "bits_cases.py")], capture_output=True, text=True, check=True
    ).stdout
    assert text == (TOP / "tests" / "bits_cases.txt").read_text(), "stale: see tests/bits_cases.py"
    names = [line.split()[0] for line in (TOP / "tests" / "bits.txt").read_text().splitlines()]
    assert names == [line.split()[0] for line in text.splitlines()], (
        "tests/bits.txt and tests/bits_cases.txt differ in cases"
    )


def test_mutants_fit_the_sources():
    lines = [x for x in (TOP / "tests" / "mutants.txt").read_text().splitlines() if x and not x.startswith("#")]
    assert len(lines) == len({x.split(" | ")[0] for x in lines}) >= 47, "tests/mutants.txt: expected 47 mutants or more"
    for line in lines:
        name, file, old, new, tests = line.split(" | ")
        count = (TOP / file).read_text().count(old)
        assert count == 1 and old != new, f"mutant {name}: {file} holds {old!r} {count} times, expected once"
        assert all((TOP / t).exists() for t in tests.split() if t.startswith("tests/")), f"mutant {name}: {tests}"
