// concat: y is the inputs one after the other along an axis.
//
// ints: axis, counted from the front.
#include "move/strided.hpp"

namespace quernel {
namespace QUERNEL_ISA {

bool concat_prepare(Call& c) {
    if (c.n_in < 1 || c.n_out != 1 || c.n_ints != 1) return refuse(c, "expected inputs, one output and an axis");
    const View& y = c.out[0];
    const int64_t axis = c.ints[0];
    if (axis < 0 || axis >= y.rank) return refuse(c, "axis out of range");
    int64_t sum = 0;
    for (int i = 0; i < c.n_in; ++i) {
        const View& x = c.in[i];
        if (x.absent() || x.rank != y.rank || x.dtype != y.dtype) return refuse(c, "inputs differ in rank or dtype");
        for (int d = 0; d < y.rank; ++d)
            if (d != axis && x.shape[d] != y.shape[d]) return refuse(c, "inputs differ in shape beside the axis");
        sum += x.shape[axis];
    }
    if (sum != y.shape[axis]) return refuse(c, "the output has another size along the axis");
    c.bytes = 2.0 * y.size() * item_size(y.dtype);
    c.ranks = worth(c, y.size() / 1024 + 1);
    return true;
}

void concat_run(const Call& c, const Team& team, char*) {
    const View& y = c.out[0];
    const int axis = (int)c.ints[0];
    const int64_t item = item_size(y.dtype);
    char* to = y.data;
    for (int i = 0; i < c.n_in; ++i) {
        const View& x = c.in[i];
        if (x.size() > 0) move_elements(nest_of(x.rank, x.shape, y.stride, x.stride), item, to, x.data, team);
        to += x.shape[axis] * y.stride[axis] * item;
    }
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
