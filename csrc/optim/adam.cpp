// adam_update, in place over segments, float32, two roundings for each multiply-and-add:
//   t = iterations + 1;  alpha = learning_rate * sqrt(1 - beta_2^t) / (1 - beta_1^t)   in float64, rounded once to
//   float32 g = g * scale (where given) m = m + (g - m) * (1 - beta_1);  v = v + (g * g - v) * (1 - beta_2) vhat = v >
//   vhat ? v : vhat (NaN passes), where given; then vhat stands for v below w = w - (m * alpha) / (sqrt(v) + epsilon)
// Powers are products in float64 in the order of binary exponentiation from the lowest bit, never a library's pow.
//
// in: gradients (count of them), learning_rate, iterations, scale or absent.
// out: variables, m, v (count each), vhat (count) or one absent.
// ints: count, 1 with vhat.  floats: beta_1, beta_2, epsilon.
#include "optim/segments.hpp"

namespace quernel {
namespace QUERNEL_ISA {

bool adam_update_prepare(Call& c) {
    if (c.n_ints != 2 || c.n_floats != 3) return refuse(c, "expected two integers, the betas and epsilon");
    const int64_t count = c.ints[0], slots = c.ints[1] ? count : 1;
    if (count < 0 || c.n_in != count + 3 || c.n_out != 3 * count + slots)
        return refuse(c, "the lists differ in length");
    if (!is_scalar(c.in[count], F32)) return refuse(c, "learning_rate: expected one float32");
    if (!is_scalar(c.in[count + 1], I64)) return refuse(c, "iterations: expected one int64");
    if (!c.in[count + 2].absent() && !is_scalar(c.in[count + 2], F32)) return refuse(c, "scale: expected one float32");
    if (!same_segments(c, c.out, c.in, count)) return false;
    for (int list = 1; list < (c.ints[1] ? 4 : 3); ++list)
        if (!same_segments(c, c.out, c.out + list * count, count)) return false;
    double total = 0;
    for (int64_t i = 0; i < count; ++i) total += c.out[i].size();
    c.flops = total * 32;  // a division and a root cost as much as ten additions each
    c.bytes = total * (c.ints[1] ? 36 : 28);
    c.ranks = worth(c, (int64_t)(total / SHARE) + 1);
    return true;
}

namespace {

double power(double base, int64_t exponent) {
    double result = 1;
    for (; exponent > 0; exponent >>= 1) {
        if (exponent & 1) result *= base;
        base *= base;
    }
    return result;
}

struct Rates {
    float alpha, scale, take_m, take_v, epsilon;
    bool scaled;
};

// p: w, m, v, (vhat), g
template <bool amsgrad>
QUERNEL_INLINE void update(float* const* p, int64_t n, const Rates& r) {
    float *w = p[0], *m = p[1], *v = p[2], *vhat = amsgrad ? p[3] : p[2], *g = p[amsgrad ? 4 : 3];
    const vf alpha = set1(r.alpha), scale = set1(r.scale), take_m = set1(r.take_m), take_v = set1(r.take_v);
    const vf epsilon = set1(r.epsilon);
    const auto step = [&](vf gradient, vf& x, vf& mean, vf& square, vf& largest) __attribute__((always_inline)) {
        if (r.scaled) gradient = mul(gradient, scale);
        mean = add(mean, mul(sub(gradient, mean), take_m));
        square = add(square, mul(sub(mul(gradient, gradient), square), take_v));
        largest = amsgrad ? select(m_or(gt(square, largest), isnan(square)), square, largest) : square;
        x = sub(x, div(mul(mean, alpha), add(sqrt(largest), epsilon)));
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

}  // namespace

void adam_update_run(const Call& c, const Team& team, char*) {
    const int64_t count = c.ints[0], t = *c.in[count + 1].as<const int64_t>() + 1;
    const double beta_1 = c.floats[0], beta_2 = c.floats[1];
    Rates r;
    r.scaled = !c.in[count + 2].absent();
    r.scale = r.scaled ? *c.in[count + 2].f32() : 1.0f;
    const double correction = __builtin_sqrt(1 - power(beta_2, t));
    r.alpha = (float)((double)*c.in[count].f32() * correction / (1 - power(beta_1, t)));
    r.take_m = (float)(1 - beta_1);
    r.take_v = (float)(1 - beta_2);
    r.epsilon = (float)c.floats[2];
    const View *w = c.out, *m = w + count, *v = m + count, *vhat = v + count;
    walk_segments(w, count, team, [&](int64_t i, int64_t begin, int64_t end) {
        if (c.ints[1]) {
            const Segment<5> s = {{&w[i], &m[i], &v[i], &vhat[i], &c.in[i]}};
            s.update(begin, end, 4, [&](float* const* p, int64_t n) { update<true>(p, n, r); });
        } else {
            const Segment<4> s = {{&w[i], &m[i], &v[i], &c.in[i]}};
            s.update(begin, end, 3, [&](float* const* p, int64_t n) { update<false>(p, n, r); });
        }
    });
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
