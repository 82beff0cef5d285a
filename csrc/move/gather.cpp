// gather: y[a, i, b] = x[a, indices[i], b], where a stands for the axes before `axis` and b for those after it.
//
// ints: axis, counted from the front. Negative indices count from the end; an index out of range raises.
#include "move/value.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

struct Gather {
    Nest outer, index, inner;  // axes before, of the indices, after; `from` of index steps through the indices
    bool lines;                // one list of indices for rows of contiguous elements
    int64_t rows, count;       // of y; indices
};

}  // namespace

bool gather_prepare(Call& c) {
    if (c.n_in != 2 || c.n_out != 1 || c.n_ints != 1) return refuse(c, "expected x, indices, one output and an axis");
    const View &x = c.in[0], &indices = c.in[1], &y = c.out[0];
    const int axis = (int)c.ints[0];
    if (x.dtype != y.dtype) return refuse(c, "x and y differ in dtype");
    if (!is_index(indices.dtype)) return refuse(c, "expected int32, int64 or uint8 indices");
    if (axis < 0 || axis >= x.rank) return refuse(c, "axis out of range");
    if (y.rank != x.rank - 1 + indices.rank) return refuse(c, "y has another rank");
    for (int d = 0; d < y.rank; ++d) {
        const int64_t n = d < axis                  ? x.shape[d]
                          : d < axis + indices.rank ? indices.shape[d - axis]
                                                    : x.shape[d - indices.rank + 1];
        if (y.shape[d] != n) return refuse(c, "y has another shape");
    }
    const int after = x.rank - axis - 1;
    Gather& g = c.as<Gather>();
    g.outer = axes_nest(y, 0, x, 0, axis);
    g.index = axes_nest(y, axis, indices, 0, indices.rank);
    g.inner = nest_of(after, x.shape + axis + 1, y.stride + axis + indices.rank, x.stride + axis + 1);
    g.count = indices.size();
    g.rows = g.outer.size() * g.count;
    g.lines = axis == 0 && indices.rank == 1 && g.inner.rank == 1 && g.inner.to[0] == 1 && g.inner.from[0] == 1;
    c.bytes = 2.0 * y.size() * item_size(y.dtype);
    c.ranks = worth(c, y.size() / 256 + 1);
    return true;
}

namespace {

// axis 0, rows contiguous.
template <class T, class I>
void gather_lines(const Call& c, const Team& team) {
    const Gather& g = c.as<Gather>();
    const View &x = c.in[0], &indices = c.in[1];
    const int64_t n = x.shape[0], width = g.inner.shape[0];
    const ptrdiff_t x_row = x.stride[0], y_row = g.index.to[0], step = g.index.from[0];
    const I* const index = indices.as<const I>();
    const T* const from = reinterpret_cast<const T*>(x.data);
    T* const to = reinterpret_cast<T*>(c.out[0].data);
    const Range rows = split(g.rows, team);
    for (int64_t r = rows.begin; r < rows.end; ++r) {
        int64_t i = (int64_t)index[r * step];
        if (i < 0) i += n;
        if (i < 0 || i >= n)
            *team.bad_index = 1;
        else
            move_line(to + r * y_row, from + i * x_row, width);
    }
}

template <class T>
void gather_typed(const Call& c, const Team& team) {
    const Gather& g = c.as<Gather>();
    const View &x = c.in[0], &indices = c.in[1], &y = c.out[0];
    if (g.lines)
        return indices.dtype == I64   ? gather_lines<T, int64_t>(c, team)
               : indices.dtype == I32 ? gather_lines<T, int32_t>(c, team)
                                      : gather_lines<T, uint8_t>(c, team);
    const int axis = (int)c.ints[0];
    const int64_t n = x.shape[axis], count = g.count;
    const Nest& inner = g.inner;
    const bool one_row = inner.rank == 1;
    const int64_t width = inner.size();
    T* const to = reinterpret_cast<T*>(y.data);
    const T* const from = reinterpret_cast<const T*>(x.data);
    const Range rows = split(g.rows, team);
    if (rows.begin >= rows.end) return;
    Odometer block(g.outer, axis, rows.begin / count), at(g.index, indices.rank, rows.begin % count);
    for (int64_t r = rows.begin; r < rows.end; ++r) {
        int64_t i = index_at(indices, at.from);
        if (i < 0) i += n;
        if (i < 0 || i >= n) {
            *team.bad_index = 1;
        } else {
            T* row = to + block.to + at.to;
            const T* source = from + block.from + i * x.stride[axis];
            if (one_row)
                move_row(row, inner.to[0], source, inner.from[0], width);
            else
                move_rows(inner, row, source, 0, width);
        }
        at.next();
        if ((r + 1) % count == 0) block.next();
    }
}

}  // namespace

void gather_run(const Call& c, const Team& team, char*) {
    const View& y = c.out[0];
    if (y.size() == 0) return;
    const int64_t item = item_size(y.dtype);
    if (item == 4)
        gather_typed<raw4>(c, team);
    else if (item == 8)
        gather_typed<raw8>(c, team);
    else
        gather_typed<raw1>(c, team);
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
