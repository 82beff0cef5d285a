// axes: a view's dimensions split into kept and reduced ones, merged where strides allow, and walked in C order.
#pragma once
#include "base/check.hpp"

namespace quernel {
namespace QUERNEL_ISA {

// Up to 8 dimensions shared by S operands, each with its own strides (in elements).
template <int S>
struct Dims {
    int32_t rank = 0;
    int64_t shape[MAX_RANK];
    ptrdiff_t stride[S][MAX_RANK];

    int64_t size() const {
        int64_t n = 1;
        for (int d = 0; d < rank; ++d) n *= shape[d];
        return n;
    }
    // Appends an inner dimension; merges it with the one before where every operand's strides continue, drops size one.
    void push(int64_t n, const ptrdiff_t (&strides)[S]) {
        if (n == 1) return;
        bool merge = rank > 0;
        for (int s = 0; merge && s < S; ++s) merge = stride[s][rank - 1] == n * strides[s];
        if (merge)
            shape[rank - 1] *= n;
        else
            shape[rank++] = n;
        for (int s = 0; s < S; ++s) stride[s][rank - 1] = strides[s];
    }
    // Splits off the innermost dimension: its size, strides in `strides` (1 and zeros for rank 0).
    int64_t pop(ptrdiff_t (&strides)[S]) {
        if (rank == 0) {
            for (int s = 0; s < S; ++s) strides[s] = 0;
            return 1;
        }
        --rank;
        for (int s = 0; s < S; ++s) strides[s] = stride[s][rank];
        return shape[rank];
    }
};

// A position in Dims: offsets of the S operands, in elements.
template <int S>
struct Walk {
    const Dims<S>& dims;
    int64_t index[MAX_RANK];
    ptrdiff_t offset[S];

    explicit Walk(const Dims<S>& d, int64_t at = 0) : dims(d) { seek(at); }
    void seek(int64_t at) {
        for (int s = 0; s < S; ++s) offset[s] = 0;
        for (int d = dims.rank - 1; d >= 0; --d) {
            index[d] = dims.shape[d] ? at % dims.shape[d] : 0;
            if (dims.shape[d]) at /= dims.shape[d];
            for (int s = 0; s < S; ++s) offset[s] += index[d] * dims.stride[s][d];
        }
    }
    void step() {
        for (int d = dims.rank - 1; d >= 0; --d) {
            for (int s = 0; s < S; ++s) offset[s] += dims.stride[s][d];
            if (++index[d] < dims.shape[d]) return;
            index[d] = 0;
            for (int s = 0; s < S; ++s) offset[s] -= dims.shape[d] * dims.stride[s][d];
        }
    }
};

// out[0..n) = elements at .. at+n-1 of the row that `row` describes from x, converted to T.
template <class T, class S>
inline void pack(const S* x, const Dims<1>& row, int64_t at, int n, T* out) {
    if (row.rank == 0) {
        for (int i = 0; i < n; ++i) out[i] = (T)x[0];
        return;
    }
    const int inner = row.rank - 1;
    const ptrdiff_t step = row.stride[0][inner];
    Walk<1> walk(row, at);
    while (n > 0) {
        const int64_t left = row.shape[inner] - walk.index[inner];
        const int run = n < left ? n : (int)left;
        const S* from = x + walk.offset[0];
        if (step == 1)
            for (int i = 0; i < run; ++i) out[i] = (T)from[i];
        else
            for (int i = 0; i < run; ++i) out[i] = (T)from[i * step];
        out += run;
        n -= run;
        walk.index[inner] += run - 1;  // the step below ends this run and carries outward
        walk.offset[0] += (run - 1) * step;
        walk.step();
    }
}

}  // namespace QUERNEL_ISA
}  // namespace quernel
