// rows_merge: rows with equal ids are added up: the gradient of a table as the rows that a batch touched.
//
//   rows[s, :]: the s-th different id in the order in which they come first; values[s, :] = the sum of all updates of
//   that id, in their order, from +0. Behind the last: rows -1, values +0.
//
// in: ids of each part (int32, int64, uint8; negative ones count from the end), then the updates of each part, float32
// (ids.shape, u); parts follow each other.  out: rows (k,) int64, values (k, u), k = all ids.
// ints: parts, rows of the table. An id out of range sets the flag.
//
// Rank 0 finds the places by a hash table in scratch, whose size follows from k: the table of weights may have any
// size.
#include "rows/rows.hpp"

namespace quernel {
namespace QUERNEL_ISA {

namespace {

struct Merge {
    int64_t k, cells;  // ids; entries of the hash table: a power of two, at most half of them used
    int shift;
};

}  // namespace

bool rows_merge_prepare(Call& c) {
    if (c.n_ints != 2 || c.n_out != 2) return refuse(c, "expected two integers and two outputs");
    const int64_t parts = c.ints[0];
    if (parts < 0 || c.n_in != 2 * parts) return refuse(c, "expected as many ids as updates");
    const View &rows = c.out[0], &values = c.out[1];
    if (rows.rank != 1 || rows.dtype != I64 || values.rank != 2 || values.dtype != F32)
        return refuse(c, "expected int64 rows and float32 values");
    Merge& m = c.as<Merge>();
    m.k = 0;
    for (int64_t p = 0; p < parts; ++p) {
        const View &ids = c.in[p], &updates = c.in[parts + p];
        if (!is_index(ids.dtype) || updates.dtype != F32) return refuse(c, "expected integer ids and float32 updates");
        if (updates.rank != ids.rank + 1 || updates.shape[ids.rank] != values.shape[1])
            return refuse(c, "updates have another shape");
        for (int d = 0; d < ids.rank; ++d)
            if (updates.shape[d] != ids.shape[d]) return refuse(c, "updates have another shape");
        m.k += ids.size();
    }
    if (rows.shape[0] != m.k || values.shape[0] != m.k) return refuse(c, "the outputs have another shape");
    if (m.k > (int64_t)1 << 30) return refuse(c, "more than 2^30 ids");
    m.cells = 16;
    m.shift = 60;
    for (; m.cells < 2 * m.k; m.cells *= 2) --m.shift;
    c.scratch = align64(64 + (m.cells + m.k) * (int64_t)sizeof(int32_t));
    c.bytes = 12.0 * values.size() + 32.0 * m.k;
    // Every rank walks all slots and takes its rows from among them: rows under 512 bytes are added sooner by one rank.
    c.ranks = values.shape[1] < 128 ? 1 : worth(c, m.k / 64 + 1);
    return true;
}

namespace {

// Fills `rows`, and slots[j]: where the j-th update goes, -1 for an id out of range. Returns the number of rows.
int32_t find_slots(const Call& c, const Team& team, int32_t* cells, int32_t* slots) {
    const Merge& m = c.as<Merge>();
    const int64_t parts = c.ints[0], n = c.ints[1];
    int64_t* const rows = c.out[0].as<int64_t>();
    const ptrdiff_t step = c.out[0].stride[0];
    __builtin_memset(cells, 0xff, (size_t)m.cells * sizeof(int32_t));
    int32_t found = 0;
    for (int64_t p = 0; p < parts; ++p) {
        const View& ids = c.in[p];
        const int64_t count = ids.size();
        if (count == 0) continue;
        const Nest nest = view_nest(ids);
        Odometer at(nest, nest.rank, 0);
        for (int64_t j = 0; j < count; ++j, at.next(), ++slots) {
            int64_t id = index_at(ids, at.from);
            if (id < 0) id += n;
            if (id < 0 || id >= n) {
                *team.bad_index = 1;
                *slots = -1;
                continue;
            }
            uint64_t cell = ((uint64_t)id * 0x9e3779b97f4a7c15u) >> m.shift;
            while (cells[cell] >= 0 && rows[cells[cell] * step] != id) cell = (cell + 1) & (uint64_t)(m.cells - 1);
            if (cells[cell] < 0) {
                cells[cell] = found;
                rows[found++ * step] = id;
            }
            *slots = cells[cell];
        }
    }
    for (int64_t s = found; s < m.k; ++s) rows[s * step] = -1;
    return found;
}

void add_part(const Call& c, const Team& team, int64_t part, const int32_t* slots, int32_t& seen) {
    const View &updates = c.in[c.ints[0] + part], &values = c.out[1];
    const int axes = updates.rank - 1;
    const int64_t count = c.in[part].size(), u = values.shape[1];
    const ptrdiff_t to = values.stride[1], from = updates.stride[axes];
    const bool lines = (to == 1 && from == 1) || u == 1;
    Nest nest = view_nest(updates);
    nest.rank = axes;
    Odometer at(nest, axes, 0);
    for (int64_t j = 0; j < count; ++j, at.next()) {
        const int32_t s = slots[j];
        if (s < 0) continue;
        const bool first = s == seen;  // places are given in the order in which they are first needed
        seen += first;
        if (owner(s, team.size) != team.rank) continue;
        float* const y = values.f32w() + s * values.stride[0];
        const float* const x = updates.f32() + at.from;
        if (lines)
            add_line(y, x, u, first);
        else
            for (int64_t i = 0; i < u; ++i) y[i * to] = (first ? 0.0f : y[i * to]) + x[i * from];
    }
}

}  // namespace

void rows_merge_run(const Call& c, const Team& team, char* scratch) {
    const Merge& m = c.as<Merge>();
    const View& values = c.out[1];
    int32_t* const found = reinterpret_cast<int32_t*>(scratch);
    int32_t* const slots = found + 16;
    if (m.k == 0) return;
    if (team.rank == 0) *found = find_slots(c, team, slots + m.k, slots);
    team.barrier();
    if (values.shape[1] == 0) return;
    int32_t seen = 0;
    const int32_t* slot = slots;
    for (int64_t p = 0; p < c.ints[0]; ++p) {
        if (c.in[p].size() == 0) continue;
        add_part(c, team, p, slot, seen);
        slot += c.in[p].size();
    }
    const Range rest = split(m.k - *found, team);
    for (int64_t s = *found + rest.begin; s < *found + rest.end; ++s)
        for (int64_t i = 0; i < values.shape[1]; ++i) values.f32w()[s * values.stride[0] + i * values.stride[1]] = 0.0f;
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
