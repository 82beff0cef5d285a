// dropout and its gradient, one function: y[e] = (word e >> 8) >= threshold ? x[e] * scale : +0, e in C order.
//
// ints: threshold = ceil(rate * 2^24).  floats: scale = 1 / (1 - rate), rounded to float32 once (0 where rate is 1).
// The mask is made again from the state in backward, so nothing is kept. A dropped NaN is 0.
#include "random/philox.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

bool prepare(Call& c) {
    if (c.n_in != 2 || c.n_out != 1 || c.n_ints != 1 || c.n_floats != 1)
        return refuse(c, "expected x, a state, one output, a threshold and a scale");
    if (!all_f32(c.in, 1) || !all_f32(c.out, 1)) return refuse(c, "expected float32 arrays");
    if (!same_shape(c.in[0], c.out[0])) return refuse(c, "x and y differ in shape");
    if (!is_state(c.in[1])) return refuse(c, "state: expected three int64");
    estimate(c, c.out[0].size(), 8, GROUP, 3);
    return true;
}

void run(const Call& c, const Team& team) {
    const Stream stream(c.in[1]);
    const View &x = c.in[0], &y = c.out[0];
    const vi threshold = seti((int32_t)c.ints[0] - 1);
    const vf scale = set1((float)c.floats[0]);
    const bool dense = x.contiguous();
    const Nest nest = view_nest(x);
    const int64_t n = x.size();
    fill_groups<float>(y, GROUP, team, [&](int64_t g, float* to) {
        float values[GROUP];
        const float* from = x.f32() + g * GROUP;
        const int64_t rest = n - g * GROUP;
        if (!dense || rest < GROUP) {
            Odometer at(nest, nest.rank, g * GROUP);
            for (int i = 0; i < GROUP; ++i) values[i] = 0;
            for (int i = 0; i < GROUP && i < rest; ++i, at.next()) values[i] = x.f32()[at.from];
            from = values;
        }
        uint32_t words[GROUP];
        stream.group(g, words);
        for (int i = 0; i < GROUP; i += VL) {
            const vm kept = gti(shr<8>(loadi(reinterpret_cast<const int32_t*>(words) + i)), threshold);
            storeu(to + i, select(kept, mul(loadu(from + i), scale), zero()));
        }
    });
}

}  // namespace

bool dropout_prepare(Call& c) { return prepare(c); }
void dropout_run(const Call& c, const Team& team, char*) { run(c, team); }

bool dropout_dx_prepare(Call& c) { return prepare(c); }
void dropout_dx_run(const Call& c, const Team& team, char*) { run(c, team); }

}  // namespace QUERNEL_ISA
}  // namespace quernel
