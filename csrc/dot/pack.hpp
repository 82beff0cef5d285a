// pack: copies of operands of a product, for dot to read: B as a panel, A by rows. No aliasing.
#pragma once
#include "dot/dot.hpp"

namespace quernel {
namespace QUERNEL_ISA {

constexpr int64_t MOST_TERMS = CHAIN + 64;  // of one packed block: a short rest of k joins the block before it
constexpr int64_t A_ROW = MOST_TERMS + 16;  // an odd number of cache lines: rows spread over the sets of L1

// out[k * width + j] = b[k * b_k + j * b_n] for j < n; columns from n to width are not written.
void pack_b(float* out, int64_t width, const float* b, ptrdiff_t b_k, ptrdiff_t b_n, int64_t k, int64_t n);

// out[i * A_ROW + k] = a[i * a_m + k * a_k], k <= MOST_TERMS.
void pack_a(float* out, const float* a, ptrdiff_t a_m, ptrdiff_t a_k, int64_t m, int64_t k);

}  // namespace QUERNEL_ISA
}  // namespace quernel
