// label: what the losses with a class number for every row share.
#pragma once
#include "loss/loss.hpp"
#include "softmax/overlap.hpp"

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

// The gradient of a row, over its exponentials: (e / their sum - [i = k]) g; all 0 where the class k is negative.
struct SlopesRow : ExpRow {
    int64_t n, k;
    float g, hit = 0;
    Divisor by{zero()};
    SlopesRow(const float* x, float* dx, int64_t n, int64_t k, float g) : ExpRow{x, dx}, n(n), k(k), g(g) {}
    QUERNEL_INLINE void fetch(int64_t i) const { __builtin_prefetch(e + i + FETCH, 1); }
    void sum(float s) {
        by = Divisor(set1(s));
        if (k >= 0) hit = (e[k] / s - 1.0f) * g;
    }
    QUERNEL_INLINE void step(int64_t i, int l) const { store_m(e + i, mul(by(load_m(e + i, l)), set1(g)), l); }
    void end() const {
        if (k < 0)
            __builtin_memset(e, 0, (size_t)n * 4);
        else
            e[k] = hit;
    }
};

}  // namespace QUERNEL_ISA
}  // namespace quernel
