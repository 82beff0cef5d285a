"""Every example in a docstring, and the README's Python blocks, run as written."""

import doctest
import importlib
import os
import pkgutil
import re
from pathlib import Path

import pytest

import quernel as qn

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
README = Path(__file__).resolve().parent.parent / "README.md"


def modules():
    for info in pkgutil.walk_packages(qn.__path__, "quernel."):
        if not info.name.rpartition(".")[2].startswith("_core"):
            yield info.name


@pytest.mark.parametrize("name", sorted(modules()))
def test_module_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(importlib.import_module(name), optionflags=FLAGS)
    assert result.failed == 0, f"{result.failed} examples of {name} failed: see the captured output"


@pytest.mark.parametrize("name", sorted(qn.kernels._index))
def test_kernel_examples(name):
    kernel = getattr(qn.kernels, name)
    test = doctest.DocTestParser().get_doctest(kernel.__doc__, {}, name, None, None)
    out = []
    doctest.DocTestRunner(optionflags=FLAGS).run(test, out=out.append)
    assert not out, "".join(out)


@pytest.mark.parametrize("index", range(len(re.findall(r"```python\n", README.read_text()))))
def test_readme(index, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    block = re.findall(r"```python\n(.*?)```", README.read_text(), re.S)[index].replace("epochs=5", "epochs=1")
    exec(compile(block, f"README block {index}", "exec"), {})
    assert capsys.readouterr().out
    if "save_weights" in block:
        assert os.listdir(tmp_path) == ["digits.weights.safetensors"]
