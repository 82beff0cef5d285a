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
#include "simd/divisor.hpp"
#include "simd/math.hpp"

namespace quernel {
namespace QUERNEL_ISA {

// sum of exp(x_i - m); what it computes stays in e unless that is null. The row at `next` is fetched while exponentials
// keep the arithmetic busy.
QUERNEL_INLINE float exp_sum(const float* x, float m, float* e, int64_t n, const float* next) {
    const vf top = set1(m);
    return fold_row<SumF>(n, [=](int64_t i, int k) __attribute__((always_inline)) {
        __builtin_prefetch(next + i);
        const vf v = keep_m(vexp_below(sub(load_m(x + i, k), top)), k);  // at most 0, or NaN
        if (e) store_m(e + i, v, k);
        return v;
    });
}
// The same for VL short rows: e[l] = exp(x[l] - m); their sums.
inline vf exp_sum_across(const vf* x, vf m, vf* e, int n) {
    for (int l = 0; l < n; ++l) e[l] = vexp_below(sub(x[l], m));
    return fold_across<SumF>(e, n);
}

// VL rows of at most NARROW elements together: what a row waits for (the tree's last levels, a logarithm, a reciprocal)
// is done once for all. More elements make that too little to matter, and the rows would not stay in L1.
constexpr int NARROW = 512;
template <int S>
inline bool is_narrow(const Rows<S>& r) {
    return r.n > SHORT && r.n <= NARROW && r.buffers == 0 && r.outer.size() >= 4;
}

// Row i is x + at[i], i < rows; lane i of a result belongs to it, lanes from `rows` on to a row of zeros.
inline vf tops(const float* x, const ptrdiff_t* at, int rows, int n) {
    vf part[VL];
    for (int i = 0; i < VL; ++i) {
        const float* p = x + at[i];
        part[i] = i >= rows ? zero() : fold_lanes<MaxF>(n, [=](int j, int k) __attribute__((always_inline)) {
            return take<MaxF>(p + j, k);
        });
    }
    return fold_vectors<MaxF>(part);
}
// Sums of exp(x - top), which stay in the rows e + to[i] unless e is null.
inline vf exp_sums(const float* x, const ptrdiff_t* at, int rows, int n, vf top, float* e, const ptrdiff_t* to) {
    alignas(64) float m[VL];
    storeu(m, top);
    vf part[VL];
    for (int i = 0; i < VL; ++i) part[i] = zero();
    for (int i = 0; i < rows; ++i) {
        const float* p = x + at[i];
        float* q = e ? e + to[i] : nullptr;
        const vf t = set1(m[i]);
        part[i] = fold_lanes<SumF>(n, [=](int j, int k) __attribute__((always_inline)) {
            const vf v = keep_m(vexp_below(sub(load_m(p + j, k), t)), k);
            if (q) store_m(q + j, v, k);
            return v;
        });
    }
    return fold_vectors<SumF>(part);
}

// Of each row log(sum of exp(x - top)), and its largest value.
inline vf log_sums(const float* x, const ptrdiff_t* at, int rows, int n, vf& top) {
    top = tops(x, at, rows, n);
    return vlog(exp_sums(x, at, rows, n, top, nullptr, nullptr));
}
QUERNEL_INLINE float log_of(float x) { return first(vlog(set1(x))); }

}  // namespace QUERNEL_ISA
}  // namespace quernel
