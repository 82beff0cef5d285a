// sgd_update, in place over segments, float32, two roundings for each multiply-and-add:
//   s = (g * scale) * learning_rate          (g * learning_rate without scale)
//   plain:    w = w - s
//   momentum: v = v * momentum - s;  w = w + v;  nesterov: w = w + (v * momentum - s)
//
// in: gradients (count of them), learning_rate, scale or absent.  out: variables (count), velocities (count) or one
// absent. ints: count, 1 with velocities, 1 for nesterov.  floats: momentum.
#include "optim/sgd.hpp"

namespace quernel {
namespace QUERNEL_ISA {

bool sgd_update_prepare(Call& c) {
    if (c.n_ints != 3 || c.n_floats != 1) return refuse(c, "expected three integers and a momentum");
    const int64_t count = c.ints[0], slots = c.ints[1] ? count : 1;
    if (count < 0 || c.n_in != count + 2 || c.n_out != count + slots) return refuse(c, "the lists differ in length");
    if (!is_scalar(c.in[count], F32)) return refuse(c, "learning_rate: expected one float32");
    if (!c.in[count + 1].absent() && !is_scalar(c.in[count + 1], F32)) return refuse(c, "scale: expected one float32");
    if (!same_segments(c, c.out, c.in, count)) return false;
    if (c.ints[1] && !same_segments(c, c.out, c.out + count, count)) return false;
    double total = 0;
    for (int64_t i = 0; i < count; ++i) total += c.out[i].size();
    c.flops = total * (c.ints[1] ? 4 : 2);
    c.bytes = total * (c.ints[1] ? 20 : 12);
    c.ranks = worth(c, (int64_t)(total / SHARE) + 1);
    return true;
}

void sgd_update_run(const Call& c, const Team& team, char*) {
    const int64_t count = c.ints[0];
    const bool momentum = c.ints[1], nesterov = c.ints[2], scaled = !c.in[count + 1].absent();
    const float rate = *c.in[count].f32(), scale = scaled ? *c.in[count + 1].f32() : 1.0f, decay = (float)c.floats[0];
    walk_segments(c.out, count, team, [&](int64_t i, int64_t begin, int64_t end) {
        if (!momentum) {
            const Segment<2> s = {{&c.out[i], &c.in[i]}};
            s.update(begin, end, 1,
                     [&](float* const* p, int64_t n) { sgd_step<false, false>(p, n, rate, scale, scaled, decay); });
            return;
        }
        const Segment<3> s = {{&c.out[i], &c.out[count + i], &c.in[i]}};
        s.update(begin, end, 2, [&](float* const* p, int64_t n) {
            if (nesterov)
                sgd_step<true, true>(p, n, rate, scale, scaled, decay);
            else
                sgd_step<true, false>(p, n, rate, scale, scaled, decay);
        });
    });
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
