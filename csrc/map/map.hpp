// map: the block of elementwise ops, y[i] = f(x0[i], x1[i], x2[i]), with NumPy's broadcasting over arrays of any
// strides.
//
//   Row            one op on one dtype: n elements, every operand contiguous
//   MapOp          an op: how many inputs, the dtype of its output, its cost, a Row for each dtype it takes
//   map_prepare    broadcasts, drops axes of size one, orders and merges the others, picks the Row
//   map_run        walks the nest in chunks; an operand that is not contiguous there goes through a small buffer on the
//   stack row1 row2 ...  Rows from a function on vf (float32) or on scalars (other dtypes)
//
// A Row sees contiguous elements only and every lane is computed alone, so layout, chunk and rank never change a bit.
// Ranks share the flat index range in pieces of 64 elements. Inputs may alias each other, never the output.
#pragma once
#include "base/check.hpp"
#include "simd/vec.hpp"

namespace quernel {
namespace QUERNEL_ISA {

using Row = void (*)(const float* params, int64_t n, char* y, const char* const* x);

enum Result { SAME, BOOLEAN };  // the output's dtype: that of the last input, or bool

struct MapOp {
    int inputs;
    Result result;
    double cost;        // float operations per element, for the choice of ranks
    Row rows[DTYPES];   // by the dtype of the last input; null where the op does not take it
    int params = 0;     // float attributes, in the order of the packer
    bool mask = false;  // the first input is boolean (where)
};

struct Map {
    struct Operand {
        char* data;
        int64_t item;
        ptrdiff_t step[MAX_RANK];  // bytes
        bool dense;                // contiguous over the whole nest
    };
    Row row;
    int inputs, rank;
    bool light;  // bound by memory, not by arithmetic
    int64_t size, shape[MAX_RANK];
    Operand of[4];  // the output, then the inputs
    float params[4];
};

bool map_prepare(Call& c, const MapOp& op);
// For ops that pick their Row themselves (cast): any dtypes.
bool map_prepare(Call& c, int inputs, double cost, Row row);
// For ops that show their arrays in other shapes: views[0] is the output.
bool map_prepare(Call& c, int inputs, const View* const* views, double cost, Row row);
void map_run(const Call& c, const Team& team);

// Rows of float32: F is a function on vectors, tails are masked. Inputs are fetched AHEAD elements before they are
// needed: where F takes some 20 instructions, no more than a few of its turns fit into the core's window, too few loads
// are under way, and memory and arithmetic take turns (34 multiply-adds on 40 MB: 10.8 ms, so 8.9, from L1 8.6).
constexpr int AHEAD = 512;
QUERNEL_INLINE void fetch_ahead(const float* p) { __builtin_prefetch(p + AHEAD); }
// The result's lines come to L1 before they are written, too: a store that waits for its line holds up those behind it
// (copy-like rows in L2 5 %, 1 MB 3 to 20 %, 4 MB 4 %). Never those behind the n-th element: another rank writes there.
constexpr int64_t RESULT_AHEAD = 128;
QUERNEL_INLINE void fetch_result(const float* y, int64_t i, int64_t n) {
    const int64_t at = i + RESULT_AHEAD, last = n - 1;
    __builtin_prefetch(y + (at < last ? at : last), 1);
}

template <vf (*F)(vf)>
void row1(const float*, int64_t n, char* y_, const char* const* x_) {
    float* y = reinterpret_cast<float*>(y_);
    const float* a = reinterpret_cast<const float*>(x_[0]);
    int64_t i = 0;
    for (; i + VL <= n; i += VL) {
        fetch_ahead(a + i);
        fetch_result(y, i, n);
        storeu(y + i, F(loadu(a + i)));
    }
    if (i < n) store_n(y + i, F(load_n(a + i, (int)(n - i))), (int)(n - i));
}
template <vf (*F)(vf, vf)>
void row2(const float*, int64_t n, char* y_, const char* const* x_) {
    float* y = reinterpret_cast<float*>(y_);
    const float *a = reinterpret_cast<const float*>(x_[0]), *b = reinterpret_cast<const float*>(x_[1]);
    int64_t i = 0;
    for (; i + VL <= n; i += VL) {
        fetch_ahead(a + i);
        fetch_ahead(b + i);
        fetch_result(y, i, n);
        storeu(y + i, F(loadu(a + i), loadu(b + i)));
    }
    if (i < n) {
        const int k = (int)(n - i);
        store_n(y + i, F(load_n(a + i, k), load_n(b + i, k)), k);
    }
}
template <vf (*F)(vf, vf, vf)>
void row3(const float*, int64_t n, char* y_, const char* const* x_) {
    float* y = reinterpret_cast<float*>(y_);
    const float *a = reinterpret_cast<const float*>(x_[0]), *b = reinterpret_cast<const float*>(x_[1]);
    const float* d = reinterpret_cast<const float*>(x_[2]);
    int64_t i = 0;
    for (; i + VL <= n; i += VL) {
        fetch_ahead(a + i);
        fetch_ahead(b + i);
        fetch_ahead(d + i);
        fetch_result(y, i, n);
        storeu(y + i, F(loadu(a + i), loadu(b + i), loadu(d + i)));
    }
    if (i < n) {
        const int k = (int)(n - i);
        store_n(y + i, F(load_n(a + i, k), load_n(b + i, k), load_n(d + i, k)), k);
    }
}
// The same with attributes: F(x..., params).
template <vf (*F)(vf, const float*)>
void row1p(const float* params, int64_t n, char* y_, const char* const* x_) {
    const float p[4] = {params[0], params[1], params[2], params[3]};  // a copy that y cannot alias
    float* y = reinterpret_cast<float*>(y_);
    const float* a = reinterpret_cast<const float*>(x_[0]);
    int64_t i = 0;
    for (; i + VL <= n; i += VL) {
        fetch_ahead(a + i);
        fetch_result(y, i, n);
        storeu(y + i, F(loadu(a + i), p));
    }
    if (i < n) store_n(y + i, F(load_n(a + i, (int)(n - i)), p), (int)(n - i));
}
template <vf (*F)(vf, vf, const float*)>
void row2p(const float* params, int64_t n, char* y_, const char* const* x_) {
    const float p[4] = {params[0], params[1], params[2], params[3]};
    float* y = reinterpret_cast<float*>(y_);
    const float *a = reinterpret_cast<const float*>(x_[0]), *b = reinterpret_cast<const float*>(x_[1]);
    int64_t i = 0;
    for (; i + VL <= n; i += VL) {
        fetch_ahead(a + i);
        fetch_ahead(b + i);
        fetch_result(y, i, n);
        storeu(y + i, F(loadu(a + i), loadu(b + i), p));
    }
    if (i < n) {
        const int k = (int)(n - i);
        store_n(y + i, F(load_n(a + i, k), load_n(b + i, k), p), k);
    }
}

// Rows of scalars of type T giving type R; the compiler vectorises those that can be.
template <class R, class T, R (*F)(T)>
void each1(const float*, int64_t n, char* y_, const char* const* x_) {
    R* __restrict y = reinterpret_cast<R*>(y_);
    const T* __restrict a = reinterpret_cast<const T*>(x_[0]);
    for (int64_t i = 0; i < n; ++i) y[i] = F(a[i]);
}
template <class R, class T, R (*F)(T, T)>
void each2(const float*, int64_t n, char* y_, const char* const* x_) {
    R* __restrict y = reinterpret_cast<R*>(y_);
    const T* __restrict a = reinterpret_cast<const T*>(x_[0]), * __restrict b = reinterpret_cast<const T*>(x_[1]);
    for (int64_t i = 0; i < n; ++i) y[i] = F(a[i], b[i]);
}

// The two entries of an op in ops.def that is nothing but a MapOp.
#define QUERNEL_MAP(name, op)                                   \
    bool name##_prepare(Call& c) { return map_prepare(c, op); } \
    void name##_run(const Call& c, const Team& team, char*) { map_run(c, team); }

}  // namespace QUERNEL_ISA
}  // namespace quernel
