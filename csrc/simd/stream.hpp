// stream: large results go past the caches, from a chunk that was computed in L1.
//
// An ordinary store first reads the line it writes. From 16 MB on no private cache holds a result until its reader
// comes, so that read is lost, and so is what it pushes out of the caches. Measured here (copy-like loop, one rank,
// plain / streamed): 1 MB 54 / 55 us, 4 MB 358 / 266, 16 MB 1979 / 1187, 40 MB 6463 / 3953; with a reader after it
// 4 MB 705 / 714, 16 MB 3995 / 3058, 40 MB 12859 / 8201.
#pragma once
#include "simd/vec.hpp"

namespace quernel {
namespace QUERNEL_ISA {

constexpr int64_t STREAM_BYTES = int64_t(16) << 20;
inline bool streams(int64_t bytes) { return bytes >= STREAM_BYTES; }

// to[0..n) = from[0..n), elements of 4 bytes as raw bits; stream_end() is the caller's.
inline __attribute__((noinline)) void stream_copy(float* to, const float* from, int64_t n) {
    constexpr int64_t LINE = 16;  // floats
    const int64_t head = (int64_t)((LINE - (reinterpret_cast<uintptr_t>(to) / 4) % LINE) % LINE);
    int64_t i = head < n ? head : n;
    if (i) __builtin_memcpy(to, from, (size_t)i * 4);
    for (; i + LINE <= n; i += LINE)
        for (int v = 0; v < LINE; v += VL) stream(to + i + v, loadu(from + i + v));
    if (i < n) __builtin_memcpy(to + i, from + i, (size_t)(n - i) * 4);
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
