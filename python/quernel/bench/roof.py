"""The roof of a case: what this machine's arithmetic and memory allow, by probes that run in the same rounds."""

import functools
from pathlib import Path

from .. import backend
from . import families
from .contestants import Contestant, nearest

L1, L2, L3 = 32 << 10, 1 << 20, 32 << 20  # where the system does not say
LARGEST = 512 << 20  # bytes of a probe's memory: beyond every cache
WARM = 1e-3  # seconds until the FMA units of all cores run at full rate: up to 0.8 ms after work that leaves them idle


@functools.cache
def caches():
    """Bytes of the L1 data, L2 and L3 caches of one core, as Linux tells them."""
    found = [L1, L2, L3]
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        try:
            kind, size = index.joinpath("type").read_text().strip(), index.joinpath("size").read_text().strip()
            number = int(index.joinpath("level").read_text())
        except (OSError, ValueError):
            continue
        if kind != "Instruction" and 1 <= number <= 3 and size[-1:] in "KM":
            found[number - 1] = int(size[:-1]) << (10 if size[-1] == "K" else 20)
    return found


def level(size, threads):
    """The name of the cache that holds `size` bytes shared out over `threads` cores, or "memory"."""
    first, second, third = caches()
    for name, room in (("L1", first * threads), ("L2", second * threads), ("L3", third)):
        if size <= room:
            return name
    return "memory"


def probe(name, size, threads):
    """A native probe of the instruction set in use as a Contestant; `work` is what one turn of all threads does."""
    index = backend._state.tables[backend.isa()][0]
    loop = backend._state.core.Probe(index, name, int(min(size, LARGEST)), threads)
    turn = loop.run(1)[1]
    return Contestant(name, lambda n: loop.run(n)[0], work=turn, setting=_size(min(size, LARGEST)) if size else "")


def _size(n):
    return f"{n / 1e6:.3g} MB" if n >= 1e6 else f"{n / 1e3:.3g} KB"


def sentinel(threads):
    """The load-heavy loop in L1 whose rate tells quiet phases of the machine from noisy ones.

    Without `warm` its rate tells what played before it: 0.65 of the rate behind a relu.
    """
    loop = probe("tile", 0, threads).calibrate(2e-4)
    loop.warm = max(1, int(WARM / loop.once))
    return loop


def streams(ours):
    """[(probe, weight)]: the plain loops whose mix moves this case's bytes; the weights sum to 1."""
    if ours.kernel.updates:
        return [("update", 1.0)]
    read, written = ours.footprint()
    share = written / max(read + written, 1)
    if share < 0.1:
        return [("read", 1.0)]
    if share <= 0.4:
        return [("read", 1 - 2 * share), ("copy", 2 * share)]
    if share < 0.6:
        return [("copy", 1.0)]
    if share < 0.9:
        return [("copy", 2 - 2 * share), ("write", 2 * share - 1)]
    return [("write", 1.0)]


def touched(size, moved):
    """Bytes that a call touches: of a table of which it reads some rows, those rows, and they stay in a nearer cache."""
    return min(size, moved) if moved else size


class Roof:
    """The probes of one case on as many threads as its kernel uses, and the seconds that they allow."""

    def __init__(self, ours, threads, arithmetic):
        self.bytes = ours.estimate()["bytes"]
        self.flops = ours.estimate()["flops"]
        self.footprint = touched(sum(ours.footprint()), self.bytes)
        self.far = min(self.bytes, self.footprint) if families.in_rows(ours.case) else self.bytes
        threads = self.threads = min(threads, ours.estimate()["ranks"])
        room = caches()[0] // 2
        self.mix = streams(ours) if self.bytes and (arithmetic or self.footprint > room) else []
        self.contestants = [probe(name, max(self.footprint, 4096), threads) for name, _ in self.mix]
        self.fma = self.near = None
        if arithmetic:
            self.fma = probe("fma", 0, threads)
            self.contestants.append(self.fma)
            return
        near = nearest(ours, room)
        if near is not None:
            self.near = near.alone(1)
            self.near.name, self.near.work = "near", near.estimate()["bytes"]
            self.near.setting = _size(sum(near.footprint()))
            self.contestants.append(self.near)

    def seconds(self, times):
        """{what: seconds that it allows} by {probe: seconds of one turn}, of a round; without a probe its limit is left out."""
        allowed = {}
        if self.mix and all(name in times for name, _ in self.mix):
            work = {c.name: c.work for c in self.contestants}
            allowed["+".join(n for n, _ in self.mix)] = sum(w * self.far * times[n] / work[n] for n, w in self.mix)
        if self.fma is not None and "fma" in times:
            allowed["fma"] = self.flops * times["fma"] / self.fma.work
        if self.near is not None and self.near.work and "near" in times:
            allowed["near"] = self.bytes * times["near"] / self.near.work / self.threads
        return allowed
