// full: y[i] = value.
//
// ints: value, for integer and bool y.  floats: value, for float y.
#include "move/value.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

struct Full {
    Nest nest;
    Value value;
};

}  // namespace

bool full_prepare(Call& c) {
    if (c.n_in != 0 || c.n_out != 1) return refuse(c, "expected no input and one output");
    if (c.n_ints != 1 || c.n_floats != 1) return refuse(c, "expected one value");
    const View& y = c.out[0];
    c.as<Full>() = {nest_of(y, y), value_of(y.dtype, c.ints[0], c.floats[0])};
    c.bytes = (double)c.out[0].size() * item_size(c.out[0].dtype);
    c.ranks = worth(c, c.out[0].size() / 1024 + 1);
    return true;
}

void full_run(const Call& c, const Team& team, char*) {
    const View& y = c.out[0];
    const Full& full = c.as<Full>();
    fill_elements(full.nest, item_size(y.dtype), y.data, full.value.bytes, team);
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
