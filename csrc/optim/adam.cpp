// adam_update, in place over segments, float32, two roundings for each multiply-and-add:
//   t = iterations + 1;  alpha = learning_rate * sqrt(1 - beta_2^t) / (1 - beta_1^t)   in float64, rounded once to
//   float32 g = g * scale (where given) m = m + (g - m) * (1 - beta_1);  v = v + (g * g - v) * (1 - beta_2) vhat = v >
//   vhat ? v : vhat (NaN passes), where given; then vhat stands for v below w = w - (m * alpha) / (sqrt(v) + epsilon)
// Powers are products in float64 in the order of binary exponentiation from the lowest bit, never a library's pow.
//
// in: gradients (count of them), learning_rate, iterations, scale or absent.
// out: variables, m, v (count each), vhat (count) or one absent.
// ints: count, 1 with vhat.  floats: beta_1, beta_2, epsilon.
#include "optim/adam.hpp"

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

void adam_update_run(const Call& c, const Team& team, char*) {
    const int64_t count = c.ints[0], t = *c.in[count + 1].as<const int64_t>() + 1;
    const AdamRates r = adam_rates(c.in[count], t, c.in[count + 2], c.floats);
    const View *w = c.out, *m = w + count, *v = m + count, *vhat = v + count;
    walk_segments(w, count, team, [&](int64_t i, int64_t begin, int64_t end) {
        if (c.ints[1]) {
            const Segment<5> s = {{&w[i], &m[i], &v[i], &vhat[i], &c.in[i]}};
            s.update(begin, end, 4, [&](float* const* p, int64_t n) { adam_step<true>(p, n, r); });
        } else {
            const Segment<4> s = {{&w[i], &m[i], &v[i], &c.in[i]}};
            s.update(begin, end, 3, [&](float* const* p, int64_t n) { adam_step<false>(p, n, r); });
        }
    });
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
