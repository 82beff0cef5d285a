"""run_turns: several Functions one after the other, many times over, by one native call."""

from typing import NamedTuple

from .. import backend


class Job(NamedTuple):
    """Steps of a Function that has a plan for them; made by `Function.job`."""

    function: object
    entry: object
    plan: object
    args: tuple
    leaves: list
    steps: int
    outs: list
    within: tuple


def run_turns(jobs, turns, seconds=0.0, results=None):
    """Runs the jobs in order, up to `turns` times, at least once.

    Args:
        jobs: list of Jobs.
        turns: how many times at most.
        seconds: stop after the first turn that ends later than this; 0: no limit.
        results: list that gets what is returned; also of the whole turns before one that raises.

    Returns:
        For each turn the result of the last job's last step.

    Raises:
        IndexError, ValueError: what a step raises; the state is as before that step.
    """
    native, result, results = [], None, [] if results is None else results
    for job in jobs:
        part, result = job.plan.turn(job.leaves, job.steps, turns, job.outs)
        native.append(part)
    done, at, steps = backend._state.core.run_turns(native, turns, seconds)
    results.extend(result(turn) for turn in range(done))
    for job in jobs:
        job.plan.runs += done * job.steps
    if at >= 0:
        bad = jobs[at]
        bad.function._explain(bad.entry, bad.plan, bad.args, False, bad.leaves, steps, bad.within)
    return results
