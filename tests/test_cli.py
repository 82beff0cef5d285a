"""The command line: info's facts, demo's last line, bad arguments, the import cost of its modules."""

import re
import subprocess
import sys

import pytest

import quernel as qn
from quernel import cli


def test_info_names_what_matters(capsys):
    assert cli.main(["info"]) == 0
    text = capsys.readouterr().out
    for line in ("quernel ", "NumPy ", "instruction set ", "backend native ", "backend in use ", "threads "):
        assert re.search(f"^{line}", text, re.M), line


@pytest.mark.parametrize("bad", [["demo", "--epochs", "0"], ["demo", "--backend", "cuda"], ["nothing"], []])
def test_bad_arguments(bad, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(bad)
    assert stop.value.code == 2
    assert "usage: quernel" in capsys.readouterr().err


def test_demo_ends_with_the_accuracy(tmp_path):
    command = [
        sys.executable,
        "-c",
        "import sys; from quernel.cli import main; sys.exit(main())",
        "demo",
        "--epochs",
        "1",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    last = done.stdout.strip().splitlines()[-1]
    assert re.fullmatch(r"test accuracy \d+\.\d\d %", last), last
    assert float(last.split()[2]) > 70
    assert (tmp_path / "quernel-demo.png").read_bytes().startswith(b"\x89PNG")
    for word in ("Total params: 93,322", "ms per step", "images per second", qn.backend.isa() or "kernels"):
        assert word in done.stdout, word


def test_demo_without_matplotlib_names_the_extra(tmp_path):
    code = (
        "import sys, importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'matplotlib' else real(name, *a)\n"
        "from quernel.cli import main; sys.exit(main(['demo', '--epochs', '1']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "pip install 'quernel[viz]'" in done.stdout
    assert not (tmp_path / "quernel-demo.png").exists()


def test_demo_fails_on_nan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from quernel.cli import demo

    (x, y), test = qn.datasets.mnist_sample.load_data()
    monkeypatch.setattr(demo.mnist_sample, "load_data", lambda: ((x[:64] * float("nan"), y[:64]), test))
    assert cli.main(["demo", "--epochs", "1", "--no-plot"]) == 1


def test_import_pulls_in_numpy_and_the_core_only():
    code = (
        "import sys, numpy; before = set(sys.modules); import quernel\n"
        "new = {m.split('.')[0] for m in set(sys.modules) - before}\n"
        "print(sorted(m for m in new if m not in sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['quernel']", done.stdout
