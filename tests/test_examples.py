"""The programs in examples/, small: they run, learn, and say what is true."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

ALPHABET = "abcdefghijklmnopqrstuvwxyz"
FOLDER = Path(__file__).resolve().parent.parent / "examples"


def load(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_is_named_in_the_readme():
    readme = (FOLDER.parent / "README.md").read_text()
    files = sorted(path.name for path in FOLDER.glob("*.py"))
    assert files and all(f"examples/{name}" in readme for name in files)


def test_char_lm(capsys):
    example = load("char_lm")
    assert len(example.ALPHABET) == 96
    assert "".join(example.ALPHABET[c] for c in example.encode("a\tb\r\nc\u00e9")) == "a   b\nc?"
    x, y = example.streams(np.arange(45, dtype="uint8"), 2, 5)
    np.testing.assert_array_equal(x[::2].ravel(), np.arange(20))  # the first stream, batch after batch
    np.testing.assert_array_equal(x[1::2].ravel(), np.arange(20, 40))
    np.testing.assert_array_equal(y, x + 1)
    bits = example.main(["--units", "24", "--layers", "1", "--batch", "8", "--steps", "32", "--files", "11",
                         "--passes", "1", "--length", "30"])  # fmt: skip
    text = capsys.readouterr().out
    assert "before training: 6.5" in text  # log2 of 96 is 6.58
    assert 2.0 < bits < 5.2 and f"after pass 1: {bits:.3f} bits per character" in text
    assert len(text.split("temperature 0.7:\n\n")[1]) > 30


def test_language_models_refuse_what_leaves_nothing_to_train_or_test_on(capsys):
    characters, words = load("char_lm"), load("gru_lm")
    with pytest.raises(SystemExit, match="the text has 10 characters, a batch takes 11"):
        characters.streams(np.zeros(10, "uint8"), 2, 5)
    with pytest.raises(SystemExit, match="take two files, there are 1"):
        characters.main(["--files", "1"])
    with pytest.raises(SystemExit, match="every tenth file is held out, there are 9"):
        words.main(["--files", "9"])
    for example in (characters, words):
        with pytest.raises(SystemExit):
            example.main(["--temperature", "0"])
        assert "--temperature: expected a number above 0, received 0.0" in capsys.readouterr().err


@pytest.mark.parametrize("files, held_out", [(3, 1), (10, 1), (21, 2)])
def test_char_lm_tests_on_files_that_it_does_not_train_on(files, held_out, monkeypatch, tmp_path):
    for i in range(files):
        (tmp_path / f"{i:02}.py").write_text(ALPHABET[i] * (i + 1))
    example = load("char_lm")
    monkeypatch.setattr(example.sysconfig, "get_paths", lambda: {"stdlib": str(tmp_path)})
    train, test = (set(part.tolist()) for part in example.standard_library(files))
    assert not train & test and len(test) == held_out and len(train) == files - held_out


def test_forecast(capsys):
    example = load("forecast")
    given, future = example.windows(np.arange(200.0) ** 2)
    assert given.shape == (71, 104) and future.shape == (71, 26)
    assert (given[3, -1], future[3, 0], given[3, 0]) == (0, 107**2 - 106**2, 3**2 - 106**2)
    errors = example.main(["--units", "24", "--epochs", "12"])
    assert errors["LSTM"] < min(errors["the last week again"], errors["a year ago, and its growth"])
    assert f"{errors['LSTM']:.3f}  LSTM" in capsys.readouterr().out


def test_sequence_labels(capsys):
    loss, accuracy, counted = load("sequence_labels").main(["--units", "16", "--epochs", "6", "--strips", "600"])
    assert abs(accuracy - counted) < 1e-6  # of the columns that are no padding, and of those only
    assert accuracy > 0.5 and loss < 2.3
    text = capsys.readouterr().out
    assert f"{100 * accuracy:.2f} % of the columns right" in text


def test_adding_problem(capsys):
    example = load("adding_problem")
    x, y = example.sequences(300, 9, seed=1)
    marks = x[:, :, 1]
    assert (marks[:, :4].sum(1) == 1).all() and (marks[:, 4:].sum(1) == 1).all()
    np.testing.assert_allclose(y[:, 0], [row[m == 1].sum() for row, m in zip(x[:, :, 0], marks)], rtol=1e-6)
    found = example.main(["--steps", "10", "--units", "24", "--rate", "0.01", "--chapters", "6"])
    text = capsys.readouterr().out
    for kind in ("gru", "lstm"):
        error, steps = found[kind]
        assert error < example.SOLVED and 200 <= steps <= 1200
        assert f"{kind}: {steps:6d} steps" in text and f"{error:.5f}" in text


def test_gru_lm(capsys):
    example = load("gru_lm")
    pairs = example.batches(np.arange(45), 2, 5)
    assert len(pairs) == 4
    np.testing.assert_array_equal(np.concatenate([x[1] for x, _ in pairs]), np.arange(20, 40))  # one stream, in order
    np.testing.assert_array_equal(pairs[0][1], pairs[0][0] + 1)
    with pytest.raises(SystemExit, match="10 words are too few for 2 streams of 5"):
        example.batches(np.arange(10), 2, 5)
    held = example.main(["--vocabulary", "200", "--units", "24", "--batch", "8", "--length", "20", "--files", "10",
                         "--steps", "60", "--passes", "2", "--count", "12"])  # fmt: skip
    text = capsys.readouterr().out
    assert "before training: perplexity 200 " in text  # even chances of 200 words
    assert held < 80 and f"{held:.1f} on held-out files" in text
    assert len(text.split("temperature 0.7:\n\n")[1].split()) == 13
