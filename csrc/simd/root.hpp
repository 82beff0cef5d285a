// quick_root: the square root of IEEE, bit for bit, where the divider is busy with a division as well.
//
// 16 lanes of a root take the divider 12 cycles, those of a division 10; fma are two a cycle. From y, 1 / sqrt(x)
// within 2^-14 (Intel's manual: VRSQRT14PS), g = x * y and h = y / 2 take one step of Goldschmidt's iteration each, and
// g one more by its exact remainder x - g * g (P. W. Markstein, IBM J. Res. Dev. 34, 1990). It rounds rightly for every
// x and every y within that bound: all 2^24 mantissas of [1, 4) with all 1460 floats in reach of each were tried.
// Nothing underflows where x >= 2^-100; where a lane is below 2^-80, above 2^100 or NaN, the divider does all of them.
#pragma once
#include "simd/vec.hpp"

namespace quernel {
namespace QUERNEL_ISA {

QUERNEL_INLINE vf quick_root(vf x) {
#if defined(__AVX512F__)
    if (__builtin_expect(any(m_not(m_and(ge(x, set1(0x1p-80f)), le(x, set1(0x1p100f))))), 0)) return sqrt(x);
    const vf y = _mm512_maskz_rsqrt14_ps(ALL, x), g = mul(x, y), h = mul(y, set1(0.5f));
    const vf lack = fnma(g, h, set1(0.5f)), root = fma(g, lack, g);
    return fma(fnma(root, root, x), fma(h, lack, h), root);
#else
    return sqrt(x);
#endif
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
