// mean_update, the state of a running mean, in place, one float32 each:
//   added = value - lost               (value * weight - lost with `product`)
//   sum = total + added;  lost = (sum - total) - added, 0 where that is no finite number
//   total = sum;  count = count + weight
//
// in: value, weight.  out: total, count, lost.  ints: 1 with `product`.
#include "base/check.hpp"

namespace quernel {
namespace QUERNEL_ISA {

bool mean_update_prepare(Call& c) {
    if (c.n_in != 2 || c.n_out != 3 || c.n_ints != 1) return refuse(c, "expected 2 inputs, 3 outputs and one integer");
    for (int i = 0; i < 2; ++i)
        if (c.in[i].dtype != F32 || c.in[i].size() != 1) return refuse(c, "value, weight: expected one float32");
    for (int i = 0; i < 3; ++i)
        if (c.out[i].dtype != F32 || c.out[i].size() != 1) return refuse(c, "the state: expected one float32 each");
    c.flops = 6;
    c.bytes = 32;
    c.ranks = 1;
    return true;
}

void mean_update_run(const Call& c, const Team& team, char*) {
    if (team.rank != 0) return;
    float &total = *reinterpret_cast<float*>(c.out[0].data), &count = *reinterpret_cast<float*>(c.out[1].data);
    float& lost = *reinterpret_cast<float*>(c.out[2].data);
    const float value = *c.in[0].f32(), weight = *c.in[1].f32();
    const float added = (c.ints[0] ? value * weight : value) - lost;
    const float sum = total + added, error = (sum - total) - added;
    lost = error - error == 0 ? error : 0.0f;
    total = sum;
    count = count + weight;
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
