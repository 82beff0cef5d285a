// pad: y is x with `before` and `after` elements of a constant around it along each axis.
//
// ints: for each axis before and after, then the value for integers; floats: the value for floats.
#include "move/value.hpp"

namespace quernel {
namespace QUERNEL_ISA {

bool pad_prepare(Call& c) {
    if (c.n_in != 1 || c.n_out != 1) return refuse(c, "expected one input and one output");
    const View &x = c.in[0], &y = c.out[0];
    if (x.dtype != y.dtype || x.rank != y.rank) return refuse(c, "x and y differ in dtype or rank");
    if (c.n_ints != 2 * x.rank + 1 || c.n_floats != 1)
        return refuse(c, "expected two widths for each axis and a value");
    for (int d = 0; d < x.rank; ++d) {
        if (c.ints[2 * d] < 0 || c.ints[2 * d + 1] < 0) return refuse(c, "expected widths of at least 0");
        if (y.shape[d] != c.ints[2 * d] + x.shape[d] + c.ints[2 * d + 1]) return refuse(c, "y has another shape");
    }
    c.bytes = (double)(x.size() + y.size()) * item_size(y.dtype);
    c.ranks = worth(c, y.size() / 1024 + 1);
    return true;
}

// The border falls into disjoint slabs, two an axis: inside along the axes before it, whole along those after it.
void pad_run(const Call& c, const Team& team, char*) {
    const View &x = c.in[0], &y = c.out[0];
    const int64_t item = item_size(y.dtype);
    const Value value = value_of(y.dtype, c.ints[2 * x.rank], c.floats[0]);
    View part = y;
    for (int d = 0; d < y.rank; ++d) {
        const int64_t before = c.ints[2 * d], after = c.ints[2 * d + 1];
        char* const start = part.data;
        part.shape[d] = before;
        fill_elements(nest_of(part, part), item, start, value.bytes, team);
        part.shape[d] = after;
        fill_elements(nest_of(part, part), item, start + (before + x.shape[d]) * y.stride[d] * item, value.bytes, team);
        part.shape[d] = x.shape[d];
        part.data = start + before * y.stride[d] * item;
    }
    if (x.size() > 0) move_elements(nest_of(part, x), item, part.data, x.data, team);
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
