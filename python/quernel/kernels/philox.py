"""Philox4x32-10 in NumPy and Numba, and the order in which arrays use its words; native: csrc/random/philox.hpp.

Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

A state is int64 [seed, step, call]. The seed is the key; the counter is a block number of 64 bits, then the low 32 bits
of step and of call. Blocks come in groups of 16;
the 64 words of a group are ordered by word of the block, then by block.
"""

import numpy as np

from .kernel import jit

LANES, GROUP = 16, 64
_MASK = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)


def check_state(state, name):
    """TypeError or ValueError unless `state` is int64 of shape (3,)."""
    if np.dtype(state.dtype).name != "int64":
        raise TypeError(f"{name}: state: expected int64 [seed, step, call], received dtype {np.dtype(state.dtype)}")
    if tuple(state.shape) != (3,):
        raise ValueError(f"{name}: state: expected shape (3,), [seed, step, call], received shape {tuple(state.shape)}")


def _halves(a):
    return a & _MASK, a >> _SHIFT


def philox(counter, key):
    """The four words of each block.

    Args:
        counter: four uint64 arrays of one shape with values below 2^32.
        key: two integers below 2^32.

    Returns:
        Four uint32 arrays of that shape.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        low0, high0 = _halves(c0 * np.uint64(0xD2511F53))
        low1, high1 = _halves(c2 * np.uint64(0xCD9E8D57))
        c0, c1, c2, c3 = high1 ^ c1 ^ np.uint64(k0), low1, high0 ^ c3 ^ np.uint64(k1), low0
        k0 = (k0 + 0x9E3779B9) & 0xFFFFFFFF
        k1 = (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return tuple(c.astype(np.uint32) for c in (c0, c1, c2, c3))


def _key_and_rest(state):
    seed, step, call = (int(v) & 0xFFFFFFFFFFFFFFFF for v in state)
    return (seed & 0xFFFFFFFF, seed >> 32), step & 0xFFFFFFFF, call & 0xFFFFFFFF


def groups(state, n):
    """uint32 words of shape (n, 4, 16): of group g word w of block 16 g + lane at [g, w, lane]."""
    key, step, call = _key_and_rest(state)
    block = np.arange(n * LANES, dtype=np.uint64)
    low, high = _halves(block)
    words = philox((low, high, np.full_like(block, step), np.full_like(block, call)), key)
    return np.stack([w.reshape(n, LANES) for w in words], axis=1)


def words(state, n):
    """The first n words in the order in which elements use them."""
    return groups(state, -(-n // GROUP)).reshape(-1)[:n]


def numbers(state, n):
    """The first n 64-bit numbers: words (0, 1) of a block, then (2, 3), low word first."""
    w = groups(state, -(-n // (GROUP // 2))).astype(np.uint64)
    return (w[:, 1::2] << _SHIFT | w[:, 0::2]).reshape(-1)[:n]


def multiply_high(a, b):
    """floor(a * b / 2^64) of uint64 arrays, in four 32-bit products."""
    (a0, a1), (b0, b1) = _halves(a), _halves(b)
    middle = a1 * b0 + (a0 * b0 >> _SHIFT)
    other = a0 * b1 + (middle & _MASK)
    return a1 * b1 + (middle >> _SHIFT) + (other >> _SHIFT)


@jit
def _words_loop(out, key0, key1, step, call):
    mask = np.uint64(0xFFFFFFFF)
    shift = np.uint64(32)
    lanes = np.uint64(16)
    for g in range(out.shape[0]):
        for lane in range(16):
            block = np.uint64(g) * lanes + np.uint64(lane)
            c0 = block & mask
            c1 = block >> shift
            c2 = step
            c3 = call
            k0 = key0
            k1 = key1
            for _ in range(10):
                p0 = c0 * np.uint64(0xD2511F53)
                p1 = c2 * np.uint64(0xCD9E8D57)
                c0 = (p1 >> shift) ^ c1 ^ k0
                c1 = p1 & mask
                c2 = (p0 >> shift) ^ c3 ^ k1
                c3 = p0 & mask
                k0 = (k0 + np.uint64(0x9E3779B9)) & mask
                k1 = (k1 + np.uint64(0xBB67AE85)) & mask
            out[g, 0, lane] = c0
            out[g, 1, lane] = c1
            out[g, 2, lane] = c2
            out[g, 3, lane] = c3


def numba_groups(state, n):
    """`groups` by a compiled loop."""
    (key0, key1), step, call = _key_and_rest(state)
    out = np.empty((n, 4, LANES), np.uint32)
    _words_loop(out, np.uint64(key0), np.uint64(key1), np.uint64(step), np.uint64(call))
    return out
