// rows: runs a body on every row of some operands: along one axis, with one value a row, or both kinds together.
//
// A "whole" operand has the row's axis; the body gets its row contiguous in memory (gathered or scattered through
// scratch where the axis has another stride). The other operands have one element a row; the body gets its offset in
// elements. Rows are independent: ranks share them, and nothing depends on how.
#pragma once
#include "fold/axes.hpp"
#include "fold/fold.hpp"

namespace quernel {
namespace QUERNEL_ISA {

template <int S>
struct Rows {
    Dims<S> outer;
    int64_t n;           // elements of a row
    ptrdiff_t along[S];  // stride of the axis in each whole operand
    bool whole[S];
    bool output[S];
    int32_t buffers;  // whole operands whose rows are not contiguous
    int64_t pitch;    // bytes of one buffer
};

// The bytes of every array of the call once.
inline double bytes_once(const Call& call) {
    double bytes = 0;
    for (int i = 0; i < call.n_in; ++i)
        if (!call.in[i].absent()) bytes += (double)call.in[i].size() * item_size(call.in[i].dtype);
    for (int i = 0; i < call.n_out; ++i)
        if (!call.out[i].absent()) bytes += (double)call.out[i].size() * item_size(call.out[i].dtype);
    return bytes;
}

// Plans rows along `axis` of operands[0]'s shape. Operands without the axis have its shape less that axis.
// flops_per_element: for the choice of ranks. Sets call.ranks and call.scratch; false with call.error set on a misfit.
template <int S>
bool plan_rows(Call& c, Rows<S>& r, const View* const (&operands)[S], const bool (&whole)[S], int outputs, int64_t axis,
               double flops_per_element) {
    const View& x = *operands[0];
    if (x.absent() || axis < 0 || axis >= x.rank) return refuse(c, "expected an axis of the input");
    r.n = x.shape[axis];
    r.buffers = 0;
    for (int s = 0; s < S; ++s) {
        const View& v = *operands[s];
        if (v.absent() || v.rank != x.rank - !whole[s]) return refuse(c, "operand %d has the wrong rank", s);
        r.whole[s] = whole[s];
        r.output[s] = s >= S - outputs;
        r.along[s] = whole[s] ? v.stride[axis] : 0;
        if (whole[s] && v.shape[axis] != r.n) return refuse(c, "operand %d has the wrong size along the axis", s);
        r.buffers += whole[s] && r.along[s] != 1 && r.n > 1;
    }
    for (int d = 0, k = 0; d < x.rank; ++d) {
        if (d == axis) continue;
        ptrdiff_t strides[S];
        for (int s = 0; s < S; ++s) {
            const View& v = *operands[s];
            const int at = whole[s] ? d : k;
            if (v.shape[at] != x.shape[d]) return refuse(c, "operand %d has the wrong size at axis %d", s, at);
            strides[s] = v.stride[at];
        }
        r.outer.push(x.shape[d], strides);
        ++k;
    }
    const double elements = (double)r.n * r.outer.size();
    c.flops = elements * flops_per_element;
    c.bytes = elements * 4 * S;  // whole rows of all operands: the measure by which ranks were found to pay
    c.ranks = worth(c, r.outer.size());
    c.bytes = bytes_once(c);
    r.pitch = align64(r.n * 4);
    c.scratch = c.ranks * r.buffers * r.pitch;
    return true;
}

// body(rows, offsets): rows[s] points at the row of a whole operand, offsets[s] is the offset of any operand's row.
template <int S, class Body>
inline void for_rows(const Rows<S>& r, const View* const (&operands)[S], const Team& team, char* scratch, Body body) {
    const Range mine = split(r.outer.size(), team);
    if (mine.begin == mine.end) return;
    float* buffer[S];
    scratch += team.rank * r.buffers * r.pitch;
    for (int s = 0; s < S; ++s) {
        buffer[s] = nullptr;
        if (r.whole[s] && r.along[s] != 1 && r.n > 1) {
            buffer[s] = reinterpret_cast<float*>(scratch);
            scratch += r.pitch;
        }
    }
    Walk<S> walk(r.outer, mine.begin);
    for (int64_t o = mine.begin; o < mine.end; ++o, walk.step()) {
        float* rows[S];
        for (int s = 0; s < S; ++s) {
            if (!r.whole[s]) continue;
            float* at = operands[s]->f32w() + walk.offset[s];
            rows[s] = buffer[s] ? buffer[s] : at;
            if (buffer[s] && !r.output[s])
                for (int64_t i = 0; i < r.n; ++i) buffer[s][i] = at[i * r.along[s]];
        }
        body(rows, walk.offset);
        for (int s = 0; s < S; ++s)
            if (buffer[s] && r.output[s]) {
                float* at = operands[s]->f32w() + walk.offset[s];
                for (int64_t i = 0; i < r.n; ++i) at[i * r.along[s]] = buffer[s][i];
            }
    }
}

// p[0..n) elementwise: out(i, m) for every vector of a row, m of VL lanes in the last one.
template <class Step>
QUERNEL_INLINE void each_vector(int64_t n, Step step) {
    int64_t i = 0;
    for (; i + VL <= n; i += VL) step(i, VL);
    if (i < n) step(i, (int)(n - i));
}
QUERNEL_INLINE vf load_m(const float* p, int m) { return m == VL ? loadu(p) : load_n(p, m); }
QUERNEL_INLINE void store_m(float* p, vf v, int m) {
    if (m == VL)
        storeu(p, v);
    else
        store_n(p, v, m);
}
// Lanes >= m give 0, the identity of a sum.
QUERNEL_INLINE vf keep_m(vf v, int m) { return m == VL ? v : select(first_n(m), v, zero()); }

QUERNEL_INLINE float row_max(const float* x, int64_t n) {
    return fold_row<MaxF>(n, [=](int64_t i, int m) __attribute__((always_inline)) { return take<MaxF>(x + i, m); });
}
QUERNEL_INLINE float row_sum(const float* x, int64_t n) {
    return fold_row<SumF>(n, [=](int64_t i, int m) __attribute__((always_inline)) { return load_m(x + i, m); });
}
// sum of x * y, each product rounded before it is added.
QUERNEL_INLINE float row_dot(const float* x, const float* y, int64_t n) {
    return fold_row<SumF>(n, [=](int64_t i, int m) __attribute__((always_inline)) {
        return keep_m(mul(load_m(x + i, m), load_m(y + i, m)), m);
    });
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
