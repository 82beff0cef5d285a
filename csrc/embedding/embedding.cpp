// embedding: y[i, :] = w[ids[i], :], rows of a table by ids in [0, rows); ids of any shape.
//
// in: w (rows, u) float32, ids (int32, int64, uint8).  out: y (ids.shape, u). An id out of range sets the flag.
#include "rows/rows.hpp"

namespace quernel {
namespace QUERNEL_ISA {

bool embedding_prepare(Call& c) {
    if (c.n_in != 2 || c.n_out != 1) return refuse(c, "expected a table, ids and one output");
    const View &w = c.in[0], &ids = c.in[1], &y = c.out[0];
    if (w.rank != 2 || w.dtype != F32 || y.dtype != F32) return refuse(c, "expected a float32 table of two axes");
    if (!is_index(ids.dtype)) return refuse(c, "expected int32, int64 or uint8 ids");
    if (y.rank != ids.rank + 1 || y.shape[ids.rank] != w.shape[1]) return refuse(c, "y has another shape");
    for (int d = 0; d < ids.rank; ++d)
        if (y.shape[d] != ids.shape[d]) return refuse(c, "y has another shape");
    c.bytes = 8.0 * y.size();
    c.ranks = worth(c, y.size() / 256 + 1);
    return true;
}

namespace {

template <class I>
void take_lines(const Call& c, Range own) {
    const View& w = c.in[0];
    const I* const ids = c.in[1].as<const I>();
    const float* const table = w.f32();
    float* y = c.out[0].f32w() + own.begin * w.shape[1];
    const uint64_t rows = (uint64_t)w.shape[0];
    const int64_t u = w.shape[1];
    const ptrdiff_t row = w.stride[0];
    for (int64_t r = own.begin; r < own.end; ++r, y += u) {
        if (r + AHEAD < own.end) {
            const uint64_t next = (uint64_t)(int64_t)ids[r + AHEAD];
            if (next < rows) fetch_row<false>(table + (ptrdiff_t)next * row, u);
        }
        move_line(y, table + (ptrdiff_t)(int64_t)ids[r] * row, u);
    }
}

// Whether all ids of a rank's range are in the table.
template <class I>
bool inside(const Call& c, Range own) {
    const I* const ids = c.in[1].as<const I>();
    const uint64_t rows = (uint64_t)c.in[0].shape[0];
    bool good = true;
    for (int64_t r = own.begin; r < own.end; ++r) good &= (uint64_t)(int64_t)ids[r] < rows;
    return good;
}

template <class I>
void take_typed(const Call& c, const Team& team, Range own) {
    if (inside<I>(c, own))
        take_lines<I>(c, own);
    else
        *team.bad_index = 1;
}

void take_strided(const Call& c, const Team& team, Range own) {
    const View &w = c.in[0], &ids = c.in[1], &y = c.out[0];
    const Nest nest = axes_nest(y, 0, ids, 0, ids.rank);
    Odometer at(nest, nest.rank, own.begin);
    for (int64_t r = own.begin; r < own.end; ++r, at.next()) {
        const int64_t i = index_at(ids, at.from);
        if (i < 0 || i >= w.shape[0])
            *team.bad_index = 1;
        else
            move_row(y.as<raw4>() + at.to, y.stride[ids.rank], w.as<const raw4>() + i * w.stride[0], w.stride[1],
                     w.shape[1]);
    }
}

}  // namespace

void embedding_run(const Call& c, const Team& team, char*) {
    const View &w = c.in[0], &ids = c.in[1], &y = c.out[0];
    const int64_t count = ids.size();
    const Range own = split(count, team);
    if (own.begin >= own.end) return;
    if (ids.contiguous() && y.contiguous() && (w.stride[1] == 1 || w.shape[1] == 1))
        return ids.dtype == I64   ? take_typed<int64_t>(c, team, own)
               : ids.dtype == I32 ? take_typed<int32_t>(c, team, own)
                                  : take_typed<uint8_t>(c, team, own);
    take_strided(c, team, own);
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
