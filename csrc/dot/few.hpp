// few: a few rows times a transposed B, which is transposed in registers on its way to the FMA: packing would cost
// more.
#pragma once
#include "dot/dot.hpp"

namespace quernel {
namespace QUERNEL_ISA {

constexpr int64_t FEW = VL == 16 ? 8 : 4;  // VL registers for the block of B, one accumulator for each row

// c[i * c_m + j] = sum over k of a[i * a_m + k * a_k] * b[j * b_n + k], 0 <= i < m <= FEW, 0 <= j < n, in dot's order.
void few(int64_t m, int64_t n, int64_t k, const float* a, ptrdiff_t a_m, ptrdiff_t a_k, const float* b, ptrdiff_t b_n,
         float* c, ptrdiff_t c_m);

}  // namespace QUERNEL_ISA
}  // namespace quernel
