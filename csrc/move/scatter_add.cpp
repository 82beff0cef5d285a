// scatter_add: y = 0, then y[a, indices[i], b] += updates[a, i, b] for i in order; the gradient of gather.
//
// ints: axis of y, counted from the front. Every element of y has one rank that adds all its terms in the order of i,
// so the bits do not depend on the number of ranks. Integers wrap around. Subnormal sums are zero, as everywhere.
#include "rows/rows.hpp"

namespace quernel {
namespace QUERNEL_ISA {

bool scatter_add_prepare(Call& c) {
    if (c.n_in != 2 || c.n_out != 1 || c.n_ints != 1) return refuse(c, "expected indices, updates, an output, an axis");
    const View &indices = c.in[0], &updates = c.in[1], &y = c.out[0];
    const int axis = (int)c.ints[0];
    if (updates.dtype != y.dtype || y.dtype == B8) return refuse(c, "updates and y differ in dtype, or are bool");
    if (!is_index(indices.dtype)) return refuse(c, "expected int32, int64 or uint8 indices");
    if (axis < 0 || axis >= y.rank) return refuse(c, "axis out of range");
    if (updates.rank != y.rank - 1 + indices.rank) return refuse(c, "updates have another rank");
    for (int d = 0; d < updates.rank; ++d) {
        const int64_t n = d < axis                  ? y.shape[d]
                          : d < axis + indices.rank ? indices.shape[d - axis]
                                                    : y.shape[d - indices.rank + 1];
        if (updates.shape[d] != n) return refuse(c, "updates have another shape");
    }
    c.bytes = (double)(y.size() + 3 * updates.size()) * item_size(y.dtype);
    // Many updates of few rows: each rank would walk all of them for its share (16384 into 1000 rows of 64: 222 us for
    // 190).
    c.ranks = updates.size() > 8 * y.size() ? 1 : worth(c, y.size() / 64 + 1);
    return true;
}

namespace {

template <class T>
QUERNEL_INLINE void add_row(T* __restrict y, ptrdiff_t to, const T* __restrict u, ptrdiff_t from, int64_t n) {
    if (to == 1 && from == 1)
        for (int64_t j = 0; j < n; ++j) y[j] += u[j];
    else
        for (int64_t j = 0; j < n; ++j) y[j * to] += u[j * from];
}

// Rows of at least a cache line: blocks of rows have an owner, so that two ranks do not take neighbouring lines from
// each other. For 2048 updates of 10000 rows of 64, 120 us on one rank, two took 171 us with an owner for each row and
// 54 us with one for 64; where each wrote half of every row they took twice as long as one.
void scatter_lines(const Call& c, const Team& team) {
    const View &indices = c.in[0], &updates = c.in[1], &y = c.out[0];
    const int axes = indices.rank;
    const int64_t n = y.shape[0], u = y.shape[1], count = indices.size();
    const int block = n >= 256 * team.size ? 6 : 0;
    for (int64_t r = 0; r < n; ++r)
        if (owner(r >> block, team.size) == team.rank)
            __builtin_memset(y.f32w() + r * y.stride[0], 0, (size_t)u * sizeof(float));
    if (count == 0) return;
    Nest nest = axes_nest(updates, 0, indices, 0, axes);
    Odometer at(nest, axes, 0);
    for (int64_t k = 0; k < count; ++k, at.next()) {
        int64_t i = index_at(indices, at.from);
        if (i < 0) i += n;
        if (i < 0 || i >= n)
            *team.bad_index = 1;
        else if (owner(i >> block, team.size) == team.rank)
            add_line(y.f32w() + i * y.stride[0], updates.f32() + at.to, u, false);
    }
}

bool by_lines(const Call& c, const Team& team) {
    const View &indices = c.in[0], &updates = c.in[1], &y = c.out[0];
    return y.dtype == F32 && y.rank == 2 && c.ints[0] == 0 && y.stride[1] == 1 && updates.stride[indices.rank] == 1 &&
           y.shape[1] >= 16 && y.shape[0] >= 16 * team.size;
}

// A: the type that is added (unsigned for integers, where wrapping is defined).
template <class A>
void scatter_typed(const Call& c, const Team& team) {
    const View &indices = c.in[0], &updates = c.in[1];
    View y = c.out[0];
    const int axis = (int)c.ints[0], after = y.rank - axis - 1;
    const int64_t n = y.shape[axis], count = indices.size();
    const Nest index = axes_nest(updates, axis, indices, 0, indices.rank);  // `to` walks the updates
    Nest outer = axes_nest(y, 0, updates, 0, axis);
    Nest inner = nest_of(after, y.shape + axis + 1, y.stride + axis + 1, updates.stride + axis + indices.rank);

    // Who owns what: columns of the rows where they are wide, else blocks of the outer axes, else rows of y.
    A* to = reinterpret_cast<A*>(y.data);
    const A* from = reinterpret_cast<const A*>(updates.data);
    Range rows{0, n}, blocks{0, outer.size()};
    int64_t& columns = inner.shape[inner.rank - 1];
    if (columns >= 32 * team.size) {
        const Range own = split(columns, team);
        to += own.begin * inner.to[inner.rank - 1];
        from += own.begin * inner.from[inner.rank - 1];
        columns = own.end - own.begin;
    } else if (blocks.end >= team.size) {
        blocks = split(blocks.end, team);
    } else {
        rows = split(n, team);
    }
    if (blocks.begin >= blocks.end || columns == 0) return;
    const int64_t lines = inner.size() / columns;

    Odometer block(outer, axis, blocks.begin);
    for (int64_t b = blocks.begin; b < blocks.end; ++b, block.next()) {
        for (int64_t r = rows.begin; r < rows.end; ++r) {
            Odometer line(inner, inner.rank - 1, 0);
            for (int64_t l = 0; l < lines; ++l, line.next())
                for (int64_t j = 0; j < columns; ++j)
                    to[block.to + r * y.stride[axis] + line.to + j * inner.to[inner.rank - 1]] = 0;
        }
        if (count == 0) continue;  // an Odometer needs a nest that is not empty
        Odometer at(index, indices.rank, 0);
        for (int64_t k = 0; k < count; ++k, at.next()) {
            int64_t i = index_at(indices, at.from);
            if (i < 0) i += n;
            if (i < 0 || i >= n) {
                *team.bad_index = 1;
                continue;
            }
            if (i < rows.begin || i >= rows.end) continue;
            Odometer line(inner, inner.rank - 1, 0);
            for (int64_t l = 0; l < lines; ++l, line.next())
                add_row(to + block.to + i * y.stride[axis] + line.to, inner.to[inner.rank - 1],
                        from + block.from + at.to + line.from, inner.from[inner.rank - 1], columns);
        }
    }
}

}  // namespace

void scatter_add_run(const Call& c, const Team& team, char*) {
    if (c.out[0].size() == 0) {
        *team.bad_index |= c.in[0].size() > 0 && c.in[1].size() > 0;
        return;
    }
    if (by_lines(c, team)) return scatter_lines(c, team);
    switch (c.out[0].dtype) {
        case F32:
            return scatter_typed<float>(c, team);
        case F64:
            return scatter_typed<double>(c, team);
        case I32:
            return scatter_typed<raw4>(c, team);
        case I64:
            return scatter_typed<raw8>(c, team);
        default:
            return scatter_typed<raw1>(c, team);
    }
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
