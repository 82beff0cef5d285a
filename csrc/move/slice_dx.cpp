// slice_dx: dx = 0 but where a slice was taken: dx[start + i * step] = dy[i].
//
// ints: for each axis of dx its first taken index and its step (which may be negative); an empty slice has start 0.
#include "move/strided.hpp"

namespace quernel {
namespace QUERNEL_ISA {

bool slice_dx_prepare(Call& c) {
    if (c.n_in != 1 || c.n_out != 1) return refuse(c, "expected one input and one output");
    const View &dy = c.in[0], &dx = c.out[0];
    if (dy.dtype != dx.dtype) return refuse(c, "dy and dx differ in dtype");
    if (dy.rank != dx.rank || c.n_ints != 2 * dx.rank) return refuse(c, "expected a start and a step for each axis");
    for (int d = 0; d < dx.rank; ++d) {
        const int64_t first = c.ints[2 * d], last = first + (dy.shape[d] - 1) * c.ints[2 * d + 1];
        if (dy.shape[d] < 0) return refuse(c, "negative size");
        if (dy.shape[d] > 0 && (first < 0 || first >= dx.shape[d] || last < 0 || last >= dx.shape[d]))
            return refuse(c, "the slice leaves the array");
        if (dy.shape[d] > 1 && c.ints[2 * d + 1] == 0) return refuse(c, "expected a step other than zero");
    }
    c.bytes = (double)(dx.size() + 2 * dy.size()) * item_size(dx.dtype);
    c.ranks = worth(c, dx.size() / 1024 + 1);
    return true;
}

void slice_dx_run(const Call& c, const Team& team, char*) {
    const View &dy = c.in[0], &dx = c.out[0];
    const int64_t item = item_size(dx.dtype), nothing = 0;
    fill_elements(nest_of(dx, dx), item, dx.data, &nothing, team);
    team.barrier();  // a rank writes where another one has put zeros
    View taken = dx;
    for (int d = 0; d < dx.rank; ++d) {
        if (dy.shape[d] == 0) return;
        taken.shape[d] = dy.shape[d];
        taken.data += c.ints[2 * d] * dx.stride[d] * item;
        taken.stride[d] = dx.stride[d] * c.ints[2 * d + 1];
    }
    move_elements(nest_of(taken, dy), item, taken.data, dy.data, team);
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
