// one_hot: y[i, j] = 1 where j equals x[i], else 0; a value outside of [0, classes) gives a row of zeros.
//
// ints: none; the number of classes is the size of y's last axis.
#include "move/value.hpp"

namespace quernel {
namespace QUERNEL_ISA {

bool one_hot_prepare(Call& c) {
    if (c.n_in != 1 || c.n_out != 1) return refuse(c, "expected one input and one output");
    const View &x = c.in[0], &y = c.out[0];
    if (!is_index(x.dtype)) return refuse(c, "expected int32, int64 or uint8 labels");
    if (y.rank != x.rank + 1) return refuse(c, "y must have one axis more than x");
    for (int d = 0; d < x.rank; ++d)
        if (x.shape[d] != y.shape[d]) return refuse(c, "x and y differ in shape");
    c.bytes = (double)y.size() * item_size(y.dtype);
    c.ranks = worth(c, x.size() / 16 + 1);
    return true;
}

void one_hot_run(const Call& c, const Team& team, char*) {
    const View &x = c.in[0], &y = c.out[0];
    if (y.size() == 0) return;
    const int64_t item = item_size(y.dtype), classes = y.shape[x.rank];
    const ptrdiff_t step = y.stride[x.rank];
    const Value one = value_of(y.dtype, 1, 1.0);
    const Range rows = split(x.size(), team);
    if (rows.begin >= rows.end) return;
    const Nest nest = axes_nest(y, 0, x, 0, x.rank);
    Odometer row(nest, x.rank, rows.begin);
    for (int64_t r = rows.begin; r < rows.end; ++r, row.next()) {
        char* to = y.data + row.to * item;
        if (step == 1)
            __builtin_memset(to, 0, (size_t)(classes * item));
        else
            for (int64_t j = 0; j < classes; ++j) __builtin_memset(to + j * step * item, 0, (size_t)item);
        const int64_t label = index_at(x, row.from);
        if (label >= 0 && label < classes) __builtin_memcpy(to + label * step * item, one.bytes, (size_t)item);
    }
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
