// random_uniform: y = u * (maxval - minval) + minval, u = (word >> 8) * 2^-24 in [0, 1): three float32 roundings at
// most.
//
// floats: minval, maxval, each rounded to float32 before the subtraction.
#include "random/philox.hpp"

namespace quernel {
namespace QUERNEL_ISA {

bool random_uniform_prepare(Call& c) {
    if (c.n_in != 1 || c.n_out != 1 || c.n_floats != 2) return refuse(c, "expected a state, one output and two limits");
    if (!is_state(c.in[0])) return refuse(c, "state: expected three int64");
    if (c.out[0].dtype != F32) return refuse(c, "expected a float32 output");
    estimate(c, c.out[0].size(), 4, GROUP, 3);
    return true;
}

void random_uniform_run(const Call& c, const Team& team, char*) {
    const Stream stream(c.in[0]);
    const float low = (float)c.floats[0], span = (float)c.floats[1] - low;
    fill_groups<float>(c.out[0], GROUP, team, [&](int64_t g, float* y) {
        uint32_t words[GROUP];
        stream.group(g, words);
        for (int i = 0; i < GROUP; ++i) y[i] = (float)(int32_t)(words[i] >> 8) * 0x1p-24f * span + low;
    });
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
