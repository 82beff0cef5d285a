// softmax along one axis, row by row; every sum and maximum in fold's order.
//
//   softmax          m = max(x), e_i = exp(x_i - m), s = sum(e), y_i = e_i / s
//   log_softmax      y_i = (x_i - m) - log(s)
//   softmax_dx       c = sum(dy * y), dx_i = (dy_i - c) * y_i
//   log_softmax_dx   c = sum(dy), dx_i = dy_i - exp(y_i) * c
//
// float32; ints: [axis], not negative. Inputs and output have one shape; any strides, no aliasing. A row that holds a
// NaN or +inf, or only -inf, is NaN throughout. An empty axis gives an empty result.
#pragma once
#include "fold/short.hpp"
#include "simd/math.hpp"

namespace quernel {
namespace QUERNEL_ISA {

// sum of exp(x_i - m); what it computes stays in e unless that is null.
QUERNEL_INLINE float exp_sum(const float* x, float m, float* e, int64_t n) {
    const vf top = set1(m);
    return fold_row<SumF>(n, [=](int64_t i, int k) __attribute__((always_inline)) {
        const vf v = keep_m(vexp(sub(load_m(x + i, k), top)), k);
        if (e) store_m(e + i, v, k);
        return v;
    });
}
// The same for VL short rows: e[l] = exp(x[l] - m); their sums.
inline vf exp_sum_across(const vf* x, vf m, vf* e, int n) {
    for (int l = 0; l < n; ++l) e[l] = vexp(sub(x[l], m));
    return fold_across<SumF>(e, n);
}
QUERNEL_INLINE float log_of(float x) { return first(vlog(set1(x))); }

}  // namespace QUERNEL_ISA
}  // namespace quernel
