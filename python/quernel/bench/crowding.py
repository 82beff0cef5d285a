"""Crowding: samples in which threads of this process stood ready while something else ran on their CPU.

Linux counts for every thread the time it waited in a CPU's queue (the second number of its `schedstat`). A team whose two
threads share one CPU, or that meets another pool's spinning thread there, waits for about half of its time: it is as fast as
one thread, and the sentinel, which runs before and after, may see nothing of it.
"""

import contextlib
import os
import time

from .. import backend
from .roof import probe

TASKS = "/proc/self/task"
CROWDED = 0.1  # of a sample's time: a thread that waited longer spoilt it
PAUSES = (2e-3, 20e-3)  # seconds before another try: pools that wait awake fall asleep


class Waits:
    """How long each thread of this process has waited for a CPU."""

    def __init__(self, folder=TASKS):
        self.folder, self.files, self.last = folder, {}, {}
        self.look()

    def look(self):
        """Takes in the threads that came since the last look."""
        for name in os.listdir(self.folder):
            if name not in self.files:
                try:
                    self.files[name] = os.open(f"{self.folder}/{name}/schedstat", os.O_RDONLY)
                except FileNotFoundError:  # it ended just now
                    continue

    def __call__(self):
        """{thread: seconds}; one that has ended keeps its last."""
        for name, file in list(self.files.items()):
            try:
                self.last[name] = int(os.pread(file, 128, 0).split()[1]) * 1e-9
            except ProcessLookupError:
                os.close(self.files.pop(name))
        return dict(self.last)

    def close(self):
        """Closes the files."""
        while self.files:
            os.close(self.files.popitem()[1])


class Watch:
    """Takes samples, and again those that were crowded, of us and of the peers alike.

    Args:
        waits: a Waits, or None where nothing can be seen: then no sample is crowded.
        clock, pause: for tests.
    """

    def __init__(self, waits, clock=time.perf_counter, pause=time.sleep):
        self.waits, self.clock, self.pause = waits, clock, pause
        self.again = 0  # samples that were taken again

    def sample(self, contestant):
        """(seconds of one call, whether it was crowded in every try); of crowded tries the one that waited least."""
        if self.waits is None:
            return contestant.sample(), False
        best = None
        for pause in (None, *PAUSES):
            if pause:
                self.again += 1
                self.pause(pause)
            before, start = self.seen(contestant), self.clock()
            seconds = contestant.sample()
            length, after = self.clock() - start, self.seen(contestant)
            share = max((t - before.get(name, t) for name, t in after.items()), default=0.0) / length
            if best is None or share < best[0]:
                best = share, seconds
            if share <= CROWDED:
                break
        return best[1], best[0] > CROWDED

    def seen(self, contestant=None):
        """{thread: seconds it waited} of this process and of the contestant's own, if it has one."""
        there = contestant.waits() if contestant is not None and contestant.waits else {}
        return {**(self.waits() if self.waits else {}), **there}

    def look(self):
        """Takes in new threads."""
        if self.waits is not None:
            self.waits.look()


def watch(threads):
    """A Watch for teams of so many threads; one that sees nothing where the system does not tell or CPUs are too few."""
    told = os.path.exists(f"{TASKS}/{os.getpid()}/schedstat")
    return Watch(Waits() if told and threads <= len(cpus(threads)) else None)


def _threads():
    return sorted(map(int, os.listdir(TASKS))) if os.path.isdir(TASKS) else []


def cpus(threads):
    """The CPUs of this process's threads together; a team of `threads` runs first, so that with OMP_PROC_BIND it has its own."""
    probe("tile", 0, threads).run(1)
    found = set()
    for thread in _threads():
        try:
            found |= os.sched_getaffinity(thread)
        except ProcessLookupError:
            continue
    return sorted(found) or list(range(backend.get_num_threads()))


@contextlib.contextmanager
def everywhere():
    """Within it this thread may use all CPUs of the process, and so may a process that it starts."""
    if not _threads():
        yield
        return
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus(backend.get_num_threads()))
    try:
        yield
    finally:
        os.sched_setaffinity(0, mine)


def spread(threads, peers):
    """Starts the pools of the peers and gives their threads CPUs of their own, as OMP_PROC_BIND gives them to OpenMP's.

    A pool that is started by a bound thread inherits its one CPU: OpenBLAS's two threads shared the first one.
    """
    for peer in peers:
        peer.start(threads)
    if not _threads():
        return
    main = os.getpid()
    mine = os.sched_getaffinity(main)
    others = [cpu for cpu in cpus(threads) if cpu not in mine]
    if len(mine) > 1 or not others:  # nothing is bound, or there is but one CPU
        return
    number = 0
    for thread in _threads():
        try:
            if thread != main and os.sched_getaffinity(thread) == mine:
                os.sched_setaffinity(thread, {others[number % len(others)]})
                number += 1
        except ProcessLookupError:
            continue
