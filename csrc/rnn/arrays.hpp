// arrays: how the gated and the plain recurrent units read their arrays.
#pragma once
#include "recurrent/recurrent.hpp"
#include "simd/math.hpp"

namespace quernel {
namespace QUERNEL_ISA {
namespace recurrent {

constexpr int64_t LINE = 16;  // floats of a cache line
// A function that only fetches looks to GCC as if it did nothing, and its calls go: this stands in for an effect.
QUERNEL_INLINE void fetched() { asm volatile(""); }

// Whether v is absent or (rows, columns).
inline bool is_matrix(const View& v, int64_t rows, int64_t columns) {
    return v.absent() || (v.rank == 2 && v.shape[0] == rows && v.shape[1] == columns);
}

// Arrays by row and step: a view with a contiguous last axis.
struct At {
    float* p = nullptr;
    ptrdiff_t i = 0, s = 0;
    At() = default;
    explicit At(const View& v)
        : p(v.absent() ? nullptr : v.f32w()), i(v.rank > 1 ? v.stride[0] : 0), s(v.rank > 2 ? v.stride[1] : 0) {}
    float* operator()(int64_t row, int64_t step = 0) const { return p + row * i + step * s; }
};

// body(j, lanes) for the units [begin, end), whole vectors and a tail.
template <class F>
QUERNEL_INLINE void each_unit(int64_t begin, int64_t end, F body) {
    for (int64_t j = begin; j < end; j += VL) body(j, end - j < VL ? (int)(end - j) : VL);
}
QUERNEL_INLINE vf get(const float* p, int lanes) { return lanes == VL ? loadu(p) : load_n(p, lanes); }
QUERNEL_INLINE void put(float* p, vf v, int lanes) { lanes == VL ? storeu(p, v) : store_n(p, v, lanes); }

}  // namespace recurrent
}  // namespace QUERNEL_ISA
}  // namespace quernel
