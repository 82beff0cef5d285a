// short: rows of at most 16 contiguous elements, VL of them at a time. Transposed into registers, element l of every
// row is one vector, so the tree of fold, exponentials and divisions run for all rows at once; a row of its own would
// leave most lanes empty and pay for the tree's shuffles.
#pragma once
#include "fold/rows.hpp"

namespace quernel {
namespace QUERNEL_ISA {

constexpr int SHORT = 16;

template <int S>
inline bool is_short(const Rows<S>& r) {
    return r.n > 0 && r.n <= SHORT && r.buffers == 0 && r.outer.size() >= 4;
}

// v[l] = element l of the rows at x + at[i], i < VL.
inline void read_columns(const float* x, const ptrdiff_t* at, int n, vf* v) {
    for (int g = 0; g < n; g += VL) {
        const int lanes = n - g < VL ? n - g : VL;
        vf r[VL];
#pragma GCC unroll 16
        for (int i = 0; i < VL; ++i) r[i] = load_n(x + at[i] + g, lanes);
        transpose(r);
#pragma GCC unroll 16
        for (int i = 0; i < VL; ++i) v[g + i] = r[i];
    }
}

inline void write_columns(float* y, const ptrdiff_t* at, int rows, int n, const vf* v) {
    for (int g = 0; g < n; g += VL) {
        const int lanes = n - g < VL ? n - g : VL;
        vf r[VL];
#pragma GCC unroll 16
        for (int i = 0; i < VL; ++i) r[i] = v[g + i];
        transpose(r);
#pragma GCC unroll 16
        for (int i = 0; i < VL; ++i)
            if (i < rows) store_n(y + at[i] + g, r[i], lanes);
    }
}

// Element at[i] of x as lane i.
inline vf read_lanes(const float* x, const ptrdiff_t* at) {
    alignas(64) float lanes[VL];
    for (int i = 0; i < VL; ++i) lanes[i] = x[at[i]];
    return loadu(lanes);
}
inline void write_lanes(float* y, const ptrdiff_t* at, int rows, vf v) {
    alignas(64) float lanes[VL];
    storeu(lanes, v);
    for (int i = 0; i < rows; ++i) y[at[i]] = lanes[i];
}

// The value of each row, v[l] being its elements l; fold's tree.
template <class F>
inline vf fold_across(const vf* v, int n) {
    vf t[SHORT];
    for (int l = 0; l < n; ++l) t[l] = F::combine(F::identity(), v[l]);
    for (int h = SHORT / 2; h; h /= 2)
        for (int l = 0; l < h && l + h < n; ++l) t[l] = F::combine(t[l], t[l + h]);
    return t[0];
}

// body(at, rows): at[s][i] is the offset of row i of operand s, i < VL; only the first `rows` are to be written, the
// others repeat the last one.
template <int S, class Body>
inline void for_short_rows(const Rows<S>& r, const Team& team, Body body) {
    const Range mine = split(r.outer.size(), team);
    if (mine.begin == mine.end) return;
    ptrdiff_t at[S][VL];
    if (r.outer.rank == 1) {  // one stride an operand
        for (int64_t o = mine.begin; o < mine.end; o += VL) {
            const int rows = mine.end - o < VL ? (int)(mine.end - o) : VL;
            for (int s = 0; s < S; ++s)
                for (int i = 0; i < VL; ++i) at[s][i] = (o + (i < rows ? i : rows - 1)) * r.outer.stride[s][0];
            body(at, rows);
        }
        return;
    }
    Walk<S> walk(r.outer, mine.begin);
    for (int64_t o = mine.begin; o < mine.end; o += VL) {
        const int rows = mine.end - o < VL ? (int)(mine.end - o) : VL;
        for (int i = 0; i < VL; ++i) {
            for (int s = 0; s < S; ++s) at[s][i] = i < rows ? walk.offset[s] : at[s][rows - 1];
            if (i < rows) walk.step();
        }
        body(at, rows);
    }
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
