"""bench/train: every model trains what the referee says, slow rounds are dropped, the README's table is replaced."""

import json
import os
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

TRAIN = Path(__file__).resolve().parent.parent / "bench" / "train"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(TRAIN))
    yield
    for name in ("models", "referee", "table", "peer_quernel", "run", "contestants"):
        sys.modules.pop(name, None)


def make_run(**times):
    """A run of the tiny model: three rounds, the second beside other load."""
    peers = {
        name.replace("_", " "): {"us": us, "setting": "x", "version": name, "loss": 1.0} for name, us in times.items()
    }
    peers["keras"] = {"missing": "No module named 'keras'"}
    return {"machine": "m", "threads": 2, "isa": "base",
            "models": {"tiny": {"peers": peers, "sentinel": [100.0, 84.0, 86.0], "refused": 0}}}  # fmt: skip


def test_slow_rounds_do_not_count(bench):
    from table import kept, medians

    run = make_run(quernel_fit=[2.0, 90.0, 4.0])
    assert kept(run, "tiny") == [True, False, True]
    assert medians(run, "tiny") == {"quernel fit": (3.0, 2.0, 4.0)}


def test_the_table_names_what_is_missing_and_compares_with_the_best(bench, tmp_path):
    from table import write_markdown

    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- bench:train -->\nold\n<!-- /bench:train -->\nafter\n")
    write_markdown(make_run(quernel_fit=[2.0, 9.0, 2.0], torch=[30.0, 1.0, 30.0], jax=[8.0, 1.0, 8.0]), readme)
    text = readme.read_text()
    assert "| 10-10-1 | 100 | 2.00 | 30.0 | - | 8.00 | - | - | 4.0 |" in text
    assert "Not installed: keras." in text and "medians over 2 of 3 rounds" in text
    assert "old" not in text and text.startswith("before\n") and text.endswith("after\n")
    with pytest.raises(SystemExit, match="has no <!-- bench:train -->"):
        write_markdown(make_run(), TRAIN / "run.py")


def test_runs_of_some_models_are_one_table(bench, tmp_path):
    from models import MODELS
    from run import load
    from table import markdown, print_run

    paths = []
    for number, names in enumerate((list(MODELS)[4:], list(MODELS)[:5])):  # the fifth in both: the later file's counts
        one = make_run(quernel_fit=[2.0 + number] * 3, torch=[30.0] * 3)["models"]["tiny"]
        run = {"machine": "m", "threads": 2, "isa": "base", "models": dict.fromkeys(names, one)}
        paths.append(tmp_path / f"{number}.json")
        paths[-1].write_text(json.dumps(run))
    run = load(paths)
    assert list(run["models"]) == list(MODELS) and len(MODELS) >= 9
    print_run(run)
    rows = markdown(run).splitlines()[2 : 2 + len(MODELS)]
    for model, row in zip(MODELS.values(), rows):
        assert row.startswith(f"| {model.title} | {model.batch} | ")
    assert "| 3.00 | 30.0 |" in rows[4] and "| 2.00 | 30.0 |" in rows[5]
    paths[0].write_text(json.dumps({**run, "threads": 1}))
    with pytest.raises(SystemExit, match="1.json was measured with threads 2, .*0.json with 1"):
        load(paths)


@pytest.mark.parametrize("name", ("linear", "tiny", "policy", "autoencoder", "cnn", "residual"))
def test_the_referee_agrees_with_the_loss_of_the_model(bench, name):
    """One definition of the loss for all peers: the referee's is the one that our own fit minimises."""
    from models import MODELS, make_arrays, set_weights
    from peer_quernel import build
    from referee import referee

    model = MODELS[name]
    x, y, weights = make_arrays(model)
    network, made = build(model)
    set_weights(made, weights)
    ours = network.evaluate(x[:256], y[:256], batch_size=256, verbose=0)
    np.testing.assert_allclose(ours, referee(model, x, y, weights), rtol=1e-5)


def test_a_machine_that_is_never_quiet_gets_a_round(bench, monkeypatch, tmp_path):
    import run
    from models import MODELS

    class Worker:
        peer, epochs = "quernel fit", 1

        def step_time(self, epochs):
            return 1e-6

        def close(self):
            pass

    facts = {"quernel fit": {"us": []}}
    monkeypatch.setattr(run, "start_peers", lambda *_: ([Worker()], facts))
    monkeypatch.setattr(run, "sentinel", lambda: 10.0)
    monkeypatch.setattr(run.time, "sleep", lambda _: None)
    options = types.SimpleNamespace(rounds=2)
    result = run.run_model(MODELS["tiny"], options, tmp_path, [100.0])
    assert result["refused"] == 5 and result["sentinel"] == [10.0] and facts["quernel fit"]["us"] == [1.0]


def test_a_run_from_the_command_line(tmp_path):
    (tmp_path / "keras.py").write_text("raise ImportError('none here')\n")  # whatever is installed
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, str(TRAIN / "run.py"), "--models", "tiny", "--peers", "quernel fit,keras", "--rounds", "1",
               "--seconds", "0.01", "--json", str(tmp_path / "run.json")]  # fmt: skip
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "keras: not installed (none here)" in done.stdout
    peers = json.loads((tmp_path / "run.json").read_text())["models"]["tiny"]["peers"]
    assert peers["keras"] == {"missing": "none here"}
    assert 0.4 < peers["quernel fit"]["loss"] < 0.6  # 0.69 before the first step
