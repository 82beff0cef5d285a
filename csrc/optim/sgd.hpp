// A step of gradient descent on contiguous elements: the formulas of sgd.cpp, for whole variables and for rows of a
// table.
#pragma once
#include "optim/segments.hpp"

namespace quernel {
namespace QUERNEL_ISA {

// n elements, in place. p: w, v, g with momentum; w, g without.
template <bool momentum, bool nesterov>
QUERNEL_INLINE void sgd_step(float* const* p, int64_t n, float rate, float scale, bool scaled, float decay) {
    float *w = p[0], *v = p[1], *g = p[momentum ? 2 : 1];
    const vf rates = set1(rate), scales = set1(scale), decays = set1(decay);
    const auto step = [&](vf x, vf velocity, vf gradient, vf& after) __attribute__((always_inline)) {
        const vf s = mul(scaled ? mul(gradient, scales) : gradient, rates);
        if (!momentum) return sub(x, s);
        after = sub(mul(velocity, decays), s);
        return add(x, nesterov ? sub(mul(after, decays), s) : after);
    };
    vf after = zero();
    int64_t i = 0;
    for (; i + VL <= n; i += VL) {
        storeu(w + i, step(loadu(w + i), momentum ? loadu(v + i) : after, loadu(g + i), after));
        if (momentum) storeu(v + i, after);
    }
    const int rest = (int)(n - i);
    if (rest > 0) {
        store_n(w + i, step(load_n(w + i, rest), momentum ? load_n(v + i, rest) : after, load_n(g + i, rest), after),
                rest);
        if (momentum) store_n(v + i, after, rest);
    }
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
