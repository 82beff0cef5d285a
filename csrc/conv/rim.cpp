// rim: what is looked for in the positions that meet dropped outputs.
#include "conv/rim.hpp"

namespace quernel {
namespace QUERNEL_ISA {

bool all_finite(const float* p, int64_t n, ptrdiff_t step) {
    if (step != 1) {
        float sum = 0;
        for (int64_t i = 0; i < n; ++i) sum += p[i * step] * 0.0f;
        return sum == 0;
    }
    vf sum[2] = {zero(), zero()};  // of x * 0: NaN from the first x that is not finite on
    int64_t i = 0;
    for (; i + 2 * VL <= n; i += 2 * VL)
        for (int v = 0; v < 2; ++v) sum[v] = fma(loadu(p + i + v * VL), zero(), sum[v]);
    for (; i < n; i += VL) sum[0] = fma(load_n(p + i, (int)(n - i < VL ? n - i : VL)), zero(), sum[0]);
    return !any(isnan(add(sum[0], sum[1])));
}

bool no_negative_zero(const float* p, int64_t n, ptrdiff_t step) {
    if (step != 1) {
        for (int64_t i = 0; i < n; ++i)
            if (__builtin_signbit(p[i * step]) && p[i * step] == 0) return false;
        return true;
    }
    const vi sign = seti(INT32_MIN);
    vm found = first_n(0);
    for (int64_t i = 0; i < n; i += VL)
        found = m_or(found, eqi(bits(load_n(p + i, (int)(n - i < VL ? n - i : VL))), sign));
    return !any(found);
}

bool rim_holds(const Images& x, const Axis* axis, Range n, Range h, int64_t channels, Holds holds) {
    int64_t first[SPATIAL];  // the first input that a dropped output reads, along each axis
    for (int d = 0; d < SPATIAL; ++d) {
        const Axis& a = axis[d];
        const int64_t at = a.live * a.stride - a.low;
        first[d] = a.live == a.out || at > a.in ? a.in : at > 0 ? at : 0;
    }
    const int64_t wide = axis[2].in;
    const bool flat = x.c == 1 && x.at[2] == channels;  // positions of a row follow each other
    for (int64_t i = n.begin; i < n.end; ++i)
        for (int64_t d = 0; d < axis[0].in; ++d)
            for (int64_t r = h.begin; r < h.end; ++r) {
                const int64_t w = d >= first[0] || r >= first[1] ? 0 : first[2];
                const float* p = x.data + i * x.n + d * x.at[0] + r * x.at[1] + w * x.at[2];
                if (flat && w < wide && !holds(p, (wide - w) * channels, 1)) return false;
                for (int64_t q = w; !flat && q < wide; ++q, p += x.at[2])
                    if (!holds(p, channels, x.c)) return false;
            }
    return true;
}

bool weights_finite(const Gather& g) {
    for (int64_t group = 0; group < g.groups; ++group)
        for (int64_t t = 0; t < g.taps[0] * g.taps[1] * g.taps[2]; ++t) {
            const float* w = g.w + group * g.w_group + t / (g.taps[1] * g.taps[2]) * g.w_tap[0] +
                             t / g.taps[2] % g.taps[1] * g.w_tap[1] + t % g.taps[2] * g.w_tap[2];
            const bool rows = g.w_j == 1;
            for (int64_t i = 0; i < (rows ? g.k : g.j); ++i)
                if (!all_finite(w + i * (rows ? g.w_k : g.w_j), rows ? g.j : g.k, rows ? g.w_j : g.w_k)) return false;
        }
    return true;
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
