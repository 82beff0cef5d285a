"""What a plan does, as a table: calls in order with shapes, work and memory, what Python left as constants, and, where a
profile was taken, the time of each call; also as a trace for chrome://tracing.
"""

import json
import math
import os
from typing import NamedTuple

from .program import OUTPUT
from .recorder import MADE, OUTSIDE

PROFILE = os.environ.get("QUERNEL_PROFILE", "") not in ("", "0")


class Row(NamedTuple):
    """One call: kernel and who computes it, the shape that it makes or updates, floating-point operations, bytes moved, ranks,
    seconds a run.
    """

    name: str
    backend: str
    shape: str
    flops: float
    bytes: float
    ranks: int
    epilogue: bool
    seconds: float  # 0 where nothing was measured


def rows(plan):
    """A Row for each call of a plan."""
    work, times = plan.engine.describe(), plan.engine.times()
    result = []
    measured = zip(plan.program.calls, work, times)
    for i, ((op, epilogue), (flops, moved, ranks), (runs, seconds)) in enumerate(measured):
        made = op.outputs or op.written
        shape = "x".join(map(str, made[0].shape)) if made else ""
        if len(made) > 1:
            shape += f" +{len(made) - 1}"
        result.append(
            Row(
                op.kernel.name + (" in place" if i in plan.engine.in_place else ""),
                op.resolved.backend,
                shape,
                flops,
                moved,
                ranks,
                epilogue,
                seconds / runs if runs else 0.0,
            )
        )
    return result


def constants(plan):
    """(kernel, text) of the numbers that Python and NumPy put into the step: they are the same in every run."""
    found = []
    for op, _ in plan.program.calls:
        for ref in op.reads():
            root = plan.program.roots[ref.root]
            if root.kind is OUTSIDE:
                captured = "read where it is" if ref.root in plan.program.captured else "constant"
                value = root.what.ravel()[:1].tolist()[0] if root.what.size == 1 else f"array {root.what.shape}"
                found.append((op.kernel.name, f"{value} ({captured}, {root.line})"))
        found += [(op.kernel.name, f"{key}={value!r}") for key, value in op.attrs.items() if type(value) is float]
    return found


def text(plan, title):
    """The table of a plan."""
    table = rows(plan)
    measured = sum(row.seconds for row in table)
    if measured:
        table.sort(key=lambda row: -row.seconds)
    lines = [f"{title}: {len(table)} calls, {plan.engine.kind} engine, {plan.runs} runs"]
    head = f"{'call':<36} {'shape':<18} {'MFLOP':>9} {'MB':>8} {'ranks':>5}"
    lines.append(head + (f" {'us':>9} {'share':>6}  rate" if measured else ""))
    for row in table:
        name = (
            row.name
            + (f" ({row.backend})" if row.backend != "native" else "")
            + (" (outputs only)" if row.epilogue else "")
        )
        line = f"{name:<36} {row.shape:<18} {row.flops / 1e6:>9.3f} {row.bytes / 1e6:>8.3f} {row.ranks:>5}"
        if measured:
            line += f" {1e6 * row.seconds:>9.2f} {row.seconds / measured:>6.1%}  {_rate(row)}"
        lines.append(line)
    flops, moved = sum(row.flops for row in table), sum(row.bytes for row in table)
    last = f"{'all':<36} {'':<18} {flops / 1e6:>9.3f} {moved / 1e6:>8.3f} {'':>5}"
    lines.append(last + (f" {1e6 * measured:>9.2f}" if measured else ""))
    lines += _memory(plan)
    baked = constants(plan)
    if baked:
        lines.append("baked in:")
        lines += [f"  {name}: {value}" for name, value in dict.fromkeys(baked)]
    return "\n".join(lines)


def _rate(row):
    """GFLOP/s where a call computes more than it moves, else GB/s."""
    if not row.seconds:
        return ""
    if row.flops > 2 * row.bytes:
        return f"{row.flops / row.seconds / 1e9:.1f} GFLOP/s"
    return f"{row.bytes / row.seconds / 1e9:.1f} GB/s"


def _memory(plan):
    layout = plan.engine.layout
    roots = plan.program.roots.values()
    made = sum(root.bytes for root in roots if root.kind is OUTPUT)
    if layout is None:
        size = sum(root.bytes for root in roots if root.kind is MADE)
        return [f"results of calls: {_bytes(size)}, made anew in each run; outputs {_bytes(made)}"]
    return [
        f"workspace: {_bytes(layout.size)} for buffers of {_bytes(layout.separate)} in all; "
        f"at most {_bytes(layout.bound)} are alive at once; outputs {_bytes(made)} a run"
    ]


def _bytes(n):
    exponent = min(3, int(math.log(n, 1000))) if n > 0 else 0
    return f"{n / 1000**exponent:.3g} {('bytes', 'KB', 'MB', 'GB')[exponent]}"


def write_trace(plan, path, title):
    """Writes the calls of an average run, one after the other, as JSON for chrome://tracing or Perfetto.

    Raises:
        ValueError: no profile was taken.
    """
    table = rows(plan)
    if not any(row.seconds for row in table):
        raise ValueError(
            "plan_summary: trace: expected a profile; call fit(..., profile=True), or set QUERNEL_PROFILE=1"
        )
    events, at = [], 0.0
    for row in table:
        details = {"shape": row.shape, "flops": row.flops, "bytes": row.bytes, "ranks": row.ranks}
        event = {"name": row.name, "cat": title, "ph": "X", "pid": 0, "tid": 0, "args": details}
        events.append({**event, "ts": 1e6 * at, "dur": 1e6 * row.seconds})
        at += row.seconds
    with open(path, "w") as file:
        json.dump({"traceEvents": events, "displayTimeUnit": "ms"}, file)
