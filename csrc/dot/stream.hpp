// stream: up to three rows times a wide B, which is read by whole rows in memory order. The work is bound by that
// reading: dot's tiles, a few vectors wide, would take B in pieces that prefetchers and the TLB serve badly.
#pragma once
#include "dot/dot.hpp"

namespace quernel {
namespace QUERNEL_ISA {

constexpr int64_t STREAM = 3;  // most rows: the terms of a step for each of them, and the sums, fit the registers

// c[i * c_m + j] = sum over k of a[i * a_m + k * a_k] * b[k * b_k + j], 0 <= i < m <= STREAM, 0 <= j < n, in dot's
// order. `head` columns, fewer than VL, are computed apart, so that the rest starts at an aligned vector of B's rows.
void stream(int64_t m, int64_t n, int64_t k, const float* a, ptrdiff_t a_m, ptrdiff_t a_k, const float* b,
            ptrdiff_t b_k, float* c, ptrdiff_t c_m, int64_t head);

}  // namespace QUERNEL_ISA
}  // namespace quernel
