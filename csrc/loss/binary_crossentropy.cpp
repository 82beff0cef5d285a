// binary_crossentropy, element by element: rows for the map block.
#include "loss/loss.hpp"
#include "map/map.hpp"

namespace quernel {
namespace QUERNEL_ISA {
namespace {

vf from_logits(vf t, vf x) {
    const vf relu = select(gt(x, zero()), x, zero());
    return add(sub(relu, mul(x, t)), vlog1p(vexp_below(vneg(vabs(x)))));
}
vf from_probabilities(vf t, vf x) {
    const vf one = set1(1.0f), p = clip_probability(x);
    return vneg(add(mul(t, vlog(p)), mul(sub(one, t), vlog(sub(one, p)))));
}
vf slope_of_logits(vf dy, vf t, vf x) { return mul(sub(vsigmoid(x), t), dy); }
vf slope_of_probabilities(vf dy, vf t, vf x) {
    const vf one = set1(1.0f);
    return select(outside(x), zero(), mul(sub(div(sub(one, t), sub(one, x)), div(t, x)), dy));
}

bool prepare(Call& c, int inputs, Row logits, Row probabilities) {
    if (c.n_in != inputs || c.n_out != 1 || c.n_ints != 1) return refuse(c, "expected %d inputs and one flag", inputs);
    if (!all_f32(c.in, inputs) || c.out[0].dtype != F32) return refuse(c, "expected float32");
    for (int i = 0; i < inputs; ++i)
        if (!same_shape(c.in[i], c.out[0])) return refuse(c, "operands differ in shape");
    return map_prepare(c, inputs, 40, c.ints[0] ? logits : probabilities);
}

}  // namespace

bool binary_crossentropy_prepare(Call& c) { return prepare(c, 2, row2<from_logits>, row2<from_probabilities>); }
void binary_crossentropy_run(const Call& c, const Team& team, char*) { map_run(c, team); }

bool binary_crossentropy_dx_prepare(Call& c) {
    return prepare(c, 3, row3<slope_of_logits>, row3<slope_of_probabilities>);
}
void binary_crossentropy_dx_run(const Call& c, const Team& team, char*) { map_run(c, team); }

}  // namespace QUERNEL_ISA
}  // namespace quernel
