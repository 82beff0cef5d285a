"""A word language model with 10,000 words, trained on the words of Python's own standard library.

Embedding - GRU - Dense - Dense(10000, softmax) as a model of its own class, in a loop with a GradientTape: 100 streams of
text are read 100 words at a time, and the state of the GRU goes from one batch to the next. A step has 10,000 x 10,000
logits, 400 MB; a plan never holds more than 512 rows of them (docs/plans.md).

    python examples/gru_lm.py                     # about a minute a pass on two cores
    python examples/gru_lm.py --steps 20          # a quick look
"""

import argparse
import math
import re
import sysconfig
import time
from collections import Counter
from pathlib import Path

import numpy as np
from tqdm import tqdm

import quernel as qn

layers = qn.layers
OTHER = "<other>"  # stands for all words that are not among the most frequent ones


class LanguageModel(qn.Model):
    """Words (n, t) -> the probabilities of the words that follow (n, t, vocabulary)."""

    def __init__(self, vocabulary, embedding=64, units=128, **kwargs):
        super().__init__(**kwargs)
        self.embedding = layers.Embedding(vocabulary, embedding)
        self.gru = layers.GRU(units, return_sequences=True, return_state=True)
        self.hidden = layers.Dense(units, activation="relu")
        self.words = layers.Dense(vocabulary, activation="softmax")

    def call(self, words, state=None, return_state=False):
        """The probabilities, and with return_state the state behind the last word, from which a next call goes on."""
        x, state = self.gru(self.embedding(words), initial_state=state)
        x = self.words(self.hidden(x))
        return (x, state) if return_state else x


def words_of(path):
    """Names, numbers and signs of a source file."""
    return re.findall(r"\w+|[^\w\s]", path.read_text(encoding="utf-8", errors="replace"))


def standard_library(vocabulary, files=None):
    """(words to train on, held-out words, the list of words): numbers; every tenth file is held out."""
    texts = [words_of(path) for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))[:files]]
    if len(texts) < 10:
        raise SystemExit(f"every tenth file is held out, there are {len(texts)}: give at least 10 --files")
    counts = Counter(word for i, text in enumerate(texts) if i % 10 != 9 for word in text)
    names = [OTHER] + [word for word, _ in counts.most_common(vocabulary - 1)]
    numbers = {word: i for i, word in enumerate(names)}
    coded = [np.array([numbers.get(word, 0) for word in text], "int32") for text in texts]
    return np.concatenate([t for i, t in enumerate(coded) if i % 10 != 9]), np.concatenate(coded[9::10]), names


def batches(words, streams, length):
    """Pairs (x, y) of (streams, length): row i goes on where row i of the pair before ended; y is x one word later."""
    count = (len(words) - 1) // (streams * length)
    if not count:
        raise SystemExit(f"{len(words)} words are too few for {streams} streams of {length}: take more --files")
    n = count * streams * length
    x, y = (part.reshape(streams, count * length) for part in (words[:n], words[1 : n + 1]))
    return [(x[:, i : i + length], y[:, i : i + length]) for i in range(0, count * length, length)]


def memory(name):
    """Megabytes by a name of /proc/self/status (VmRSS: held now, VmHWM: held at most), or nan where there is none."""
    status = Path("/proc/self/status")
    found = re.search(rf"{name}:\s+(\d+)", status.read_text()) if status.exists() else None
    return int(found[1]) / 1024 if found else math.nan


def write(step, names, units, count, temperature, seed, start="def"):
    """Words that the model writes, one after the other."""
    rng = np.random.default_rng(seed)
    state, written = qn.ops.zeros((1, units)), [start]
    for _ in range(count):
        word = np.array([[names.index(written[-1])]], "int32")
        probabilities, state = step(word, state)
        likely = np.log(probabilities.numpy()[0, -1, 1:].astype("float64") + 1e-30) / temperature  # never <other>
        likely = np.exp(likely - likely.max())
        written.append(names[1 + rng.choice(len(likely), p=likely / likely.sum())])
    return " ".join(written)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vocabulary", type=int, default=10000)
    parser.add_argument("--units", type=int, default=128)
    parser.add_argument("--batch", type=int, default=100, help="streams of text")
    parser.add_argument("--length", type=int, default=100, help="words that gradients flow back through")
    parser.add_argument("--passes", type=int, default=2, help="passes over the text")
    parser.add_argument("--steps", type=int, default=None, help="stop each pass after so many steps")
    parser.add_argument("--files", type=int, default=None, help="read so many files only")
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--count", type=int, default=60, help="words to write at the end")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if not options.temperature > 0:
        parser.error(f"--temperature: expected a number above 0, received {options.temperature}")

    qn.utils.set_random_seed(options.seed)
    text, held_out, names = standard_library(options.vocabulary, options.files)
    train = batches(text, options.batch, options.length)[: options.steps]
    streams = min(options.batch, (len(held_out) - 1) // options.length)
    test = batches(held_out, streams, options.length)[: options.steps]
    print(f"{len(text):,} words to train on, {len(held_out):,} held out, {len(names):,} different ones")

    model = LanguageModel(len(names), units=options.units)
    loss_of = qn.losses.SparseCategoricalCrossentropy()
    optimizer = qn.optimizers.Adam(0.002)

    @qn.function
    def train_step(x, y, state):
        with qn.GradientTape() as tape:
            probabilities, state = model(x, state=state, return_state=True)
            loss = loss_of(y, probabilities)
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss, state

    @qn.function
    def test_step(x, y, state):
        probabilities, state = model(x, state=state, return_state=True)
        return loss_of(y, probabilities), state

    @qn.function
    def next_words(x, state):
        return model(x, state=state, return_state=True)

    def perplexity():
        state, losses = qn.ops.zeros((streams, options.units)), []
        for x, y in test:
            loss, state = test_step(x, y, state)
            losses.append(loss)
        return math.exp(np.mean([float(loss) for loss in losses]))

    held = perplexity()
    print(f"before training: perplexity {held:.0f} on held-out files")
    for number in range(options.passes):
        state, losses, seconds = qn.ops.zeros((options.batch, options.units)), [], []
        bar = tqdm(train, desc=f"pass {number + 1}", unit="step")
        for x, y in bar:
            start = time.perf_counter()
            loss, state = train_step(x, y, state)
            seconds.append(time.perf_counter() - start)
            losses.append(float(loss))
            bar.set_postfix(perplexity=f"{math.exp(np.mean(losses[-20:])):.1f}")
        held = perplexity()
        print(f"pass {number + 1}: perplexity {math.exp(np.mean(losses)):.1f} in training, {held:.1f} on held-out files; "
              f"{1e3 * np.median(seconds):.0f} ms a step, {memory('VmRSS'):.0f} MB resident")  # fmt: skip
    print(f"\nwritten at temperature {options.temperature}:\n\n"
          f"{write(next_words, names, options.units, options.count, options.temperature, options.seed)}")  # fmt: skip
    return held


if __name__ == "__main__":
    main()
