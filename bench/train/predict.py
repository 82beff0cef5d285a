"""predict of one row, alone and from two Python threads, and what fit costs over the bare plan of its step.

    python bench/train/predict.py [--rounds 7] [--threads 2] [--python jax=/path/to/python ...] [--json FILE]

The peers compute the same from and to NumPy: torch in inference_mode, a jitted JAX function, Keras's predict_on_batch. A round
times one Python thread, then two at once, each of which should keep the rate of the lone one. fit without callbacks is
timed with and without shuffling; the bare plan is the same train_step, all batches of an epoch in one native call.
What two threads can keep is what two processes keep, which share no lock: shown beside, as the machine's own limit.
"""

import argparse
import json
import statistics
import tempfile

from contestants import Missing, Worker, save_arrays
from models import MODELS

ROW_MODELS = ("tiny", "demo")
FIT_MODELS = ("linear", "tiny")
CALLERS = {  # peer of contestants.py and its setting: the forward pass does not depend on the rest of it
    "quernel fit": {False: "fit", True: "fit"},
    "torch": {False: "foreach", True: "foreach"},
    "jax": {False: "step,sync", True: "step,shape,sync"},
    "keras": {False: "nojit,single", True: "nojit,single"},
}


def start(model, choices, options, directory):
    """{name: Worker} of those that are installed."""
    path, _, _ = save_arrays(model, directory)
    workers = {}
    for name, (peer, variant) in choices.items():
        try:
            workers[name] = Worker(peer, variant, model, path, options.threads, options.python)
        except Missing as missing:
            print(f"{name}: not installed ({missing})")
    return workers


def interleaved(workers, rounds, measure):
    """{name: [measure(worker) of each round]}, the order alternating."""
    results = {name: [] for name in workers}
    for turn in range(rounds):
        for name in workers if turn % 2 == 0 else reversed(workers):
            results[name].append(measure(workers[name]))
    for worker in workers.values():
        worker.close()
    return results


def one_row(model, options, directory):
    """{peer: [(us of a lone call, the slower rate of two threads, of two processes, each over the lone rate)]}."""
    choices = {peer: (peer, settings[model.has_conv]) for peer, settings in CALLERS.items()}
    workers = start(model, choices, options, directory)
    twins = start(model, {name: choices[name] for name in workers}, options, directory)
    alone = {"do": "predict", "seconds": options.seconds, "threads": 1}

    def measure(worker):
        lone = worker.ask(**alone)["rates"][0]
        pair = worker.ask(**{**alone, "threads": 2})["rates"]
        both = worker, twins[worker.peer]
        for one in both:
            one.post(**alone)
        apart = [one.answer()["rates"][0] for one in both]
        return 1e6 / lone, min(pair) / lone, min(apart) / lone

    results = interleaved(workers, options.rounds, measure)
    for twin in twins.values():
        twin.close()
    print(f"predict of one row, {model.title}")
    for name, rounds in results.items():
        times, threads, processes = zip(*rounds)
        print(f"  {name:<12} {statistics.median(times):8.1f} us  ({min(times):.1f} to {max(times):.1f}); of the lone rate "
              f"the slower of two threads keeps {statistics.median(threads):.2f}, of two processes "
              f"{statistics.median(processes):.2f}")  # fmt: skip
    return results


def fit_cost(model, options, directory):
    """{"plan", "fit_in_order", "fit": [us a step]}."""
    choices = {variant: ("quernel fit", variant) for variant in ("plan", "fit_in_order", "fit")}
    workers = start(model, choices, options, directory)
    epochs = {name: worker.epochs_for(options.seconds) for name, worker in workers.items()}
    results = interleaved(workers, options.rounds, lambda w: 1e6 * w.step_time(epochs[w.variant]))
    print(f"fit over its bare plan, {model.title}, batch {model.batch}")
    for name, times in results.items():
        over = statistics.median(a - b for a, b in zip(times, results["plan"]))
        beyond = "" if name == "plan" else f"; {over:+.2f} us over the plan in the median round"
        print(f"  {name:<12} {statistics.median(times):8.2f} us a step  ({min(times):.2f} to {max(times):.2f}){beyond}")
    return results


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--seconds", type=float, default=0.2, help="length of a block")
    options.add_argument("--threads", type=int, default=2)
    options.add_argument(
        "--python", action="append", default=[], metavar="NAME=PATH", help="quernel, torch, jax, keras"
    )
    options.add_argument("--json")
    options = options.parse_args()
    options.python = dict(pair.split("=", 1) for pair in options.python)
    with tempfile.TemporaryDirectory() as directory:
        rows = {name: one_row(MODELS[name], options, directory) for name in ROW_MODELS}
        fits = {name: fit_cost(MODELS[name], options, directory) for name in FIT_MODELS}
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"threads": options.threads, "predict": rows, "fit": fits}, file, indent=1)


if __name__ == "__main__":
    main()
