"""A character language model, trained on the source files of Python's own standard library.

Two LSTM layers read the text as parallel streams; their states stay from batch to batch, and gradients flow back through
one batch (truncated backpropagation through time). After each pass it prints bits per character on files that were held
out, and at the end some text that the model writes.

    python examples/char_lm.py                        # 4.7 million characters, some minutes a pass on two cores
    python examples/char_lm.py --units 96 --files 20  # a quick look
"""

import argparse
import math
import sysconfig
from pathlib import Path

import numpy as np

import quernel as qn

ALPHABET = "\n" + "".join(map(chr, range(32, 127)))  # 96 characters; others are read as "?"
CODE = np.full(0x110000, ALPHABET.index("?"), "uint8")
CODE[[ord(c) for c in ALPHABET]] = np.arange(len(ALPHABET))


def encode(text):
    """The text as numbers of characters."""
    text = text.expandtabs(4).replace("\r", "")
    return CODE[np.frombuffer(text.encode("utf-32-le"), "uint32")]


def standard_library(files):
    """(text to train on, held-out text), as numbers: every tenth file is held out, of fewer files the last."""
    paths = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))[:files]
    if len(paths) < 2:
        raise SystemExit(
            f"a text to train on and another to test take two files, there are {len(paths)}: give more --files"
        )
    texts = [encode(path.read_text(encoding="utf-8", errors="replace")) for path in paths]
    held_out = texts[9::10] or [texts.pop()]
    return np.concatenate([t for i, t in enumerate(texts) if i % 10 != 9]), np.concatenate(held_out)


def streams(text, batch, steps):
    """(x, y), each (windows * batch, steps): row i of a batch goes on where row i of the batch before ended; y is x one
    character later.
    """
    windows = (len(text) - 1) // (batch * steps)
    if windows < 1:
        raise SystemExit(f"the text has {len(text)} characters, a batch takes {batch * steps + 1}: give more --files")
    n = windows * batch * steps

    def rows(part):
        return part.reshape(batch, windows, steps).swapaxes(0, 1).reshape(-1, steps).astype("int32")

    return rows(text[:n]), rows(text[1 : n + 1])


def make_model(batch, steps, units, layers):
    """Characters (batch, steps) -> logits (batch, steps, 96)."""
    model = qn.Sequential([qn.Input(batch_shape=(batch, steps), dtype="int32"), qn.layers.Embedding(len(ALPHABET), 64)])
    for _ in range(layers):
        model.add(qn.layers.LSTM(units, return_sequences=True, stateful=True))
    model.add(qn.layers.Dense(len(ALPHABET)))
    return model


def forget(model):
    """Sets all states to zero: another text begins."""
    for layer in model.layers:
        if getattr(layer, "stateful", False):
            layer.reset_state()


def bits_per_character(model, x, y, batch):
    forget(model)
    loss = model.evaluate(x, y, batch_size=batch, verbose=0)
    forget(model)
    return loss / math.log(2)


def sample(model, units, layers, length, temperature, seed, start="def "):
    """Text that the model writes, one character after the other; low temperatures keep to what is likely."""
    writer = make_model(1, 1, units, layers)
    writer.set_weights(model.get_weights())
    rng = np.random.default_rng(seed)
    text = start
    for i in range(len(start) + length - 1):
        code = np.array([[ALPHABET.index(text[i])]], "int32")
        logits = writer.predict_on_batch(code)[0, -1].astype("float64") / temperature
        if i + 1 == len(text):
            likely = np.exp(logits - logits.max())
            text += ALPHABET[rng.choice(len(ALPHABET), p=likely / likely.sum())]
    return text


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", type=int, default=256)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=128, help="characters that gradients flow back through")
    parser.add_argument("--passes", type=int, default=2, help="passes over the text")
    parser.add_argument("--files", type=int, default=None, help="read so many files only")
    parser.add_argument("--learning-rate", type=float, default=0.002)
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--length", type=int, default=400, help="characters to write at the end")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if not options.temperature > 0:
        parser.error(f"--temperature: expected a number above 0, received {options.temperature}")

    qn.utils.set_random_seed(options.seed)
    text, held_out = standard_library(options.files)
    x, y = streams(text, options.batch, options.steps)
    test = streams(held_out, options.batch, min(options.steps, (len(held_out) - 1) // options.batch))
    print(f"{len(text):,} characters to train on, {len(held_out):,} held out")

    model = make_model(options.batch, None, options.units, options.layers)
    model.compile(
        qn.optimizers.Adam(options.learning_rate, global_clipnorm=1.0),
        qn.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    bits = bits_per_character(model, *test, options.batch)
    print(f"before training: {bits:.3f} bits per character")
    for number in range(options.passes):
        model.fit(x, y, batch_size=options.batch, shuffle=False)  # shows a bar
        bits = bits_per_character(model, *test, options.batch)
        print(f"after pass {number + 1}: {bits:.3f} bits per character on held-out files")
    written = sample(model, options.units, options.layers, options.length, options.temperature, options.seed)
    print(f"\nwritten at temperature {options.temperature}:\n\n{written}")
    return bits


if __name__ == "__main__":
    main()
