// column: a matrix times one vector, s(i) = sum over k of A(i, k) * b(k), in the order of fold rather than of dot.
//
// One output column would leave all but one lane of dot's tiles idle, so its terms run side by side: in each chunk of
// 4096 terms lane l of 64 is one FMA chain from +0 over the terms l, l + 64, ...; lanes fold by halves, chunks in
// fold's pairwise tree. The order is the same whichever of A's strides is 1, and depends on k alone.
#pragma once
#include "fold/fold.hpp"

namespace quernel {
namespace QUERNEL_ISA {

// Bytes of scratch for these strides.
int64_t column_scratch(ptrdiff_t a_m, ptrdiff_t a_k);

// b and s are contiguous. Any sizes, any strides of A; s(i) = +0 where k is 0.
void column(int64_t m, int64_t k, const float* a, ptrdiff_t a_m, ptrdiff_t a_k, const float* b, float* s,
            char* scratch);

}  // namespace QUERNEL_ISA
}  // namespace quernel
