// copy: y = x, any strides on both sides.
#include "base/check.hpp"

namespace quernel {
namespace QUERNEL_ISA {

bool copy_prepare(Call& c) {
    if (c.n_in != 1 || c.n_out != 1) return refuse(c, "expected one input and one output");
    if (!same_shape(c.in[0], c.out[0])) return refuse(c, "input and output differ in shape");
    if (c.in[0].dtype != c.out[0].dtype) return refuse(c, "input and output differ in dtype");
    return true;
}

void copy_run(const Call& c, const Team& team, char*) {
    if (team.rank) return;
    const View &x = c.in[0], &y = c.out[0];
    const int64_t n = x.size(), item = item_size(x.dtype);
    for (int64_t i = 0; i < n; ++i) {
        int64_t rest = i, from = 0, to = 0;
        for (int d = x.rank - 1; d >= 0; --d) {
            const int64_t at = rest % x.shape[d];
            rest /= x.shape[d];
            from += at * x.stride[d];
            to += at * y.stride[d];
        }
        __builtin_memcpy(y.data + to * item, x.data + from * item, item);
    }
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
