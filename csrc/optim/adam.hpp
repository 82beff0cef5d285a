// A step of Adam on contiguous elements: the formulas of adam.cpp, for whole variables and for rows of a table.
#pragma once
#include "optim/segments.hpp"
#include "simd/root.hpp"

namespace quernel {
namespace QUERNEL_ISA {

inline double power(double base, int64_t exponent) {
    double result = 1;
    for (; exponent > 0; exponent >>= 1) {
        if (exponent & 1) result *= base;
        base *= base;
    }
    return result;
}

struct AdamRates {
    float alpha, scale, take_m, take_v, epsilon;
    bool scaled;
};

// floats: beta_1, beta_2, epsilon; t counts from 1.
inline AdamRates adam_rates(const View& learning_rate, int64_t t, const View& scale, const double* floats) {
    AdamRates r;
    r.scaled = !scale.absent();
    r.scale = r.scaled ? *scale.f32() : 1.0f;
    const double correction = __builtin_sqrt(1 - power(floats[1], t));
    r.alpha = (float)((double)*learning_rate.f32() * correction / (1 - power(floats[0], t)));
    r.take_m = (float)(1 - floats[0]);
    r.take_v = (float)(1 - floats[1]);
    r.epsilon = (float)floats[2];
    return r;
}

// n elements, in place. p: w, m, v, (vhat), g
template <bool amsgrad>
QUERNEL_INLINE void adam_step(float* const* p, int64_t n, const AdamRates& r) {
    float *w = p[0], *m = p[1], *v = p[2], *vhat = amsgrad ? p[3] : p[2], *g = p[amsgrad ? 4 : 3];
    const vf alpha = set1(r.alpha), scale = set1(r.scale), take_m = set1(r.take_m), take_v = set1(r.take_v);
    const vf epsilon = set1(r.epsilon);
    const auto step = [&](vf gradient, vf& x, vf& mean, vf& square, vf& largest) __attribute__((always_inline)) {
        if (r.scaled) gradient = mul(gradient, scale);
        mean = add(mean, mul(sub(gradient, mean), take_m));
        square = add(square, mul(sub(mul(gradient, gradient), square), take_v));
        largest = amsgrad ? select(m_or(gt(square, largest), isnan(square)), square, largest) : square;
        x = sub(x, div(mul(mean, alpha), add(quick_root(largest), epsilon)));
    };
    int64_t i = 0;
    for (; i + VL <= n; i += VL) {
        vf x = loadu(w + i), mean = loadu(m + i), square = loadu(v + i), largest = amsgrad ? loadu(vhat + i) : square;
        step(loadu(g + i), x, mean, square, largest);
        storeu(w + i, x);
        storeu(m + i, mean);
        storeu(v + i, square);
        if (amsgrad) storeu(vhat + i, largest);
    }
    const int rest = (int)(n - i);
    if (rest == 0) return;
    vf x = load_n(w + i, rest), mean = load_n(m + i, rest), square = load_n(v + i, rest);
    vf largest = amsgrad ? load_n(vhat + i, rest) : square;
    step(load_n(g + i, rest), x, mean, square, largest);
    store_n(w + i, x, rest);
    store_n(m + i, mean, rest);
    store_n(v + i, square, rest);
    if (amsgrad) store_n(vhat + i, largest, rest);
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
