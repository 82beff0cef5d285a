// label: what the losses with a class number for every row share.
#pragma once
#include "loss/loss.hpp"

namespace quernel {
namespace QUERNEL_ISA {

inline bool is_label(int32_t dtype) { return dtype == I32 || dtype == I64 || dtype == U8; }

// The class of a row, or -1 with the flag raised where it lies outside [0, n).
inline int64_t label(const View& t, ptrdiff_t at, int64_t n, const Team& team) {
    int64_t k;
    if (t.dtype == I32)
        k = t.as<const int32_t>()[at];
    else if (t.dtype == I64)
        k = t.as<const int64_t>()[at];
    else
        k = t.as<const uint8_t>()[at];
    if (k >= 0 && k < n) return k;
    *team.bad_index = 1;
    return -1;
}

// dx = exponentials whose sum is s -> dx; all 0 where the class k is not one.
inline void slopes(float* dx, int64_t n, float s, float g, int64_t k) {
    if (k < 0) {
        __builtin_memset(dx, 0, (size_t)n * 4);
        return;
    }
    const float hit = (dx[k] / s - 1.0f) * g;
    const Divisor by(set1(s));
    const vf slope = set1(g);
    each_vector(n, [=](int64_t i, int m)
                       __attribute__((always_inline)) { store_m(dx + i, mul(by(load_m(dx + i, m)), slope), m); });
    dx[k] = hit;
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
