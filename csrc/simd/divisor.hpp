// Divisor: many dividends by one divisor a lane, the quotients of an IEEE division bit for bit.
//
// q = a * (r + rest), r = RN(1 / s), rest = what r lacks, is within 1 ulp of a / s, so that the remainder a - q * s is
// exact in one fma and one more rounds to the quotient nearest to a / s (Markstein 1990: needs r correctly rounded and
// q within 1 ulp; nothing may underflow on the way). Four instructions of half a cycle instead of a division of 16
// lanes every 16 cycles; of 8 lanes a division takes 5, which is not worth it, and base has no fma. Dividends: 0, (0,
// 1] or NaN.
#pragma once
#include "simd/vec.hpp"

namespace quernel {
namespace QUERNEL_ISA {

struct Divisor {
    vf s, r, rest;
    bool near;  // every s so near to 1 that nothing underflows

    QUERNEL_INLINE explicit Divisor(vf divisor) : s(divisor) {
        if (VL < 16) return;
        r = div(set1(1.0f), s);
        rest = mul(fnma(s, r, set1(1.0f)), r);
        near = !any(m_not(m_and(ge(s, set1(0x1p-10f)), le(s, set1(0x1p30f)))));
    }
    QUERNEL_INLINE vf operator()(vf a) const {
        if (VL < 16) return div(a, s);
        if (!near || any(m_and(gt(a, zero()), lt(a, set1(0x1p-60f))))) return div(a, s);
        const vf q = fma(a, r, mul(a, rest));
        return fma(fnma(q, s, a), r, q);
    }
};

}  // namespace QUERNEL_ISA
}  // namespace quernel
