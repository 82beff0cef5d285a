"""What the process's arrays, plans and workspaces hold."""

from .. import backend

KEPT = 64 << 20  # bytes; mapping and faulting them anew takes about 10 ms


def give_back():
    """Gives the system what arrays left behind, where it is much: the two steps that Python made of a plan needed a
    buffer for each of their results, and the plan has a workspace.
    """
    core = backend._state.core
    if core is not None and core.memory_stats()["cached"] > KEPT:
        core.trim_memory()


def memory_stats():
    """Bytes and counts of quernel's own memory.

    Returns:
        A dict. Of arrays: `in_use` bytes now, `peak` bytes at most so far, `cached` bytes kept for new arrays, `mapped`
        bytes taken from the system, `allocations` made so far. Of plans: `plans` alive, `workspaces` that their runs
        share, `workspace_bytes` in them, `leased` by runs going on. All zero without a compiled core.

    Example:
        >>> import quernel as qn
        >>> sorted(qn.memory_stats())
        ['allocations', 'cached', 'in_use', 'leased', 'mapped', 'peak', 'plans', 'workspace_bytes', 'workspaces']
    """
    core = backend._state.core
    if core is None:
        names = (
            "in_use",
            "peak",
            "cached",
            "mapped",
            "allocations",
            "plans",
            "workspaces",
            "workspace_bytes",
            "leased",
        )
        return dict.fromkeys(names, 0)
    return {**core.memory_stats(), **core.plan_stats()}
