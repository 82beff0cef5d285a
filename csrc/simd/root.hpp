// quick_root: the square root of IEEE, bit for bit, where the divider would be the longest way.
//
// 16 lanes of a root take the divider 12 cycles, those of a division 10; fma are two a cycle, and this takes 7. From y,
// 1 / sqrt(x) within 2^-14 (Intel's manual: VRSQRT14PS), g = x * y and h = y / 2 take one step of Goldschmidt's
// iteration each, and g one more by its exact remainder x - g * g (P. W. Markstein, IBM J. Res. Dev. 34, 1990). It
// rounds rightly for every x and every y within that bound: all 2^24 mantissas of [1, 4) with all 1460 floats in reach
// of each were tried. Nothing underflows where x >= 2^-100. Zeros are their own root, numbers below them have none (y
// is NaN already); where another lane is below 2^-80, above 2^100 or NaN, the divider does all of them.
#pragma once
#include "simd/vec.hpp"

namespace quernel {
namespace QUERNEL_ISA {

QUERNEL_INLINE vf quick_root(vf x) {
#if defined(__AVX512F__)
    const vf y = _mm512_maskz_rsqrt14_ps(ALL, x), g = mul(x, y), h = mul(y, set1(0.5f));
    const vf lack = fnma(g, h, set1(0.5f)), near = fma(g, lack, g);
    const vf root = fma(fnma(near, near, x), fma(h, lack, h), near);
    const vm usual = m_and(ge(x, set1(0x1p-80f)), le(x, set1(0x1p100f)));
    if (__builtin_expect(!any(m_not(usual)), 1)) return root;
    if (any(m_not(m_or(usual, le(x, zero()))))) return sqrt(x);
    return select(eq(x, zero()), add(x, x), root);
#else
    return sqrt(x);
#endif
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
